//! Looking host names up.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Threads that may wait for the system's resolver: it may hold each for half a minute, and others need threads as well.
const THREADS: usize = 64;

/// Looks host names up.
pub trait Lookup: Send + Sync + 'static {
    /// Every address of the host.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver. A name is asked for once at a time, whoever waits for it: one that nobody answers for holds one thread.
pub(super) struct System(Arc<Asked>);

struct Asked {
    threads: Arc<Semaphore>,
    under_way: Mutex<HashMap<String, Answer>>,
}

type Answer = Shared<BoxFuture<'static, Result<Vec<IpAddr>, Arc<io::Error>>>>;

impl Default for System {
    fn default() -> Self {
        Self(Arc::new(Asked { threads: Arc::new(Semaphore::new(THREADS)), under_way: Mutex::default() }))
    }
}

impl Asked {
    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self: Arc<Self>, host: String) -> Result<Vec<IpAddr>, Arc<io::Error>> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.expect("the semaphore is never closed");
        let asked = host.clone();
        let answer = spawn_blocking(move || {
            let addresses = (asked.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
            drop(permit);
            addresses
        });
        let answer = answer.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.under_way().remove(&host);
        answer.map_err(Arc::new)
    }
}

impl Lookup for System {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut under_way = self.0.under_way();
        let answer = under_way.entry(host.clone()).or_insert_with(|| {
            // A task of its own: it goes on, and clears up, when everybody who asked has given up.
            let asking = tokio::spawn(Arc::clone(&self.0).ask(host));
            async { asking.await.unwrap_or_else(|error| Err(Arc::new(io::Error::other(error)))) }.boxed().shared()
        });
        answer.clone().map(|answer| answer.map_err(|error| io::Error::new(error.kind(), error))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_name_is_asked_for_once_at_a_time_and_again_afterwards() {
        let system = System::default();
        let many: Vec<_> = (0..100).map(|_| system.lookup("localhost".into())).collect();
        assert_eq!(system.0.under_way().len(), 1);
        for found in join_all(many).await {
            assert!(found.unwrap().iter().all(IpAddr::is_loopback));
        }
        assert!(system.0.under_way().is_empty());
        assert!(!system.lookup("localhost".into()).await.unwrap().is_empty());
        assert!(system.lookup("nobody.invalid".into()).await.is_err());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let system = System::default();
        drop(system.lookup("localhost".into()));
        while !system.0.under_way().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(system.0.threads.available_permits(), THREADS);
    }
}
