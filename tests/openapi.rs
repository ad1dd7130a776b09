//! The description of the HTTP API that the web app is typed from is the one that the server
//! gives.

use std::path::Path;

#[test]
fn the_web_app_is_typed_from_what_the_server_describes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/openapi.json");
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let hint = "update it: cargo run -- openapi > web/openapi.json && cd web && npm run api";
    assert!(
        kept.trim() == kinora::api::openapi().trim(),
        "web/openapi.json is not what the server describes; {hint}"
    );
}
