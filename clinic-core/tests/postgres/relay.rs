//! A network that loses the moment of a commit.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
};

use super::place::Place;

/// What happens to the next COMMIT that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Loss {
    /// It passes, and so does its answer.
    Nothing,
    /// It reaches the server, whose answer is lost.
    Answer,
    /// It is lost; the server goes on waiting for it.
    Request,
    /// It reaches the server, and from then on nobody does.
    Network,
}

/// Stands between a store and its server.
pub(crate) struct Relay {
    pub(crate) url: String,
    lines: Arc<Lines>,
}

struct Lines {
    loss: AtomicU8,
    /// How often something was lost.
    lost: AtomicUsize,
    target: String,
}

impl Relay {
    /// A relay to a database.
    pub(crate) async fn to(place: &Place) -> Self {
        let (front, rest) = place.url.split_once('@').expect("the address names a user");
        let (target, database) = rest.split_once('/').expect("the address names a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{front}@{}/{database}", listener.local_addr().unwrap());
        let lines = Arc::new(Lines { loss: AtomicU8::new(Loss::Nothing as u8), lost: AtomicUsize::new(0), target: target.to_owned() });
        tokio::spawn({
            let lines = Arc::clone(&lines);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if !lines.is_down() {
                        tokio::spawn(line(Arc::clone(&lines), client));
                    }
                }
            }
        });
        Self { url, lines }
    }

    /// Loses the next COMMIT that way, or lets everything pass again.
    pub(crate) fn lose(&self, loss: Loss) {
        self.lines.loss.store(loss as u8, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) -> usize {
        self.lines.lost.load(Ordering::SeqCst)
    }
}

impl Lines {
    /// Whether the network is gone: it was to lose itself, and has.
    fn is_down(&self) -> bool {
        self.loss.load(Ordering::SeqCst) == Loss::Network as u8 && self.lost.load(Ordering::SeqCst) > 0
    }

    /// What is lost now; all but a lost network is lost once.
    fn take(&self) -> Loss {
        let loss = match self.loss.load(Ordering::SeqCst) {
            1 => Loss::Answer,
            2 => Loss::Request,
            3 => Loss::Network,
            _ => return Loss::Nothing,
        };
        if loss != Loss::Network {
            self.loss.store(Loss::Nothing as u8, Ordering::SeqCst);
        }
        self.lost.fetch_add(1, Ordering::SeqCst);
        loss
    }
}

async fn line(lines: Arc<Lines>, client: TcpStream) {
    let Ok(server) = TcpStream::connect(&lines.target).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((mut asked, mut answer), (mut answered, mut ask)) = (split(client), split(server));
    let (mut question, mut reply) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = asked.read(&mut question) => {
                let Ok(length @ 1..) = read else { return };
                let commits = question[..length].windows(6).any(|word| word == b"COMMIT");
                let loss = if commits { lines.take() } else { Loss::Nothing };
                if loss == Loss::Request {
                    drop((asked, answer));
                    // The server is left waiting, until it ends the session itself.
                    while matches!(answered.read(&mut reply).await, Ok(1..)) {}
                    return;
                }
                if ask.write_all(&question[..length]).await.is_err() {
                    return;
                }
                if loss != Loss::Nothing {
                    let _ = answered.read(&mut reply).await;
                    return;
                }
            }
            read = answered.read(&mut reply) => {
                let Ok(length @ 1..) = read else { return };
                if lines.is_down() || answer.write_all(&reply[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
