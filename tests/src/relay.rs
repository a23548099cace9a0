//! A TCP relay: a network that can be cut, frozen and slowed down at will.
//!
//! Whoever connects to it is connected to its target, byte for byte. It stands between processes and their broker, on an
//! address that stays the same whatever becomes of the two ends.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::http::Address;

/// Pieces of one direction that are under way at once.
const UNDER_WAY: usize = 64;
/// The largest piece, in bytes.
const PIECE: usize = 16 * 1024;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Every byte arrives so much later.
    Slow(Duration),
    /// Connections stay, nothing passes.
    Frozen,
    /// Connections are reset, new ones refused.
    Cut,
}

#[derive(Clone, Copy, Debug)]
struct State {
    weather: Weather,
    /// How often connections were reset; a connection of an earlier count has ended.
    resets: u64,
}

/// A relay. Dropped, it resets its connections and is gone.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay to a target such as `127.0.0.1:5672`, on a free port of this host.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(target: &str) -> io::Result<Self> {
        let address = Address::default();
        address.set(target);
        Self::before(address).await
    }

    /// A relay to wherever a clinic serves: who is connected anew finds it there after a restart.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn before(target: Address) -> io::Result<Self> {
        // Bound and never listening: it keeps the port ours while the listener is gone, so that it can truly refuse.
        let keeper = socket("127.0.0.1:0".parse().expect("an address"))?;
        let address = keeper.local_addr()?;
        let listener = socket(address)?.listen(1024)?;
        let (state, seen) = watch::channel(State { weather: Weather::Fair, resets: 0 });
        let open = Arc::<AtomicUsize>::default();
        let lines = Lines { target, address, state: seen, open: Arc::clone(&open), _keeper: Arc::new(keeper) };
        let accepting = tokio::spawn(lines.accept(listener));
        Ok(Self { address, state, open, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are open through it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Resets every connection and refuses new ones.
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State { weather: Weather::Cut, resets: state.resets + 1 });
    }

    /// Keeps connections open and lets nothing pass, not even their end. New ones are accepted as a full network does.
    pub fn freeze(&self) {
        self.change(Weather::Frozen);
    }

    /// Delivers every byte so much later, in each direction.
    pub fn delay(&self, by: Duration) {
        self.change(Weather::Slow(by));
    }

    /// Lets everything pass again; what was frozen arrives.
    pub fn restore(&self) {
        self.change(Weather::Fair);
    }

    fn change(&self, weather: Weather) {
        self.state.send_modify(|state| state.weather = weather);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What every connection is made of.
#[derive(Clone)]
struct Lines {
    target: Address,
    address: SocketAddr,
    state: watch::Receiver<State>,
    open: Arc<AtomicUsize>,
    _keeper: Arc<TcpSocket>,
}

impl Lines {
    async fn accept(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let cut = self.state.borrow_and_update().weather == Weather::Cut;
            if cut {
                listener = None;
            } else if listener.is_none() {
                listener = socket(self.address).and_then(|socket| socket.listen(1024)).ok();
            }
            tokio::select! {
                changed = self.state.changed() => if changed.is_err() { return },
                Ok((client, _)) = accept(listener.as_ref()) => {
                    tokio::spawn(self.clone().connect(client));
                }
            }
        }
    }

    async fn connect(self, mut client: TcpStream) {
        let resets = self.state.borrow().resets;
        let Ok(mut server) = TcpStream::connect(self.target.get()).await else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        self.open.fetch_add(1, Ordering::Relaxed);
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async { tokio::join!(pass(from_client, to_server, &self.state), pass(from_server, to_client, &self.state)) };
        let was_reset = tokio::select! {
            _ = both => false,
            () = was_reset(self.state.clone(), resets) => true,
        };
        if was_reset {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
        drop((client, server));
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn was_reset(mut state: watch::Receiver<State>, resets: u64) {
    // An error means that the relay itself is gone.
    let _ = state.wait_for(|state| state.resets != resets).await;
}

/// One direction, until its end has arrived.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &watch::Receiver<State>) {
    let (taken, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let reading = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let arrives = match state.borrow().weather {
                Weather::Slow(by) => Instant::now() + by,
                _ => Instant::now(),
            };
            if taken.send((arrives, piece[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        let mut state = state.clone();
        while let Some((arrives, piece)) = under_way.recv().await {
            sleep_until(arrives).await;
            thaw(&mut state).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        thaw(&mut state).await;
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

async fn thaw(state: &mut watch::Receiver<State>) {
    let _ = state.wait_for(|state| state.weather != Weather::Frozen).await;
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::time::timeout;

    use super::*;
    use crate::echo::echo;

    /// Long enough for a byte that can pass to have passed.
    const A_WHILE: Duration = Duration::from_millis(150);
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn relay() -> Relay {
        Relay::to(&echo().await).await.unwrap()
    }

    async fn connect(relay: &Relay) -> TcpStream {
        timeout(PATIENCE, TcpStream::connect(relay.address())).await.unwrap().unwrap()
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) {
        timeout(PATIENCE, stream.write_all(text)).await.unwrap().unwrap();
    }

    async fn hear(stream: &mut TcpStream, length: usize) -> io::Result<Vec<u8>> {
        let mut heard = vec![0; length];
        timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap()?;
        Ok(heard)
    }

    #[tokio::test]
    async fn what_is_said_comes_back_to_the_last_byte() {
        let relay = relay().await;
        let mut stream = connect(&relay).await;
        let text: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let (mut from, mut to) = stream.split();
        let saying = async {
            to.write_all(&text).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (_, read) = timeout(PATIENCE, async { tokio::join!(saying, from.read_to_end(&mut heard)) }).await.unwrap();
        assert_eq!((read.unwrap(), heard == text), (text.len(), true));
    }

    #[tokio::test]
    async fn a_cut_resets_and_refuses_until_it_is_restored() {
        let relay = relay().await;
        let mut stream = connect(&relay).await;
        say(&mut stream, b"one").await;
        assert_eq!(hear(&mut stream, 3).await.unwrap(), b"one");
        assert_eq!(relay.connections(), 1);
        relay.cut();
        assert_eq!(hear(&mut stream, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        crate::eventually::eventually("refusal", PATIENCE, || async {
            TcpStream::connect(relay.address()).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())
        })
        .await;
        relay.restore();
        let mut stream =
            crate::eventually::eventually("a welcome", PATIENCE, || async { TcpStream::connect(relay.address()).await.ok() }).await;
        say(&mut stream, b"two").await;
        assert_eq!(hear(&mut stream, 3).await.unwrap(), b"two");
    }

    #[tokio::test]
    async fn a_cut_too_short_to_be_noticed_resets_all_the_same() {
        let relay = relay().await;
        let mut stream = connect(&relay).await;
        say(&mut stream, b"x").await;
        hear(&mut stream, 1).await.unwrap();
        relay.cut();
        relay.restore();
        assert_eq!(hear(&mut stream, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn frozen_bytes_arrive_when_it_is_restored() {
        let relay = relay().await;
        let mut stream = connect(&relay).await;
        relay.freeze();
        say(&mut stream, b"later").await;
        let mut late = connect(&relay).await;
        say(&mut late, b"as well").await;
        assert!(timeout(A_WHILE, stream.read_u8()).await.is_err(), "a byte passed");
        relay.restore();
        assert_eq!(hear(&mut stream, 5).await.unwrap(), b"later");
        assert_eq!(hear(&mut late, 7).await.unwrap(), b"as well");
    }

    #[tokio::test]
    async fn a_delay_holds_up_each_direction() {
        let relay = relay().await;
        let mut stream = connect(&relay).await;
        relay.delay(Duration::from_millis(100));
        let began = Instant::now();
        say(&mut stream, &[7; 100_000]).await;
        hear(&mut stream, 100_000).await.unwrap();
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(200), "{took:?}");
    }

    #[tokio::test]
    async fn it_follows_a_clinic_to_another_address() {
        let clinic = Address::default();
        let relay = Relay::before(clinic.clone()).await.unwrap();
        assert!(hear(&mut connect(&relay).await, 1).await.is_err());
        for _ in 0..2 {
            clinic.set(&echo().await);
            let mut stream = connect(&relay).await;
            say(&mut stream, b"here").await;
            assert_eq!(hear(&mut stream, 4).await.unwrap(), b"here");
        }
    }

    #[tokio::test]
    async fn where_the_target_is_gone_nobody_stays_connected() {
        let gone = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string() };
        let relay = Relay::to(&gone).await.unwrap();
        let mut stream = connect(&relay).await;
        assert!(hear(&mut stream, 1).await.is_err());
    }
}
