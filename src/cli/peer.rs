//! Connections as the server takes them: small writes leave at once, and a peer that has stopped
//! listening is still heard out.
//!
//! A producer such as ffmpeg sends its last media, closes without having read the acks, and so
//! resets the connection. Its last bytes have arrived all the same, but an HTTP library that
//! fails to write an ack gives up the whole connection and the unread media with it. So a write
//! that fails counts as done for a while, and it is reading that finds the end.
//!
//! A peer that takes nothing of what it asked for, and sends nothing either, is let go after a
//! while, and with it what was kept for it. Nothing here knows HTTP.

use std::future::{Future, Ready, ready};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// So many bytes may go to a peer that is gone before writing fails: many acks, and little of
/// any media.
const MAX_UNHEARD_BYTES: usize = 64 * 1024;

/// A peer that neither takes nor sends a byte for so long while something waits for it is let go.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// A peer has so long to send its first bytes; from then on HTTP has time limits of its own.
const OPENING_TIMEOUT: Duration = Duration::from_secs(30);

/// So many bytes tell which HTTP it speaks: the preface of HTTP/2 (RFC 9113 §3.4).
const OPENING_BYTES: usize = 24;

/// Takes connections as [`Peer`]s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peers;

impl<S> Accept<TcpStream, S> for Peers {
    type Stream = Peer;
    type Service = S;
    type Future = Ready<io::Result<(Peer, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // An ack is one small write; Nagle's algorithm would hold it back for tens of milliseconds.
        let nodelay = stream.set_nodelay(true);
        let peer = Peer {
            stream,
            unheard_bytes: None,
            ended: false,
            stalled: None,
            opening: Some((OPENING_BYTES, Box::pin(sleep(OPENING_TIMEOUT)))),
        };
        ready(nodelay.map(|()| (peer, service)))
    }
}

/// A connection whose reading side outlives its writing side.
#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    /// What was written since the peer is gone; `None` while it is there.
    unheard_bytes: Option<usize>,
    /// There is nothing left to read.
    ended: bool,
    /// Runs out when the peer has done nothing for [`STALLED_AFTER`]; `None` while it takes what
    /// it is sent.
    stalled: Option<Pin<Box<Sleep>>>,
    /// How many of its first bytes are still to come, and when they must be here.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Peer {
    /// What a write of `length` bytes comes to.
    fn written(&mut self, outcome: io::Result<usize>, length: usize) -> io::Result<usize> {
        self.stalled = None;
        match outcome {
            Err(error) if is_gone(&error) && !self.ended => self.unheard(length),
            outcome => outcome,
        }
    }

    /// What a write that did not finish at once comes to: waiting, but not for ever.
    fn waiting(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED_AFTER)));
        stalled.as_mut().poll(context).map(|()| Err(ErrorKind::TimedOut.into()))
    }

    /// Counts `length` bytes that nobody will hear.
    fn unheard(&mut self, length: usize) -> io::Result<usize> {
        let total = self.unheard_bytes.unwrap_or(0).saturating_add(length);
        self.unheard_bytes = Some(total);
        if self.ended || total > MAX_UNHEARD_BYTES {
            return Err(ErrorKind::BrokenPipe.into());
        }
        Ok(length)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(context, buffer) else {
            let Some((_, deadline)) = &mut self.opening else { return Poll::Pending };
            return deadline.as_mut().poll(context).map(|()| Err(ErrorKind::TimedOut.into()));
        };
        self.stalled = None;
        if let Some((missing, deadline)) = self.opening.take() {
            let missing = missing.saturating_sub(buffer.filled().len() - before);
            self.opening = (missing > 0).then_some((missing, deadline));
        }
        self.ended |= outcome.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unheard_bytes.is_some() {
            return Poll::Ready(self.unheard(data.len()));
        }
        match Pin::new(&mut self.stream).poll_write(context, data) {
            Poll::Ready(outcome) => Poll::Ready(self.written(outcome, data.len())),
            Poll::Pending => self.waiting(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = data.iter().map(|slice| slice.len()).sum();
        if self.unheard_bytes.is_some() {
            return Poll::Ready(self.unheard(length));
        }
        match Pin::new(&mut self.stream).poll_write_vectored(context, data) {
            Poll::Ready(outcome) => Poll::Ready(self.written(outcome, length)),
            Poll::Pending => self.waiting(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush, gone or not.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unheard_bytes.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A connection to a peer that sent `media` and went away with an ack unread.
    async fn gone_peer(media: &[u8]) -> Peer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut producer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, ()) = Peers.accept(stream, ()).await.unwrap();
        peer.write_all(b"an ack").await.unwrap();
        producer.write_all(media).unwrap();
        // Closing with something unread resets the connection (RFC 9293, section 3.6).
        let unread = producer.peek(&mut [0]).unwrap();
        assert_eq!(unread, 1);
        drop(producer);
        peer
    }

    #[tokio::test]
    async fn what_a_producer_sent_last_is_read_though_it_no_longer_listens() {
        let mut peer = gone_peer(b"the last fragment").await;
        peer.write_all(b"another ack").await.unwrap();
        assert!(peer.unheard_bytes.is_some(), "the reset did not arrive: this test proves nothing");
        let mut last = [0; 17];
        peer.read_exact(&mut last).await.unwrap();
        assert_eq!(&last, b"the last fragment");
        assert!(!matches!(peer.read(&mut last).await, Ok(1..)));
        assert!(peer.write_all(b"one more").await.is_err(), "after the end, writing fails");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_let_go() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, ()) = Peers.accept(stream, ()).await.unwrap();
        silent.write_all(b"PRI * HT").unwrap();
        let mut buffer = [0; 64];
        peer.read_exact(&mut buffer[..8]).await.unwrap();
        assert_eq!(peer.read(&mut buffer).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_let_go() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, ()) = Peers.accept(stream, ()).await.unwrap();
        let more_than_sockets_hold = vec![0; 64 << 20];
        let refused = peer.write_all(&more_than_sockets_hold).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_not_sent_media_for_ever() {
        let mut peer = gone_peer(b"x").await;
        let media = vec![0; MAX_UNHEARD_BYTES];
        assert!(peer.write_all(b"x").await.is_ok());
        assert!(peer.write_all(&media).await.is_err());
    }
}
