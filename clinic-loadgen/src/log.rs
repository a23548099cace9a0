//! The log of a run: what was asked for and what came of it, one JSON line a request, for [`verify`](crate::verify) to read back.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use chrono::{DateTime, Utc};
use clinic_client::{BookingView, Error, ErrorKind, ProblemCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{draw::Visit, tally};

/// The version of the log's lines.
const VERSION: u32 = 1;
/// Lines that may wait to be written; then senders wait.
const ROOM: usize = 4096;
/// Lines taken up at once.
const BATCH: usize = 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// The version of the lines that follow.
    pub version: u32,
    /// The clinic's URL, without user, password, query and fragment.
    pub url: String,
    /// The seed that drew the requests.
    pub seed: u64,
    /// When the run began.
    pub started: DateTime<Utc>,
}

impl Header {
    /// The header of a run that begins now.
    #[must_use]
    pub fn new(url: &str, seed: u64) -> Self {
        Self { version: VERSION, url: bare(url), seed, started: Utc::now() }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Line {
    /// Its number.
    pub index: u64,
    /// When it was to be sent.
    pub due: DateTime<Utc>,
    /// The doctor asked for.
    pub doctor: String,
    /// When the visit is to start.
    pub start: DateTime<Utc>,
    /// When it is to end.
    pub end: DateTime<Utc>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Line {
    /// The line of a request.
    #[must_use]
    pub fn new(index: u64, due: DateTime<Utc>, visit: Visit, outcome: Outcome) -> Self {
        Self { index, due, doctor: visit.doctor, start: visit.start, end: visit.end, outcome }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It became a booking.
    Accepted {
        /// The booking.
        booking: Uuid,
        /// What the answer shows, where that is not the visit that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<Box<Visit>>,
    },
    /// It surely did not.
    Refused {
        /// Why.
        code: String,
    },
    /// It may have become one, or not: the answer never came, or could not say.
    Unknown {
        /// What came instead.
        code: String,
    },
}

impl Outcome {
    /// What an answer to a request for `asked` means.
    #[must_use]
    pub fn of(answer: &Result<BookingView, Error>, asked: &Visit) -> Self {
        match answer {
            Ok(booking) => {
                let shown = Visit::of(booking);
                Self::Accepted { booking: booking.id, otherwise: (shown != *asked).then(|| Box::new(shown)) }
            }
            Err(error) if is_refusal(error) => Self::Refused { code: tally::code(error) },
            Err(error) => Self::Unknown { code: tally::code(error) },
        }
    }
}

fn is_refusal(error: &Error) -> bool {
    match &error.kind {
        ErrorKind::InvalidRequest(_) => true,
        // It speaks for its own try alone: an earlier one may have been accepted.
        ErrorKind::Api(problem) if problem.known_code() == Some(ProblemCode::Unavailable) => error.attempts <= 1,
        ErrorKind::Api(problem) => (400..500).contains(&problem.status) && problem.status != 408,
        _ => false,
    }
}

/// A log being written, by a thread of its own.
#[derive(Debug)]
pub struct Log {
    lines: mpsc::Sender<Line>,
    writing: JoinHandle<io::Result<()>>,
}

impl Log {
    /// Begins a log, in place of any that was there. `failed` is cancelled when it cannot be written.
    ///
    /// # Errors
    /// Those of making and writing a file.
    pub fn create(path: &Path, header: &Header, failed: CancellationToken) -> io::Result<Self> {
        Self::begin(BufWriter::new(File::create(path)?), header, failed)
    }

    fn begin(mut file: impl Write + Send + 'static, header: &Header, failed: CancellationToken) -> io::Result<Self> {
        write_line(&mut file, header)?;
        file.flush()?;
        let (lines, waiting) = mpsc::channel(ROOM);
        let writing = tokio::task::spawn_blocking(move || write(file, waiting).inspect_err(|_| failed.cancel()));
        Ok(Self { lines, writing })
    }

    /// Where lines are handed in.
    #[must_use]
    pub fn lines(&self) -> mpsc::Sender<Line> {
        self.lines.clone()
    }

    /// Waits until everything handed in is written; every other sender must be gone.
    ///
    /// # Errors
    /// The first one of writing.
    pub async fn finish(self) -> io::Result<()> {
        drop(self.lines);
        self.writing.await.map_err(io::Error::other)?
    }
}

fn write(mut file: impl Write, mut waiting: mpsc::Receiver<Line>) -> io::Result<()> {
    let mut lines = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut lines, BATCH) > 0 {
        for line in lines.drain(..) {
            write_line(&mut file, &line)?;
        }
        // Whoever kills the process finds all but the last moment in the file.
        if waiting.is_empty() {
            file.flush()?;
        }
    }
    file.flush()
}

fn write_line(file: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

/// Why a log cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] io::Error),
    /// A line is none of a log.
    #[error("line {number} of the log cannot be understood")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by another release.
    #[error("the log is of version {0}, not {VERSION}: verify it with the loadgen that wrote it")]
    Version(u32),
}

/// Reads a log, handing its lines to `take`. A last line that was cut off, as by a crash, is left out.
///
/// # Errors
/// [`LogError`].
pub fn read(path: &Path, mut take: impl FnMut(Line)) -> Result<Header, LogError> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut text, mut number) = (String::new(), 1);
    file.read_line(&mut text)?;
    let header: Header = serde_json::from_str(&text).map_err(|source| LogError::Line { number, source })?;
    if header.version != VERSION {
        return Err(LogError::Version(header.version));
    }
    loop {
        text.clear();
        number += 1;
        file.read_line(&mut text)?;
        if !text.ends_with('\n') {
            return Ok(header);
        }
        take(serde_json::from_str(&text).map_err(|source| LogError::Line { number, source })?);
    }
}

/// A URL without what may be secret.
fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use clinic_client::Problem;
    use serde_json::json;

