//! A client's connection, on which nothing waits for ever.
//!
//! The framework's own limits are for a connection's first head and for one on which nothing comes. A
//! second head that has begun has none, nor has an answer that nobody reads: each would hold one of
//! the connections, of which there are only so many. So one ends on which nothing of an answer has
//! gone out for long.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long nothing of an answer may go out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first that came after what went out last.
    pub(crate) asked: Duration,
    /// From what went out last, where nothing has come since.
    pub(crate) idle: Duration,
}

/// A stream that ends by [`Limits`].
#[derive(Debug)]
pub(crate) struct Stream<T> {
    io: T,
    limits: Limits,
    deadline: Instant,
    /// Something has come since something went out.
    asked: bool,
    /// Goes off at the deadline, or before one that has been put off since: most are, and to set it
    /// each time would cost more than to look at it again.
    alarm: Pin<Box<Sleep>>,
}

impl Stream<TcpStream> {
    /// A connection that has just been made. What lies in the system's buffers may be unread for
    /// [`Limits::asked`].
    pub(crate) fn accept(io: TcpStream, limits: Limits) -> Self {
        if let Err(error) = SockRef::from(&io).set_tcp_user_timeout(Some(limits.asked)) {
            tracing::debug!(%error, "an answer may wait for its reader for as long as the system likes");
        }
        Self::new(io, limits)
    }
}

impl<T> Stream<T> {
    fn new(io: T, limits: Limits) -> Self {
        let deadline = Instant::now() + limits.idle;
        let alarm = Box::pin(tokio::time::sleep_until(deadline));
        Self { io, limits, deadline, asked: false, alarm }
    }

    fn came(&mut self) {
        if !self.asked {
            self.asked = true;
            self.deadline = Instant::now() + self.limits.asked;
            if self.deadline < self.alarm.deadline() {
                self.alarm.as_mut().reset(self.deadline);
            }
        }
    }

    fn went(&mut self) {
        self.asked = false;
        self.deadline = Instant::now() + self.limits.idle;
    }

    /// Ready where the stream has waited for too long.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        while self.alarm.as_mut().poll(context).is_ready() {
            if self.deadline <= Instant::now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_pending() {
            return self.poll_late(context).map(Err);
        }
        if buffer.filled().len() > before {
            self.came();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        match written {
            Poll::Pending => return self.poll_late(context).map(Err),
            Poll::Ready(Ok(_)) => self.went(),
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LIMITS: Limits =
        Limits { asked: Duration::from_millis(300), idle: Duration::from_millis(900) };

    /// The server's side, and the client's, with room for so many bytes on the way.
    fn pair(room: usize) -> (Stream<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(room);
        (Stream::new(server, LIMITS), client)
    }

    /// How long it takes until the server is told that it has waited for too long.
    async fn ends_after(server: &mut Stream<DuplexStream>) -> Duration {
        let begin = Instant::now();
        let mut byte = [0];
        loop {
            match server.read(&mut byte).await {
                Ok(read) => assert_eq!(read, 1, "the client is there"),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return begin.elapsed();
                }
            }
        }
    }

    #[tokio::test]
    async fn what_has_begun_to_come_ends_sooner_than_what_has_not() {
        let (mut silent, _client) = pair(64);
        let took = ends_after(&mut silent).await;
        assert!(took >= LIMITS.idle, "{took:?}");
        let (mut server, mut client) = pair(64);
        client.write_all(b"G").await.unwrap();
        let took = ends_after(&mut server).await;
        assert!(took >= LIMITS.asked && took < LIMITS.idle, "{took:?}");
    }

    #[tokio::test]
    async fn a_byte_now_and_then_puts_nothing_off() {
        let (mut server, mut client) = pair(64);
        let dribble = tokio::spawn(async move {
            while client.write_all(b"G").await.is_ok() {
                tokio::time::sleep(LIMITS.asked / 10).await;
            }
        });
        let took = ends_after(&mut server).await;
        assert!(took >= LIMITS.asked && took < LIMITS.idle, "{took:?}");
        drop(server);
        dribble.await.unwrap();
    }

    #[tokio::test]
    async fn who_is_answered_goes_on() {
        let (mut server, mut client) = pair(64);
        for _ in 0..6 {
            client.write_all(b"?").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'?');
            tokio::time::sleep(LIMITS.asked / 2).await;
            server.write_all(b"!").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'!');
        }
        let took = ends_after(&mut server).await;
        assert!(took >= LIMITS.idle.saturating_sub(LIMITS.asked), "{took:?}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends() {
        let (mut server, _client) = pair(4);
        let error = server.write_all(b"an answer").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
