//! Comparing output with committed bytes.

/// Asserts that `bytes` are what `golden/NAME.hex` holds.
pub(super) fn assert_golden(name: &str, expected_hex: &str, bytes: &[u8]) {
    let mut hex = String::new();
    for line in bytes.chunks(32) {
        hex.extend(line.iter().map(|byte| format!("{byte:02x}")));
        hex.push('\n');
    }
    assert!(
        hex == expected_hex,
        "the bytes of {name} changed. Players cache and compare them, so make sure that the change is \
         meant; if it is, put these lines into src/media/fmp4/golden/{name}.hex and say so in CHANGELOG.md:\n{hex}"
    );
}
