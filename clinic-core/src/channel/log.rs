use std::{
    fmt::Write as _,
    io::{self, Write},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    codes::codes,
    decision::Reason,
    id::{BookingId, NoticeId},
    notification::{EventKind, Notice},
    ports::{Channel, ChannelError, Receipt},
};

/// Notices that wait for the writer; more wait in their senders.
const WAITING: usize = 4096;
/// Lines written at once.
const BATCH: usize = 1024;

codes! {
    /// How a line looks.
    pub enum LogFormat {
        /// `notice id=... booking=... event=...`
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Tells notices to a log, one line each, ids only. The line is written and flushed before `send` returns, so that ending the
/// process loses none that was settled. A thread of its own writes: no runtime thread waits for a slow reader.
#[derive(Debug)]
pub struct LogChannel {
    format: LogFormat,
    lines: mpsc::Sender<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    written: oneshot::Sender<io::Result<()>>,
}

impl LogChannel {
    /// To the process's standard output.
    ///
    /// # Errors
    /// When the system gives no thread to write from.
    pub fn to_stdout(format: LogFormat) -> io::Result<Self> {
        Self::new(io::stdout(), format)
    }

    /// To a writer of your own.
    ///
    /// # Errors
    /// When the system gives no thread to write from.
    pub fn new(writer: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let (lines, waiting) = mpsc::channel(WAITING);
        // It ends by itself when the channel is dropped. Nobody waits for it: nothing unanswered is lost with it.
        thread::Builder::new().name("clinic-log-channel".into()).spawn(move || write_lines(writer, waiting))?;
        Ok(Self { format, lines })
    }
}

#[async_trait]
impl Channel for LogChannel {
    fn name(&self) -> &str {
        "log"
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        let (written, answer) = oneshot::channel();
        self.lines
            .send(Line { text: line(notice, self.format), written })
            .await
            .map_err(|_| unwritable(io::ErrorKind::BrokenPipe.into()))?;
        answer.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())).map_err(unwritable)?;
        Ok(Receipt::none())
    }

    fn concurrency(&self) -> usize {
        WAITING
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
}

fn unwritable(error: io::Error) -> ChannelError {
    ChannelError::Transient { code: "log_unwritable", retry_after: None, source: error.into() }
}

/// Writes what waits in one go, flushes, answers all.
fn write_lines(mut writer: impl Write, mut waiting: mpsc::Receiver<Line>) {
    let mut batch = Vec::new();
    let mut bytes = Vec::new();
    let mut torn = false;
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH
            && let Ok(line) = waiting.try_recv()
        {
            batch.push(line);
        }
        // A sender that gave up will come again: its line would only be there twice.
        batch.retain(|line| !line.written.is_closed());
        if torn {
            // A failed write may have left half a line: the next one starts on its own.
            bytes.push(b'\n');
        }
        for line in &batch {
            bytes.extend_from_slice(line.text.as_bytes());
        }
        let failure = writer.write_all(&bytes).and_then(|()| writer.flush()).err().map(|error| error.kind());
        torn = failure.is_some();
        for line in batch.drain(..) {
            let _ = line.written.send(failure.map_or(Ok(()), |kind| Err(kind.into())));
        }
        bytes.clear();
    }
}

/// The line of a notice: equal for equal id, whenever it is written.
fn line(notice: &Notice, format: LogFormat) -> String {
    let event = &notice.event;
    let at = event.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let reason = event.reason.map(Reason::as_str);
    let mut line = match format {
        LogFormat::Text => {
            let mut line = format!("notice id={} booking={} event={} ", notice.id, notice.booking, event.kind);
            if let Some(reason) = reason {
                let _ = write!(line, "reason={reason} ");
            }
            let _ = write!(line, "seq={} at={at}", event.seq);
            line
        }
        LogFormat::Json => {
            let line = JsonLine { notice: notice.id, booking: notice.booking, event: event.kind, reason, seq: event.seq, at: &at };
            serde_json::to_string(&line).expect("ids, codes and a time always serialise")
        }
    };
    line.push('\n');
    line
}

#[derive(Serialize)]
struct JsonLine<'a> {
    notice: NoticeId,
    booking: BookingId,
    event: EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    seq: u32,
    at: &'a str,
}

#[cfg(test)]
mod tests;
