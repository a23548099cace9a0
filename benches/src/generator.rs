//! A lean HTTP/1.1 generator: keep-alive connections over plain TCP, one request under way on each. It costs little, so
//! that what is measured is the server; and it is the same for both sides of a comparison.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::template::Template;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// After this long.
    After(Duration),
    /// After so many requests.
    Count(u64),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers of 202.
    pub accepted: u64,
    /// Other answers, by status.
    pub other: BTreeMap<u16, u64>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long each request took, in no order.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers of 202 a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64()
    }
}

/// Sends requests over `connections` connections, numbered from `next` on, which is moved along.
///
/// # Errors
/// Whatever breaks a connection, or an answer that is no HTTP.
pub async fn drive(server: SocketAddr, template: &Template, connections: usize, next: &Arc<AtomicU64>, stop: Stop) -> io::Result<Outcome> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let begun = Instant::now();
    let (until, end) = match stop {
        Stop::After(duration) => (Some(begun + duration), u64::MAX),
        Stop::Count(count) => (None, next.load(Ordering::Relaxed) + count),
    };
    let mut tasks = JoinSet::new();
    for stream in streams {
        let (template, next) = (template.clone(), next.clone());
        tasks.spawn(async move { Connection { stream, template, answer: Vec::with_capacity(4096) }.run(&next, until, end).await });
    }
    let mut all = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.map_err(io::Error::other)??;
        all.accepted += outcome.accepted;
        all.latencies.extend(outcome.latencies);
        for (status, count) in outcome.other {
            *all.other.entry(status).or_default() += count;
        }
    }
    all.took = begun.elapsed();
    if matches!(stop, Stop::Count(_)) {
        // Each connection drew one number too many before it saw the end.
        next.store(end, Ordering::Relaxed);
    }
    Ok(all)
}

struct Connection {
    stream: TcpStream,
    template: Template,
    answer: Vec<u8>,
}

impl Connection {
    async fn run(mut self, next: &AtomicU64, until: Option<Instant>, end: u64) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut now = Instant::now();
        while until.is_none_or(|until| now < until) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= end {
                break;
            }
            self.stream.write_all(self.template.render(index)).await?;
            match self.answer().await? {
                202 => outcome.accepted += 1,
                status => *outcome.other.entry(status).or_default() += 1,
            }
            let answered = Instant::now();
            outcome.latencies.push(answered - now);
            now = answered;
        }
        Ok(outcome)
    }

    /// Reads one answer whole: its status.
    async fn answer(&mut self) -> io::Result<u16> {
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, length)) = head(&self.answer)
                && self.answer.len() >= length
            {
                return Ok(status);
            }
        }
    }
}

/// The status and the whole length of the answer that begins here, once its head is there. Chunked answers are none of ours.
fn head(bytes: &[u8]) -> Option<(u16, usize)> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length: usize = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    })?;
    Some((status, end + 4 + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is_there() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(answer), Some((202, answer.len())));
        assert_eq!(head(&answer[..40]), None);
    }
}
