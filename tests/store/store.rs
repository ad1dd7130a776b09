//! Tests of the store through its public face.

#[cfg(test)]
mod aftermath;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod keystream;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod live;
#[cfg(test)]
mod model;
#[cfg(test)]
mod power;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod query;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod strays;
#[cfg(test)]
mod writers;
