//! `kinora serve`: opens the store, listens, and stops cleanly.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use clap::Args;
use kinora_base::Clock;
use kinora_store::{Foreign, Options, Store};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::arrivals::Arrivals;
use super::clock::SystemClock;
use super::config::Config;
use super::encryption::keys;
use super::peer::Peers;
use super::settings::Settings;
use super::tls::Tls;
use crate::api::{self, AppState, Auth, router};
use crate::ingest::Clocks;
use crate::playback::Catalog;

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes read from a connection at once. Media is kept as slices of what was read, so this is
/// also what a small slice can keep alive.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// How long open requests may take to finish when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How often the metrics' raw samples are folded into their histograms: they pile up until then,
/// whether anybody reads the metrics or not.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Most things that are not ours which one warning names.
const MOST_FOREIGN_NAMED: usize = 20;

/// Where it listens, and where it records, unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";
const DATA_DIR: &str = "./data";

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// TOML file with settings, named like these arguments; arguments and variables count before it.
    /// SIGHUP reads its limits again
    #[arg(long, env = "KINORA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        log_to_stderr();
        allow_many_files();
        let (config, settings) = match self.config {
            Some(path) => Config::read(path, self.settings).map(|(config, joined)| (Some(config), joined))?,
            None => (None, self.settings.or(Settings::default())),
        };
        let limits = settings.limits();
        let listen = settings.listen.unwrap_or_else(|| LISTEN.to_owned());
        let addresses = addresses(&listen)?;
        let loopback_only = addresses.iter().all(|address| address.ip().is_loopback());
        let token = settings.token.filter(|token| !token.is_empty());
        if token.is_none() && !loopback_only {
            return Err(Failure::new(format!(
                "listening on {listen} lets other machines in, so callers must show a token"
            ))
            .with_hint("add --token SECRET (or KINORA_TOKEN), or listen on 127.0.0.1"));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("cannot start worker threads: {error}")))?;
        let tls = match (settings.tls_cert, settings.tls_key) {
            (Some(cert), Some(key)) => Some(runtime.block_on(Tls::load(cert, key))?),
            (None, None) => None,
            _ => {
                return Err(Failure::new("TLS needs both a certificate and its private key")
                    .with_hint("give --tls-cert and --tls-key, or neither"));
            }
        };
        let listener =
            TcpListener::bind(addresses.as_slice()).map_err(|error| cannot_listen(&listen, &error))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys = keys(settings.encryption_key_file.as_deref())?;
        if let Some(key) = keys.as_ref().and_then(|keys| keys.fingerprints().next()) {
            tracing::info!(%key, "what is recorded is encrypted");
        }
        let segment_bytes = settings.segment_bytes.unwrap_or(Options::default().segment_bytes);
        let options = Options { segment_bytes, keys, limits, ..Options::default() };
        let data_dir = settings.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
        let store = Store::open(data_dir, options, Arc::clone(&clock))?;
        report_recovery(&store);
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| Failure::new(format!("cannot collect metrics: {error}")))?;
        runtime.spawn(keep_up(metrics.clone()));
        let state = AppState {
            store: store.clone(),
            clock: Arc::clone(&clock),
            settings: Arc::new(api::Settings::default()),
            auth: Arc::new(Auth::new(token, loopback_only, tls.is_some(), Arc::clone(&clock))),
            metrics,
            clocks: Clocks::default(),
            catalog: Catalog::default(),
            stopping: CancellationToken::new(),
        };
        let stopping = state.stopping.clone();
        let arrivals = Arrivals::new(store.clone(), Arc::clone(&state.clock), router(state));
        // Nobody waits for it: it may have millions of names to list.
        let surveyed = store.clone();
        runtime.spawn_blocking(move || warn_of_foreign(&surveyed.survey()));
        if let Some(config) = config {
            let _inside = runtime.enter();
            let hangup = signal(SignalKind::hangup())
                .map_err(|error| Failure::new(format!("cannot watch for SIGHUP: {error}")))?;
            runtime.spawn(config.reload_at(hangup, store.clone()));
        }
        let served = runtime.block_on(serve(listener, arrivals, tls, stopping));
        // Sessions have ended or been given their time; whatever still runs ends with the store.
        runtime.shutdown_timeout(Duration::from_secs(1));
        store.close();
        tracing::info!("stopped; everything acknowledged is on disk");
        served
    }
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let found: Vec<SocketAddr> = listen
        .to_socket_addrs()
        .map_err(|error| {
            Failure::new(format!("cannot understand --listen {listen}: {error}"))
                .with_hint("write it as HOST:PORT, for example 127.0.0.1:8080 or [::]:8080")
        })?
        .collect();
    if found.is_empty() {
        return Err(Failure::new(format!("--listen {listen} has no address")));
    }
    Ok(found)
}

