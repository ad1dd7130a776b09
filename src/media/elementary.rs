//! One track's frames to samples: canonical framing, inline parameter sets, decoding times.
