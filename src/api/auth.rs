//! Who may call: everybody on loopback without a token, else who shows the token, as a bearer
//! credential or as the cookie that logging in sets.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::ApiError;

/// Name of the cookie that logging in sets.
const COOKIE: &str = "kinora_session";
/// How long a browser stays logged in, in seconds.
const COOKIE_MAX_AGE_S: u32 = 30 * 24 * 3600;

/// How callers prove themselves.
#[derive(Debug)]
pub struct Auth {
    secret: Option<Secret>,
    /// The server listens on loopback only, so its own names are known.
    pub(super) loopback_only: bool,
    /// The server speaks TLS, so cookies need not travel in the clear.
    secure: bool,
}

#[derive(Debug)]
struct Secret {
    token: String,
    /// What the cookie holds: derived from the token, so that the token is not in browsers.
    session: String,
}

impl Auth {
    /// Rules for a server with this token, if any, that listens on loopback only or beyond, with
    /// TLS or without.
    #[must_use]
    pub fn new(token: Option<String>, loopback_only: bool, secure: bool) -> Self {
        let secret = token.map(|token| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
            let tag = hmac::sign(&key, b"kinora login cookie, version 1");
            let session = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            Secret { token, session }
        });
        Self { secret, loopback_only, secure }
    }

    /// The cookie for whoever shows `token`; none if it is wrong or no token is needed.
    #[must_use]
    pub fn log_in(&self, token: &str) -> Option<String> {
        let secret = self.secret.as_ref().filter(|secret| same(&secret.token, token))?;
        Some(self.cookie(&secret.session, COOKIE_MAX_AGE_S))
    }

    /// The cookie that ends a login.
    #[must_use]
    pub fn log_out(&self) -> String {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, max_age_s: u32) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}")
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = &self.secret else { return true };
        let bearer = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .filter_map(|value| value.to_str().ok()?.split_once(' '))
            .any(|(scheme, token)| {
                scheme.eq_ignore_ascii_case("bearer") && same(&secret.token, token.trim())
            });
        bearer || cookies(headers).any(|(name, value)| name == COOKIE && same(&secret.session, value))
    }
}

fn same(expected: &str, shown: &str) -> bool {
    verify_slices_are_equal(expected.as_bytes(), shown.as_bytes()).is_ok()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// What anybody may fetch: whether the server lives, how to log in, and the web app's own files,
/// which say nothing about this server.
pub(super) fn is_public(path: &str) -> bool {
    let guarded = path.starts_with("/v1/") || path == "/metrics";
    !guarded || matches!(path, "/v1/login" | "/v1/logout")
}

/// Lets a request pass if its caller is known, or need not be.
pub async fn require(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    if is_public(request.uri().path()) || auth.admits(request.headers()) {
        return next.run(request).await;
    }
    let error =
        ApiError::with_status(StatusCode::UNAUTHORIZED, "unauthorized", "this server needs its token")
            .with_hint("send the header Authorization: Bearer TOKEN, or log in at /login");
    ([(header::WWW_AUTHENTICATE, "Bearer")], error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_token_and_the_cookie_admit_and_nothing_else_does() {
        let auth = Auth::new(Some("s3cret".into()), false, true);
        let set = auth.log_in("s3cret").unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Secure"));
        assert!(!set.contains("s3cret"));
        let cookie = format!("other=1; {}", set.split(';').next().unwrap());
        assert!(auth.admits(&headers(header::COOKIE, &cookie)));
        assert!(auth.admits(&headers(header::AUTHORIZATION, "Bearer s3cret")));
        assert!(auth.admits(&headers(header::AUTHORIZATION, "bearer s3cret")));
        for bad in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer "] {
            assert!(!auth.admits(&headers(header::AUTHORIZATION, bad)), "{bad}");
        }
        assert!(!auth.admits(&headers(header::COOKIE, "kinora_session=")));
        assert!(!auth.admits(&HeaderMap::new()));
        assert!(auth.log_in("wrong").is_none());
    }

    #[test]
    fn a_server_without_a_token_admits_everybody() {
        assert!(Auth::new(None, true, false).admits(&HeaderMap::new()));
    }

    #[test]
    fn only_harmless_paths_are_public() {
        for path in ["/", "/streams/a", "/assets/app.js", "/healthz", "/v1/login", "/openapi.json"] {
            assert!(is_public(path), "{path}");
        }
        for path in ["/v1/streams", "/v1/streams/a/media", "/metrics", "/v1/login/../streams"] {
            assert!(!is_public(path), "{path}");
        }
    }
}
