//! The connection to the bus, on tokio, woken for what comes in and not for what has gone out.
//!
//! zbus' own way to tokio watches a socket for both directions at once. A bus that takes a message out of the
//! socket's queue then wakes this process to tell that there is room again, which nobody waits for: one wakeup for
//! each reply and signal. Here the socket is watched for room only while a write waits for it.

mod room;

use room::Room;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use zbus::runtime::traits::{PollIo, Runtime, TaskHandle};
use zbus::runtime::{Interest, IoSource};

/// How much may be on its way to the bus, in bytes; the kernel doubles it for what it keeps beside each message. A bus that
/// is kept busy by one client takes long for what is in this queue, and replies to the others wait in it, too.
const SEND_BUFFER: usize = 4 << 10;

/// The tokio runtime of whoever builds the connection, for [`zbus::connection::Builder::runtime`].
///
/// Everything of the connection must be polled on that runtime.
#[derive(Clone, Copy, Debug)]
pub struct OnTokio;

impl Runtime for OnTokio {
    type RegisteredIoSource = Watched;
    type Sleep = tokio::time::Sleep;
    type Task<T>
        = Task<T>
    where
        T: Send + 'static;

    fn register_io_source(&self, source: IoSource) -> io::Result<Watched> {
        // SAFETY: the source owns its descriptor together with its clones, and never changes it.
        let readable = unsafe { AsyncFd::register_with_interest(source, tokio::io::Interest::READABLE) }?;
        Ok(Watched { readable, room: Mutex::default(), room_to_read: Mutex::default() })
    }

    fn sleep(&self, duration: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(duration)
    }

    fn spawn<T>(&self, _name: &str, future: impl Future<Output = T> + Send + 'static) -> Task<T>
    where
        T: Send + 'static,
    {
        Task(Some(tokio::spawn(future)))
    }

    async fn connect_tcp(&self, address: SocketAddr) -> io::Result<IoSource> {
        let stream = tokio::net::TcpStream::connect(address).await?.into_std()?;
        Ok(IoSource::from(OwnedFd::from(stream)))
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<IoSource> {
        let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
        socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        Ok(IoSource::from(OwnedFd::from(stream)))
    }

    /// Only addresses of the kind `unixexec:` need it, and a service is not reached by one.
    fn spawn_process(
        &self,
        _command: Command,
        _stdin: Stdio,
        _stdout: Stdio,
        _stderr: Stdio,
    ) -> io::Result<Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'static>>> {
        Err(io::Error::from(ErrorKind::Unsupported))
    }
}

/// A socket that tokio watches.
#[derive(Debug)]
pub struct Watched {
    readable: AsyncFd<IoSource>,
    /// There only while a write waits: a second descriptor, because one descriptor is watched once.
    room: Mutex<Option<AsyncFd<OwnedFd>>>,
    room_to_read: Mutex<Room>,
}

impl PollIo for Watched {
    fn poll_io<T>(
        &self,
        context: &mut Context<'_>,
        interest: Interest,
        operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        match interest {
            Interest::Readable => self.poll_read(context, operation),
            _ => self.poll_write(context, operation),
        }
    }
}

impl Watched {
    fn poll_read<T>(
        &self,
        context: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut ready = ready!(self.readable.poll_read_ready(context))?;
            let mut room = self.room_to_read.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(room.poll(context, self.readable.get_ref().as_fd()));
            if let Ok(done) = ready.try_io(|_| operation()) {
                return Poll::Ready(done);
            }
        }
    }

    /// Writes at once, and watches for room only if there is none.
    fn poll_write<T>(
        &self,
        context: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match operation() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => {
                    *room = None;
                    return Poll::Ready(done);
                }
            }
            let watched = match &mut *room {
                Some(watched) => watched,
                none => none.insert(self.watch_for_room()?),
            };
            // Told of room, the write is tried again; only in vain is the next word of room waited for.
            ready!(watched.poll_write_ready(context))?.clear_ready();
        }
    }

    fn watch_for_room(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let descriptor = self.readable.get_ref().as_fd().try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` owns its descriptor and never changes it.
        let watched = unsafe { AsyncFd::register_with_interest(descriptor, tokio::io::Interest::WRITABLE) };
        Ok(watched?)
    }
}

/// A task that ends when nobody has it any more, unless it is detached.
#[derive(Debug)]
pub struct Task<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> TaskHandle<T> for Task<T> {
    fn detach(mut self) {
        self.0 = None;
    }
}

impl<T> Future for Task<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(context).map_err(io::Error::from),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::OnTokio;
    use futures_util::StreamExt;
    use std::os::unix::net::UnixStream;
    use zbus::connection::Builder;
    use zbus::{Connection, Guid, Message, MessageStream};

    const LENGTH: usize = 50_000;
    /// Far more than a socket's queue holds.
    const MESSAGES: usize = 200;

    /// Two ends without a bus between.
    pub(crate) async fn pair() -> (Connection, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let near = Builder::unix_stream(ours).server(Guid::generate()).p2p().runtime(OnTokio).build();
        let far = Builder::unix_stream(theirs).p2p().runtime(OnTokio).build();
        futures_util::try_join!(near, far).unwrap()
    }

    fn messages() -> Vec<Message> {
        let body = "x".repeat(LENGTH);
        (0..MESSAGES).map(|_| Message::signal("/", "org.example", "Long").build(&body).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_finds_no_room_is_sent_when_there_is_some() {
        let (near, far) = pair().await;
        let mut read = MessageStream::from(&far);
        let (sent, ()) = tokio::join!(
            async {
                for message in messages() {
                    near.send(&message).await.unwrap();
                }
                MESSAGES
            },
            async {
                for _ in 0..MESSAGES {
                    let message = read.next().await.unwrap().unwrap();
                    assert_eq!(message.body().deserialize::<&str>().unwrap().len(), LENGTH);
                }
            }
        );
        assert_eq!(sent, MESSAGES);
    }
}
