//! Decoding times: by hand, by random streams, and against what real encoders write.
