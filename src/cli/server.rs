//! Which server to talk to, and how.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Failure;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Server {
    /// Address of the server
    #[arg(
        long = "server",
        env = "KINORA_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    address: String,
    /// Token of the server
    #[arg(long, env = "KINORA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// PEM file with a certificate to trust beside the well-known ones
    #[arg(long, env = "KINORA_CA_CERT", value_name = "FILE")]
    ca_cert: Option<PathBuf>,
}

impl Server {
    pub(super) fn url(&self, path: &str) -> Result<String, Failure> {
        if !self.address.starts_with("http://") && !self.address.starts_with("https://") {
            return Err(Failure::new(format!("--server {} is no address", self.address))
                .with_hint("write it as http://HOST:PORT or https://HOST"));
        }
        Ok(format!("{}{path}", self.address.trim_end_matches('/')))
    }

    pub(super) fn client(&self) -> Result<reqwest::Client, Failure> {
        // Fails only if a provider is installed already, and then that one serves.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).http1_only();
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::new("the token holds characters that no header can carry"))?;
            value.set_sensitive(true);
            builder =
                builder.default_headers([(reqwest::header::AUTHORIZATION, value)].into_iter().collect());
        }
        if let Some(path) = &self.ca_cert {
            let unusable = |error: &dyn std::fmt::Display| {
                Failure::new(format!("cannot use {} as a certificate: {error}", path.display()))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge([certificate]);
        }
        builder.build().map_err(|error| Failure::new(format!("cannot prepare connections: {error}")))
    }
}

/// The innermost cause, which says more than "error sending request".
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What to do if the server's certificate is why there is no connection; trying again is not it.
pub(super) fn distrusted(error: &reqwest::Error) -> Option<&'static str> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        // An I/O error names the causes of what it holds, but not what it holds.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match held.map_or_else(|| cause.downcast_ref(), |held| held.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(_))) => {
                return Some(
                    "a certificate that is its own authority cannot be a server's: make one with \
                     -addext basicConstraints=CA:FALSE, as README shows",
                );
            }
            Some(rustls::Error::InvalidCertificate(_)) => {
                return Some("name the certificate to trust with --ca-cert, and the server as it does");
            }
            _ => {}
        }
        next = match held {
            Some(held) => Some(held),
            None => cause.source(),
        };
    }
    None
}
