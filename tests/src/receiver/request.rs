//! Reading requests off a connection: HTTP/1.1 with a content length, which is all that a sender of webhooks needs.

use std::collections::BTreeMap;

use tokio::{io::AsyncReadExt, net::TcpStream};

use super::Delivery;

/// Nothing that a clinic sends is longer.
const LONGEST: usize = 1 << 20;

/// The next request; `None` when there is none, or it cannot be read. What was read beyond it stays in `read`.
pub(super) async fn next(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Delivery> {
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, read).await?;
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length: usize = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    while read.len() < end + 4 + length {
        more(stream, read).await?;
    }
    let body = String::from_utf8_lossy(&read[end + 4..end + 4 + length]).into_owned();
    read.drain(..end + 4 + length);
    Some(Delivery { id: headers.get("webhook-id").cloned().unwrap_or_default(), headers, body, taken: false })
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    (read.len() < LONGEST && stream.read_buf(read).await.ok()? > 0).then_some(())
}
