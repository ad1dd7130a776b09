//! Who may call: everybody on loopback without a token, else who shows the token, as a bearer
//! credential or as the cookie that logging in sets.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kinora_base::Clock;

use crate::api::ApiError;
use crate::api::guesses::{Guesses, TOLD_AFTER};

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
    guesses: Guesses,
    clock: Arc<dyn Clock>,
}

/// What a caller's credentials come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The token, or the cookie.
    Right,
    /// A token that is not the server's.
    Wrong,
    /// No token at all.
    Nothing,
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
    pub fn new(token: Option<String>, loopback_only: bool, secure: bool, clock: Arc<dyn Clock>) -> Self {
        let secret = token.map(|token| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
            let tag = hmac::sign(&key, b"kinora login cookie, version 1");
            let session = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            Secret { token, session }
        });
        Self { secret, loopback_only, secure, guesses: Guesses::default(), clock }
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

    fn shown(&self, headers: &HeaderMap) -> Shown {
        let Some(secret) = &self.secret else { return Shown::Right };
        let bearer = || {
            let values = headers.get_all(header::AUTHORIZATION).iter();
            values.map(|value| value.to_str().ok().and_then(|value| value.split_once(' ')))
        };
        let right = |(scheme, token): (&str, &str)| {
            scheme.eq_ignore_ascii_case("bearer") && same(&secret.token, token.trim())
        };
        if cookies(headers).any(|(name, value)| name == COOKIE && same(&secret.session, value))
            || bearer().any(|shown| shown.is_some_and(right))
        {
            Shown::Right
        } else if bearer().next().is_some() {
            Shown::Wrong
        } else {
            Shown::Nothing
        }
    }

    /// Refuses to look at a token of a peer that guesses many at once.
    ///
    /// # Errors
    /// `too_many_attempts`.
    pub(super) fn look(&self, peer: IpAddr) -> Result<(), ApiError> {
        if !self.guesses.is_busy(peer) {
            return Ok(());
        }
        let message = "too many wrong tokens at once come from this address";
        Err(ApiError::with_status(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message)
            .with_hint("try again in a second"))
    }

    /// Logs a wrong token now and then, and returns when its caller may be told.
    pub(super) async fn was_wrong(&self, peer: IpAddr) {
        let guess = self.guesses.wrong(peer, self.clock.monotonic());
        if let Some(attempts) = guess.to_log {
            tracing::warn!(%peer, attempts, "a wrong token was shown");
        }
        tokio::time::sleep(TOLD_AFTER).await;
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
    let peer = peer(&request);
    if !is_public(request.uri().path()) {
        let shows_token = request.headers().contains_key(header::AUTHORIZATION) && auth.secret.is_some();
        if let Err(busy) = if shows_token { auth.look(peer) } else { Ok(()) } {
            return busy.into_response();
        }
        match auth.shown(request.headers()) {
            Shown::Right => {}
            Shown::Wrong => {
                auth.was_wrong(peer).await;
                return unauthorized();
            }
            Shown::Nothing => return unauthorized(),
        }
    }
    next.run(request).await
}

/// Where a request comes from.
pub(super) fn peer(request: &Request) -> IpAddr {
    let known = request.extensions().get::<ConnectInfo<SocketAddr>>();
    known.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

fn unauthorized() -> Response {
    let error =
        ApiError::with_status(StatusCode::UNAUTHORIZED, "unauthorized", "this server needs its token")
            .with_hint("send the header Authorization: Bearer TOKEN, or log in at /login");
    ([(header::WWW_AUTHENTICATE, "Bearer")], error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(token: Option<String>, loopback_only: bool, secure: bool) -> Auth {
        let clock = kinora_base::ManualClock::at(kinora_base::WallTime::EARLIEST);
        Auth::new(token, loopback_only, secure, Arc::new(clock))
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn is_right(auth: &Auth, headers: &HeaderMap) -> bool {
        auth.shown(headers) == Shown::Right
    }

    #[test]
    fn the_token_and_the_cookie_admit_and_nothing_else_does() {
        let auth = auth(Some("s3cret".into()), false, true);
        let set = auth.log_in("s3cret").unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Secure"));
        assert!(!set.contains("s3cret"));
        let cookie = format!("other=1; {}", set.split(';').next().unwrap());
        assert!(is_right(&auth, &headers(header::COOKIE, &cookie)));
        assert!(is_right(&auth, &headers(header::AUTHORIZATION, "Bearer s3cret")));
        assert!(is_right(&auth, &headers(header::AUTHORIZATION, "bearer s3cret")));
        for bad in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer "] {
            assert!(!is_right(&auth, &headers(header::AUTHORIZATION, bad)), "{bad}");
        }
        assert!(!is_right(&auth, &headers(header::COOKIE, "kinora_session=")));
        assert!(!is_right(&auth, &HeaderMap::new()));
        assert!(auth.log_in("wrong").is_none());
    }

    #[test]
    fn a_server_without_a_token_admits_everybody() {
        assert_eq!(auth(None, true, false).shown(&HeaderMap::new()), Shown::Right);
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