/// Each live stream keeps a file open, and each connection a socket: the usual soft limit of 1,024
/// is soon reached, the hard limit is not.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of open files; many streams may need more");
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("KINORA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

async fn keep_up(metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(METRICS_UPKEEP_EVERY);
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

fn report_recovery(store: &Store) {
    let recovery = store.recovery();
    if !recovery.clean {
        tracing::warn!(
            discarded_bytes = recovery.discarded_bytes,
            "the last shutdown was not clean; everything acknowledged is here, unfinished writes were discarded"
        );
    }
    for damage in &recovery.damages {
        tracing::error!("damage found: {damage}; run `kinora verify` to read everything");
    }
    for refused in &recovery.out_of_service {
        tracing::error!(
            "the stream '{}' is out of service: {}; nothing of it was changed, all other streams run; \
             put it right, then restart the server",
            refused.stream,
            refused.error
        );
    }
    warn_of_foreign(&recovery.foreign);
}

fn warn_of_foreign(foreign: &[Foreign]) {
    if foreign.is_empty() {
        return;
    }
    let named: Vec<String> = foreign.iter().take(MOST_FOREIGN_NAMED).map(Foreign::to_string).collect();
    let more = foreign.len().saturating_sub(named.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    tracing::warn!("left alone in the data folder, because it is not ours: {}{more}", named.join("; "));
}

fn cannot_listen(listen: &str, error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("cannot listen on {listen}: {error}"));
    if error.kind() == std::io::ErrorKind::AddrInUse {
        return failure.with_hint("another program has this port; choose one with --listen 127.0.0.1:PORT");
    }
    failure
}

async fn serve(
    listener: TcpListener,
    arrivals: Arrivals,
    tls: Option<Tls>,
    stopping: CancellationToken,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("the server failed: {error}"));
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://{}", reachable(address));
    let handle = Handle::new();
    tokio::spawn(stop_on_signal(handle.clone(), stopping));
    match tls {
        None => {
            let mut server = axum_server::from_tcp(listener).map_err(failed)?.acceptor(Peers).handle(handle);
            limit_reading(server.http_builder());
            server.serve(arrivals).await.map_err(failed)
        }
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls.config()).map_err(failed)?;
            let mut server = server.map(|acceptor| acceptor.acceptor(Peers)).handle(handle);
            limit_reading(server.http_builder());
            tokio::spawn(tls.reload_when_changed());
            server.serve(arrivals).await.map_err(failed)
        }
    }
}

/// An address that a browser on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn limit_reading(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder
        .http1()
        .max_buf_size(READ_BUFFER_BYTES)
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(hyper_util::rt::TokioTimer::new()).keep_alive_interval(HEADER_TIMEOUT);
}

/// First tells the producers, so that what they sent is finished and acknowledged, then stops
/// taking connections.
async fn stop_on_signal(handle: Handle<SocketAddr>, stopping: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!(
            "cannot watch for signals; stop the server with SIGKILL, which loses nothing acknowledged"
        );
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    stopping.cancel();
    handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
}
