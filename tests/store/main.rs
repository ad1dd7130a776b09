//! Tests of the store through its public face.

#[cfg(test)]
mod harness;
#[cfg(test)]
mod live;
