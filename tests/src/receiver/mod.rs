//! A real HTTP receiver of webhooks, which misbehaves as it is told; its signatures are verified by the reference implementation.

mod answers;
mod delivery;
mod manner;
mod request;
mod signatures;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use uuid::Uuid;

pub use self::{delivery::Delivery, manner::Manner, signatures::verify};
use crate::checker::Told;

/// What came, and what became of the answers.
#[derive(Debug, Default)]
struct Seen {
    deliveries: Mutex<Vec<Delivery>>,
    verified: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    cut_off: AtomicBool,
    written: AtomicU64,
}

/// A running receiver. Dropped, it is gone with its connections.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    seen: Arc<Seen>,
    manner: Arc<Mutex<Manner>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts one on a port of its own.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of this host");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (seen, manner) = (Arc::<Seen>::default(), Arc::new(Mutex::new(manner)));
        let serving = tokio::spawn(serve(listener, seen.clone(), manner.clone()));
        Self { port, seen, manner, serving }
    }

    /// The address to register.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// It treats what comes from now on in another manner.
    pub fn turn(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Every request that came, in order of arrival, whatever it was answered.
    #[must_use]
    pub fn attempts(&self) -> Vec<Delivery> {
        self.deliveries().clone()
    }

    /// What it took, repeats among them: the requests whose effect stands, even if the sender was not told so.
    #[must_use]
    pub fn taken(&self) -> Vec<Delivery> {
        self.deliveries().iter().filter(|delivery| delivery.taken).cloned().collect()
    }

    /// How many requests came so far.
    #[must_use]
    pub fn attempts_so_far(&self) -> usize {
        self.deliveries().len()
    }

    /// How many connections were made, and how many are open.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        (self.seen.connections.load(Ordering::SeqCst), self.seen.open.load(Ordering::SeqCst))
    }

    /// Whether the sender cut an answer off that would not end.
    #[must_use]
    pub fn was_cut_off(&self) -> bool {
        self.seen.cut_off.load(Ordering::SeqCst)
    }

    /// How many bytes of endless answers could be written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.seen.written.load(Ordering::SeqCst)
    }

    /// Verifies the signatures of all that came since the last call (the specification lets none grow older than five
    /// minutes); gives how many there were.
    ///
    /// # Panics
    /// When one does not verify.
    #[track_caller]
    pub fn verify_new(&self, secret: &str) -> usize {
        let all = self.attempts();
        let before = self.seen.verified.swap(all.len(), Ordering::SeqCst);
        for (delivery, verdict) in all[before..].iter().zip(verify(secret, &all[before..])) {
            assert_eq!(verdict, Ok(()), "{delivery:?}");
        }
        all.len() - before
    }

    /// What it took, for the checker, as an endpoint's.
    #[must_use]
    pub fn told(&self, endpoint: Uuid) -> Vec<Told> {
        self.taken().iter().map(|delivery| delivery.told(endpoint)).collect()
    }

    fn deliveries(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.seen.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Dropping this drops every connection with it.
async fn serve(listener: TcpListener, seen: Arc<Seen>, manner: Arc<Mutex<Manner>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(connection(stream, seen.clone(), manner.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut stream: TcpStream, seen: Arc<Seen>, manner: Arc<Mutex<Manner>>) {
    seen.connections.fetch_add(1, Ordering::SeqCst);
    seen.open.fetch_add(1, Ordering::SeqCst);
    let mut read = Vec::new();
    while let Some(request) = request::next(&mut stream, &mut read).await {
        let manner = manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = {
            let mut all = seen.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = all.iter().filter(|before| before.id == request.id).count();
            let answer = manner.answer(&request.id, turn);
            all.push(Delivery { taken: answer.takes, ..request });
            answer
        };
        if !answers::write(&mut stream, answer, &seen).await {
            break;
        }
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What a sender that waits so long hears of a message.
    async fn send(receiver: &Receiver, id: &str, within: Duration) -> Option<u16> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.post(receiver.url()).header("webhook-id", id).body(r#"{"type":"booking.confirmed"}"#).timeout(within);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        answer.bytes().await.ok()?;
        Some(status)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_manner_does_what_it_says() {
        let (long, short) = (Duration::from_secs(60), Duration::from_millis(300));
        let receiver = Receiver::start(Manner::Healthy).await;
        assert_eq!(send(&receiver, "a", long).await, Some(204));
        assert_eq!((receiver.taken().len(), receiver.taken()[0].event().as_deref()), (1, Some("confirmed")));
        receiver.turn(Manner::Answering(410));
        assert_eq!(send(&receiver, "b", long).await, Some(410));
        receiver.turn(Manner::Redirecting("http://169.254.169.254/".into()));
        assert_eq!(send(&receiver, "b", long).await, Some(302));
        for endless in [Manner::Hanging, Manner::DrippingHead, Manner::DrippingBody] {
            receiver.turn(endless);
            assert_eq!(send(&receiver, "b", short).await, None);
        }
        receiver.turn(Manner::Refusing(1));
        for number in 0..20 {
            let id = number.to_string();
            let mut heard = Vec::new();
            for _ in 0..7 {
                heard.push(send(&receiver, &id, long).await);
            }
            assert!(heard[5..].iter().all(|status| *status == Some(200)), "{heard:?}");
            let taken = receiver.taken().iter().filter(|delivery| delivery.id == id).count();
            assert!(taken >= heard.iter().filter(|status| **status == Some(200)).count());
        }
        assert_eq!(receiver.attempts_so_far(), 6 + 140);
        assert!(receiver.taken().len() < 140);
    }
}
