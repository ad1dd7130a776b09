//! What every handler can reach.

use std::sync::Arc;

use kinora_base::{Clock, StreamName};
use kinora_store::{Store, Stream};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Auth};
use crate::ingest::{Clocks, PutSettings};
use crate::playback::Catalog;

/// Settings of the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Settings of producers' connections.
    pub put: PutSettings,
}

/// Shared by all requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// See [`Settings`].
    pub settings: Arc<Settings>,
    /// Who may call.
    pub auth: Arc<Auth>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// The clocks of the producers that are connected.
    pub clocks: Clocks,
    /// Decoded configurations.
    pub catalog: Catalog,
    /// Cancelled when the server stops: producers are told, and what they sent is finished.
    pub stopping: CancellationToken,
}

impl AppState {
    /// The stream called `name`.
    ///
    /// # Errors
    /// A bad name, no such stream, or one that is out of service.
    pub fn stream(&self, name: &str) -> Result<Arc<Stream>, ApiError> {
        let name = StreamName::new(name)?;
        self.store.stream(&name).ok_or_else(|| match self.store.out_of_service(&name) {
            Some(_) => ApiError::out_of_service(&name),
            None => ApiError::stream_not_found(&name),
        })
    }
}

/// Runs something that may wait for the disk, away from the threads that serve sockets.
///
/// # Errors
/// What `work` returns; `internal` if it panicked.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(panicked) => Err(ApiError::internal(&panicked)),
    }
}
