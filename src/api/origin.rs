//! Browsers are held to pages of this server: a page elsewhere can neither drive it with requests
//! of its own (Origin) nor reach it by pointing its own name at it (Host, DNS rebinding).
//!
//! Programs send no Origin and are not concerned.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::{ApiError, AppState};

/// Refuses requests that come from other sites' pages.
pub async fn require_own(State(state): State<AppState>, request: Request, next: Next) -> Response {
    // HTTP/2 has no Host header; its authority is in the URI.
    let authority = request.uri().authority().map(ToString::to_string);
    let host = authority.or_else(|| one(request.headers(), &header::HOST).map(str::to_owned));
    if state.auth.loopback_only && !host.as_deref().is_some_and(is_loopback) {
        let named = host.as_deref().unwrap_or("nothing");
        return forbidden(
            "foreign_host",
            format!("this server listens on loopback only and was called as {named}"),
            "call it as localhost or 127.0.0.1; to serve other machines start it with --listen and --token",
        );
    }
    // What cannot be read as an origin is a foreign one.
    let own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_same(origin, host.as_deref()));
    if let Some(origin) = request.headers().get_all(header::ORIGIN).iter().find(|origin| !own(origin)) {
        return forbidden(
            "foreign_origin",
            format!("a page of {} may not use this server", String::from_utf8_lossy(origin.as_bytes())),
            "open the web app that this server itself serves",
        );
    }
    next.run(request).await
}

fn forbidden(code: &str, message: String, hint: &str) -> Response {
    ApiError::with_status(StatusCode::FORBIDDEN, code, message).with_hint(hint).into_response()
}

/// A header that may be there once.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    // A user before the name is no part of any Host header (RFC 9110 §4.2.4).
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let address: Result<std::net::IpAddr, _> = bare.parse();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether `origin` (`scheme://authority`, or `null`) is the server the request was sent to.
fn is_same(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_and_no_others() {
        for own in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "LOCALHOST:1"]
        {
            assert!(is_loopback(own), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example:8080",
            "192.168.1.2",
            "",
            "127.0.0.1.evil.example",
            "evil.example@localhost",
            "a:b@127.0.0.1:8080",
        ] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }

    #[test]
    fn an_origin_is_the_host_or_foreign() {
        assert!(is_same("http://localhost:8080", Some("localhost:8080")));
        assert!(is_same("https://cams.example", Some("cams.example")));
        for (origin, host) in [
            ("null", Some("localhost:8080")),
            ("http://evil.example", Some("localhost:8080")),
            ("http://localhost:3000", Some("localhost:8080")),
            ("http://localhost:8080", None),
        ] {
            assert!(!is_same(origin, host), "{origin}");
        }
    }
}
