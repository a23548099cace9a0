//! A TCP relay that cuts connections after so many bytes, each as it is planned: a fault at every point of a call.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Once so many bytes were passed on to the server.
    ToServer(usize),
    /// Once so many bytes were passed on to the client.
    ToClient(usize),
}

/// What a cut looks like to both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A reset.
    Reset,
    /// An end, as if the other side had closed.
    End,
    /// Silence.
    Freeze,
}

/// A relay to one target. Dropped, it and its connections are gone.
#[derive(Debug)]
pub struct Cutter {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<VecDeque<(Point, Cut)>>,
    frozen: Notify,
    /// Bytes that the last connection passed on: to the server, to the client.
    passed: Mutex<(usize, usize)>,
}

impl Cutter {
    /// A relay to a target such as `127.0.0.1:8080`, on a free port of this host.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let accepting = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection is cut there; those after what is planned are not cut.
    pub fn plan(&self, at: Point, how: Cut) {
        lock(&self.shared.plan).push_back((at, how));
    }

    /// Whether all cuts that were planned have begun their connections.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        lock(&self.shared.plan).is_empty()
    }

    /// Waits until a connection froze.
    pub async fn frozen(&self) {
        self.shared.frozen.notified().await;
    }

    /// How many bytes the last connection passed on: to the server, to the client.
    #[must_use]
    pub fn passed(&self) -> (usize, usize) {
        *lock(&self.shared.passed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                let planned = lock(&shared.plan).pop_front();
                let (target, shared) = (target.clone(), Arc::clone(&shared));
                connections.spawn(async move { pass(client, &target, planned, &shared).await });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(mut client: TcpStream, target: &str, planned: Option<(Point, Cut)>, shared: &Shared) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let (up, down) = match planned {
        Some((Point::ToServer(most), _)) => (most, usize::MAX),
        Some((Point::ToClient(most), _)) => (usize::MAX, most),
        None => (usize::MAX, usize::MAX),
    };
    *lock(&shared.passed) = (0, 0);
    let (mut there, mut back) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let (mut up_passed, mut down_passed) = (0, 0);
    while up_passed < up && down_passed < down {
        tokio::select! {
            read = client.read(&mut there) => {
                let length = read?.min(up - up_passed);
                if length == 0 {
                    return Ok(());
                }
                server.write_all(&there[..length]).await?;
                up_passed += length;
            }
            read = server.read(&mut back) => {
                let length = read?.min(down - down_passed);
                if length == 0 {
                    return Ok(());
                }
                client.write_all(&back[..length]).await?;
                down_passed += length;
            }
        }
        *lock(&shared.passed) = (up_passed, down_passed);
    }
    match planned.map(|(_, how)| how) {
        Some(Cut::Freeze) => {
            shared.frozen.notify_one();
            std::future::pending().await
        }
        Some(Cut::Reset) => {
            client.set_zero_linger()?;
            server.set_zero_linger()
        }
        Some(Cut::End) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::echo::echo;

    /// A relay to a server that says back what it hears.
    async fn cutter() -> Cutter {
        Cutter::to(&echo().await).await.unwrap()
    }

    /// What comes back of ten bytes, and how it ends.
    async fn heard(cutter: &Cutter) -> (usize, Option<io::ErrorKind>) {
        let mut stream = TcpStream::connect(cutter.address()).await.unwrap();
        stream.write_all(b"0123456789").await.unwrap();
        let (mut all, mut piece) = (0, [0; 64]);
        while all < 10 {
            match timeout(Duration::from_millis(300), stream.read(&mut piece)).await {
                Ok(Ok(0)) => break,
                Ok(Ok(length)) => all += length,
                Ok(Err(error)) => return (all, Some(error.kind())),
                Err(_) => return (all, Some(io::ErrorKind::TimedOut)),
            }
        }
        (all, None)
    }

    #[tokio::test]
    async fn each_connection_is_cut_as_planned_and_the_others_are_not() {
        let cutter = cutter().await;
        cutter.plan(Point::ToClient(4), Cut::End);
        cutter.plan(Point::ToServer(0), Cut::Reset);
        cutter.plan(Point::ToServer(7), Cut::Freeze);
        assert_eq!(heard(&cutter).await.0, 4);
        assert_eq!(heard(&cutter).await, (0, Some(io::ErrorKind::ConnectionReset)));
        assert_eq!(heard(&cutter).await, (0, Some(io::ErrorKind::TimedOut)));
        timeout(Duration::from_secs(5), cutter.frozen()).await.unwrap();
        assert!(cutter.is_used_up());
        assert_eq!(heard(&cutter).await, (10, None));
        assert_eq!(cutter.passed(), (10, 10));
    }
}
