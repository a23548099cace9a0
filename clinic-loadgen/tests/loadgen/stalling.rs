//! A clinic that stands still for a while.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clinic_client::{Client, RetryPolicy, testing::FakeClinic};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep_until,
};

/// In front of a clinic: what comes from the n-th piece on waits until the stall is over.
pub(crate) struct Stalling {
    _clinic: FakeClinic,
    url: String,
}

impl Stalling {
    pub(crate) async fn start(after: u64, stall: Duration) -> Self {
        let clinic = FakeClinic::start().await.unwrap();
        let target = clinic.url().trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (pieces, over) = (Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::new()));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (far, pieces, over) = (TcpStream::connect(&target).await.unwrap(), pieces.clone(), over.clone());
                tokio::spawn(async move {
                    let (mut near_in, mut near_out) = near.into_split();
                    let (mut far_in, mut far_out) = far.into_split();
                    tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
                    let mut piece = [0; 4096];
                    while let Ok(length @ 1..) = near_in.read(&mut piece).await {
                        if pieces.fetch_add(1, Ordering::SeqCst) >= after {
                            let over: &Instant = over.get_or_init(|| Instant::now() + stall);
                            sleep_until((*over).into()).await;
                        }
                        if far_out.write_all(&piece[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { _clinic: clinic, url }
    }

    pub(crate) fn client(&self) -> Client {
        Client::builder(&self.url).no_proxy().retry(RetryPolicy::never()).build().unwrap()
    }
}
