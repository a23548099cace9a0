//! Answers, good ones and such as never end.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Seen,
    manner::{Act, Reply},
};

/// How much an endless answer says it holds.
const FLOOD: u64 = 10 << 30;

/// Answers a request; whether the connection goes on.
pub(super) async fn write(stream: &mut TcpStream, reply: Reply, seen: &Seen) -> bool {
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    match reply.does {
        Act::Answer(status, header) => {
            let length = if status == 204 { "" } else { "content-length: 0\r\n" };
            stream.write_all(format!("HTTP/1.1 {status} -\r\n{length}{header}\r\n").as_bytes()).await.is_ok()
        }
        Act::Cut => false,
        Act::Hang => {
            // Whoever waits has to give up: then this ends.
            let mut nothing = [0; 1];
            let _ = stream.read(&mut nothing).await;
            false
        }
        Act::DripHead => drip(stream, format!("HTTP/1.1 204 -\r\nx-{}: 1\r\n\r\n", "y".repeat(4_000)).into_bytes(), seen).await,
        Act::DripBody => {
            let head = stream.write_all(b"HTTP/1.1 200 -\r\ncontent-length: 4000\r\n\r\n").await;
            head.is_ok() && drip(stream, vec![b'.'; 4_000], seen).await
        }
        Act::Flood => flood(stream, seen).await,
    }
}

async fn drip(stream: &mut TcpStream, bytes: Vec<u8>, seen: &Seen) -> bool {
    let mut nothing = [0; 1];
    for byte in bytes {
        if stream.write_all(&[byte]).await.is_err() {
            seen.cut_off.store(true, Ordering::SeqCst);
            return false;
        }
        seen.written.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            _ = stream.read(&mut nothing) => {
                seen.cut_off.store(true, Ordering::SeqCst);
                return false;
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    true
}

async fn flood(stream: &mut TcpStream, seen: &Seen) -> bool {
    let chunk = vec![b'x'; 64 << 10];
    let _ = stream.write_all(format!("HTTP/1.1 200 -\r\ncontent-length: {FLOOD}\r\n\r\n").as_bytes()).await;
    let mut written = 0;
    while written < FLOOD {
        let Ok(more) = stream.write(&chunk).await else {
            seen.cut_off.store(true, Ordering::SeqCst);
            return false;
        };
        written += more as u64;
        seen.written.fetch_add(more as u64, Ordering::SeqCst);
    }
    true
}