    use super::*;
    use crate::draw::Draw;

    fn refused(code: ProblemCode, attempts: u32) -> Outcome {
        let mut error = Error::new(ErrorKind::Api(Box::new(Problem::new(code, ""))));
        error.attempts = attempts;
        Outcome::of(&Err(error), &visit())
    }

    fn visit() -> Visit {
        Draw::new(1, 1, 1, Utc::now()).arrival(0).visit
    }

    #[test]
    fn only_an_answer_that_can_know_refuses() {
        assert_eq!(refused(ProblemCode::SlotTaken, 3), Outcome::Refused { code: "slot_taken".into() });
        assert_eq!(refused(ProblemCode::Unavailable, 1), Outcome::Refused { code: "unavailable".into() });
        assert_eq!(refused(ProblemCode::Unavailable, 2), Outcome::Unknown { code: "unavailable".into() });
        assert_eq!(refused(ProblemCode::OutcomeUnknown, 1), Outcome::Unknown { code: "outcome_unknown".into() });
        assert_eq!(refused(ProblemCode::Internal, 1), Outcome::Unknown { code: "internal".into() });
        assert_eq!(Outcome::of(&Err(Error::new(ErrorKind::Timeout)), &visit()), Outcome::Unknown { code: "timeout".into() });
    }

    #[test]
    fn an_answer_that_shows_another_visit_is_kept_with_it() {
        let asked = visit();
        let booking = json!({
            "id": Uuid::nil(), "status": "pending", "reason": null, "message": "", "patient_id": "P", "patient_name": null,
            "doctor_id": asked.doctor, "datetime": asked.start, "end": asked.end, "duration_minutes": 30, "timezone": "UTC",
            "language": "es", "attempts": 0, "created_at": asked.start, "decide_by": asked.start, "decided_at": null, "replay_of": null,
            "replayed_as": null, "notices": []
        });
        let mut booking: BookingView = serde_json::from_value(booking).unwrap();
        let accepted = |otherwise| Outcome::Accepted { booking: Uuid::nil(), otherwise };
        assert_eq!(Outcome::of(&Ok(booking.clone()), &asked), accepted(None));
        assert!(!serde_json::to_string(&accepted(None)).unwrap().contains("otherwise"));
        booking.doctor_id = Some("another".into());
        let shown = Visit { doctor: "another".into(), ..asked.clone() };
        assert_eq!(Outcome::of(&Ok(booking), &asked), accepted(Some(Box::new(shown))));
    }

    /// A disk with room for so many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_disk_that_fills_up_stops_the_run_and_is_said() {
        let stop = CancellationToken::new();
        let log = Log::begin(Disk(1000), &Header::new("http://clinic.example", 1), stop.clone()).unwrap();
        let line = Line::new(0, Utc::now(), visit(), Outcome::Unknown { code: "timeout".into() });
        // Nobody takes lines any more once the disk is full.
        while log.lines().send(line.clone()).await.is_ok() {}
        assert_eq!(log.finish().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(stop.is_cancelled());
    }

    #[test]
    fn a_url_is_kept_without_secrets() {
        assert_eq!(bare("https://a:b@clinic.example:8080/v1?key=c#d"), "https://clinic.example:8080/v1");
        assert_eq!(bare("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
