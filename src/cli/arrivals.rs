//! The order in which requests arrive, noted where connections are accepted: one at a time, before
//! their tasks compete for threads.
//!
//! A producer that lost its connection comes back on another. Under load both are read late, and
//! the dead one perhaps last; it must not displace its successor all the same. What requests are
//! about is unknown here.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use kinora_base::Clock;
use kinora_store::{Arrival, Store};
use tower_service::Service;

/// A connection's first request counts as arrived with the connection, unless it is read later
/// than this: then the connection was opened ahead, and it is the request that has just come.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// Makes each connection's service, in the order of acceptance.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    store: Store,
    clock: Arc<dyn Clock>,
    app: Router,
}

impl Arrivals {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>, app: Router) -> Self {
        Self { store, clock, app }
    }
}

impl Service<SocketAddr> for Arrivals {
    type Response = Connection;
    type Error = Infallible;
    type Future = Ready<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let accepted = (self.store.arrival(), self.clock.monotonic());
        let unused = Arc::new(Mutex::new(Some(accepted)));
        ready(Ok(Connection { arrivals: self.clone(), peer, unused }))
    }
}

/// One connection: tells each of its requests when it arrived, and where from.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    arrivals: Arrivals,
    peer: SocketAddr,
    /// When the connection was accepted, until its first request.
    unused: Arc<Mutex<Option<(Arrival, Duration)>>>,
}

impl Connection {
    /// When a request that is read now arrived.
    fn arrival(&self) -> Arrival {
        let accepted = self.unused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let now = self.arrivals.clock.monotonic();
        match accepted {
            Some((arrival, at)) if now.saturating_sub(at) <= FIRST_REQUEST_WITHIN => arrival,
            _ => self.arrivals.store.arrival(),
        }
    }
}

impl<B> Service<Request<B>> for Connection
where
    Router: Service<Request<B>, Response = axum::response::Response, Error = Infallible>,
{
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <Router as Service<Request<B>>>::poll_ready(&mut self.arrivals.app, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.arrival());
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.arrivals.app.call(request)
    }
}

#[cfg(test)]
mod tests {
    use kinora_base::{ManualClock, WallTime};
    use kinora_store::Options;

    use super::*;

    fn accept(arrivals: &mut Arrivals) -> Connection {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        arrivals.call(peer).into_inner().unwrap()
    }

    #[test]
    fn requests_arrive_in_the_order_of_their_connections_whichever_is_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(WallTime::from_millis(1_800_000_000_000)));
        let store = Store::open(folder.path(), Options::default(), Arc::clone(&clock) as _).unwrap();
        let mut arrivals = Arrivals::new(store, Arc::clone(&clock) as _, Router::new());
        let (dead, successor) = (accept(&mut arrivals), accept(&mut arrivals));
        clock.advance(Duration::from_secs(3));
        let (later, earlier) = (successor.arrival(), dead.arrival());
        assert!(earlier < later, "the dead connection was read last");
        assert!(dead.arrival() > later, "a further request arrived when it was read");
    }

    #[test]
    fn a_connection_opened_ahead_arrives_with_its_first_request() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(WallTime::from_millis(1_800_000_000_000)));
        let store = Store::open(folder.path(), Options::default(), Arc::clone(&clock) as _).unwrap();
        let mut arrivals = Arrivals::new(store, Arc::clone(&clock) as _, Router::new());
        let (ahead, other) = (accept(&mut arrivals), accept(&mut arrivals));
        let before = other.arrival();
        clock.advance(FIRST_REQUEST_WITHIN + Duration::from_secs(1));
        assert!(ahead.arrival() > before);
    }
}
