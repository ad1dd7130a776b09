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

#[test]
fn every_route_names_the_errors_that_all_routes_share() {
    let api: serde_json::Value = serde_json::from_str(&kinora::api::openapi()).unwrap_or_default();
    assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for (path, method, statuses) in [
        ("/v1/streams/{name}/media", "post", vec!["401", "403", "409", "413", "500", "503", "507"]),
        ("/v1/streams", "get", vec!["400", "401", "403", "500"]),
        ("/v1/login", "post", vec!["400", "401", "403", "413"]),
    ] {
        for status in statuses {
            let response = &api["paths"][path][method]["responses"][status];
            assert!(response.is_object(), "{method} {path} does not name {status}");
        }
    }
    assert!(api["paths"]["/v1/streams"]["get"]["security"].is_array());
    assert!(api["paths"]["/v1/login"]["post"]["security"].is_null(), "who logs in has shown nothing yet");
}
