//! The server's certificate and key, read again when the files change.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;

use super::Failure;

/// How often the files are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Tls {
    config: RustlsConfig,
    cert: PathBuf,
    key: PathBuf,
    loaded: Option<Stamp>,
}

/// When the two files were last changed.
type Stamp = (SystemTime, SystemTime);

impl Tls {
    pub(super) async fn load(cert: PathBuf, key: PathBuf) -> Result<Self, Failure> {
        // Fails only if a provider is installed already, and then that one serves.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let loaded = stamp(&cert, &key).await;
        let config = RustlsConfig::from_pem_file(&cert, &key).await.map_err(|error| {
            Failure::new(format!("cannot use {} and {} for TLS: {error}", cert.display(), key.display()))
                .with_hint("give PEM files: the certificate chain, and its unencrypted private key")
        })?;
        Ok(Self { config, cert, key, loaded })
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Takes new files over as soon as they fit together; connections keep what they began with.
    pub(super) async fn reload_when_changed(mut self) {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let found = stamp(&self.cert, &self.key).await;
            if found.is_none() || found == self.loaded {
                continue;
            }
            match self.config.reload_from_pem_file(&self.cert, &self.key).await {
                Ok(()) => {
                    self.loaded = found;
                    tracing::info!(cert = %self.cert.display(), "TLS certificate read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the changed TLS files do not work; the old ones stay in use")
                }
            }
        }
    }
}

async fn stamp(cert: &Path, key: &Path) -> Option<Stamp> {
    let cert = tokio::fs::metadata(cert).await.ok()?.modified().ok()?;
    let key = tokio::fs::metadata(key).await.ok()?.modified().ok()?;
    Some((cert, key))
}
