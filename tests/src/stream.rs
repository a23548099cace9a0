//! A client of `GET /booking/{id}/events` over a plain socket: thousands of them fit into one process, and it sees how a stream ends.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use uuid::Uuid;

use crate::http::Http;

/// How a stream ended otherwise than cleanly.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Broken {
    /// The connection was refused, or ended before the stream did.
    #[error("the stream was cut off")]
    CutOff(#[from] std::io::Error),
    /// The answer was no stream.
    #[error("the answer was {0}")]
    Refused(String),
    /// An event came twice or out of order.
    #[error("event {0} came after event {1}")]
    OutOfOrder(u32, u32),
    /// It did not end in time.
    #[error("the stream did not end in time")]
    TooLate,
}

/// What somebody saw who followed a booking, over as many streams as it took.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Seen {
    /// The name of each event, by its id.
    pub events: BTreeMap<u32, String>,
    /// When the decision came.
    pub decided: Option<Instant>,
    /// Streams that were cut off or found nobody at home.
    pub cut_off: usize,
    /// Whether the last stream ended as the protocol says.
    pub ended: bool,
}

impl Seen {
    /// The id of the last event.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.events.last_key_value().map_or(0, |(id, _)| *id)
    }

    /// The names of all events, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.events.values().map(String::as_str).collect()
    }
}

/// Lets this process, and those that it starts, open so many files, if it may.
pub fn allow_files(files: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        let wanted = maximum.map_or(files, |maximum| maximum.min(files));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Follows a booking until it is decided and its stream ends; comes again, from where it was, when a stream is cut off or ends early.
///
/// # Errors
/// [`Broken`], when the stream is not as it should be, or `within` passes.
pub async fn follow(http: &Http, id: Uuid, within: Duration, mut opened: impl FnMut()) -> Result<Seen, Broken> {
    let (mut seen, until) = (Seen::default(), Instant::now() + within);
    loop {
        match timeout_at(until, one_stream(http, id, &mut seen, &mut opened)).await {
            Err(_) => return Err(Broken::TooLate),
            Ok(Err(Broken::CutOff(_))) => {
                seen.cut_off += 1;
                seen.ended = false;
                sleep(Duration::from_millis(50)).await;
            }
            Ok(Err(broken)) => return Err(broken),
            Ok(Ok(())) => seen.ended = true,
        }
        if seen.ended && seen.decided.is_some() {
            return Ok(seen);
        }
    }
}

/// One stream to its end, from the last event that was seen.
///
/// # Errors
/// [`Broken`].
pub async fn one_stream(http: &Http, id: Uuid, seen: &mut Seen, opened: &mut impl FnMut()) -> Result<(), Broken> {
    let address = http.address();
    let mut stream = TcpStream::connect(&address).await?;
    let last = seen.last();
    let resuming = if last > 0 { format!("Last-Event-ID: {last}\r\n") } else { String::new() };
    stream.write_all(format!("GET /booking/{id}/events HTTP/1.1\r\nHost: {address}\r\n{resuming}\r\n").as_bytes()).await?;
    let (mut text, mut is_open) = (Vec::new(), false);
    loop {
        if stream.read_buf(&mut text).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if !is_open {
            let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&text[..end]).into_owned();
            match head.get(9..12) {
                Some("204") => return Ok(()),
                Some("200") if head.contains("text/event-stream") => text.drain(..end + 4),
                _ => return Err(Broken::Refused(head)),
            };
            is_open = true;
            opened();
        }
        while let Some(chunk) = take_chunk(&mut text) {
            if chunk.is_empty() {
                return Ok(());
            }
            take_events(&chunk, seen)?;
        }
    }
}

/// A stream that is opened and never read; the system takes as little of it as it can.
///
/// # Errors
/// When there is no connection.
pub async fn unread(http: &Http, id: Uuid) -> std::io::Result<TcpStream> {
    let address = http.address();
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(1)?;
    let target = address.parse().map_err(std::io::Error::other)?;
    let mut stream = socket.connect(target).await?;
    stream.write_all(format!("GET /booking/{id}/events HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    Ok(stream)
}

/// The next whole chunk, if it is there; an empty one is the end.
fn take_chunk(text: &mut Vec<u8>) -> Option<String> {
    let line = text.windows(2).position(|two| two == b"\r\n")?;
    let size = usize::from_str_radix(std::str::from_utf8(&text[..line]).ok()?, 16).ok()?;
    let (from, to) = (line + 2, line + 2 + size);
    let chunk = String::from_utf8_lossy(text.get(from..to)?).into_owned();
    text.get(to..to + 2)?;
    text.drain(..to + 2);
    Some(chunk)
}

/// A chunk of ours holds whole events.
fn take_events(chunk: &str, seen: &mut Seen) -> Result<(), Broken> {
    for block in chunk.split_terminator("\n\n") {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let (Some(id), Some(event)) = (field("id: ").and_then(|id| id.parse().ok()), field("event: ")) else { continue };
        if id <= seen.last() {
            return Err(Broken::OutOfOrder(id, seen.last()));
        }
        seen.events.insert(id, event.to_owned());
        if ["confirmed", "rejected"].contains(&event) {
            seen.decided.get_or_insert_with(Instant::now);
        }
    }
    Ok(())
}
