//! What the OpenAPI description says of all routes alike: who may call, and which errors any of
//! them can answer with. It does not know the routes' own answers.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder};

use crate::api::auth;

/// Name of the way in which callers show the token.
const BEARER: &str = "bearer";

/// An error that several routes share: its status, its name in the description, and what it means.
type Shared = (&'static str, &'static str, &'static str);

const INVALID: Shared = ("400", "Invalid", "the path, the query or the body is wrong");
const UNAUTHORIZED: Shared = ("401", "Unauthorized", "the server needs its token");
const FORBIDDEN: Shared = ("403", "Forbidden", "a page of another site called, or by another name");
const CONFLICT: Shared = ("409", "Conflict", "a newer producer pushes to the stream");
const TOO_LARGE: Shared = ("413", "TooLarge", "a named limit was exceeded");
const UNSUPPORTED: Shared = ("415", "Unsupported", "sound, but not supported; the hint says what is");
const UNPROCESSABLE: Shared = ("422", "Unprocessable", "the JSON lacks something");
const FAILED: Shared =
    ("500", "Failed", "the server failed, or what is stored is damaged; its log says more");
const UNAVAILABLE: Shared = ("503", "Unavailable", "it may work later, unchanged");
const FULL: Shared = ("507", "Full", "there is no room on the server's data volume");

const ALL: [Shared; 10] = [
    INVALID,
    UNAUTHORIZED,
    FORBIDDEN,
    CONFLICT,
    TOO_LARGE,
    UNSUPPORTED,
    UNPROCESSABLE,
    FAILED,
    UNAVAILABLE,
    FULL,
];

/// Adds it to the routes' own description.
pub fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert_with(Components::new);
    for (_, name, meaning) in ALL {
        let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
        let response = ResponseBuilder::new().description(meaning).content("application/json", body).build();
        components.responses.insert(name.into(), RefOr::T(response));
    }
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, scheme);
    for (path, item) in &mut api.paths.paths {
        let PathItem { get, put, post, delete, .. } = item;
        let reading = get.iter_mut().map(|operation| (operation, false));
        let writing = [put, post, delete].into_iter().flatten().map(|operation| (operation, true));
        for (operation, writes) in reading.chain(writing) {
            for (status, name, _) in errors(path, writes) {
                let shared = RefOr::Ref(Ref::from_response_name(name));
                operation.responses.responses.entry(status.into()).or_insert(shared);
            }
            demand_token(operation, path);
        }
    }
}

fn demand_token(operation: &mut Operation, path: &str) {
    if !auth::is_public(path) {
        // The token is needed only where the server has one: nothing will do as well.
        let none = SecurityRequirement::default();
        operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new()), none]);
    }
}

fn errors(path: &str, writes: bool) -> Vec<Shared> {
    let mut errors = vec![FORBIDDEN];
    if !auth::is_public(path) {
        errors.push(UNAUTHORIZED);
    }
    if path == "/v1/login" {
        errors.extend([INVALID, TOO_LARGE, UNSUPPORTED, UNPROCESSABLE]);
    }
    if path.starts_with("/v1/streams") {
        errors.extend([INVALID, FAILED, UNAVAILABLE]);
        if writes {
            errors.push(FULL);
        }
    }
    if path.ends_with("/media") {
        errors.extend([CONFLICT, TOO_LARGE]);
    }
    errors
}
