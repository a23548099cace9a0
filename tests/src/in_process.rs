//! A clinic inside the test's own process, started through the library, with ports of the test's own.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clinic_core::{
    api::BookRequest,
    booking::Booking,
    channel::{LogChannel, LogFormat},
    clinic::{Builder, Clinic},
    id::BookingId,
    settings::Settings,
};
use tempfile::TempDir;

use crate::{
    checker::{self, AcceptedSeen, Expected, Observed, Report},
    disk,
    eventually::eventually,
};

/// A clinic in this process. Its notices go to the same kind of log as those of a child process.
#[derive(Debug)]
pub struct ClinicInProcess {
    clinic: Clinic,
    store: PathBuf,
    observed: Arc<Observed>,
    folder: TempDir,
}

impl ClinicInProcess {
    /// Starts one on a store of its own; `assemble` gives it its other parts.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(assemble: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = disk::folder();
        let store = folder.path().join("clinic.db");
        let observed = Arc::<Observed>::default();
        let channel = LogChannel::new(Lines::new(observed.clone()), LogFormat::Text).expect("a thread for the log channel");
        let url = format!("sqlite:{}", store.display());
        let builder = assemble(Clinic::builder().store(url).channel(channel).settings(settings()));
        let clinic = builder.start().await.unwrap_or_else(|error| panic!("{error:?}"));
        Self { clinic, store, observed, folder }
    }

    /// The clinic itself.
    #[must_use]
    pub const fn clinic(&self) -> &Clinic {
        &self.clinic
    }

    /// The store's file.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// What was seen.
    #[must_use]
    pub const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// Books and writes down that it was accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn book(&self, request: &BookRequest) -> Booking {
        let booking = self.clinic.book(request).await.unwrap_or_else(|error| panic!("{error:?}"));
        self.observed.accepted(AcceptedSeen {
            id: booking.id.uuid(),
            doctor: booking.appointment.doctor_id.clone(),
            start: booking.appointment.slot.start().timestamp_millis(),
            end: booking.appointment.slot.end().timestamp_millis(),
            key: None,
        });
        booking
    }

    /// Cancels and writes it down.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn cancel(&self, id: BookingId) {
        self.clinic.cancel(id).await.unwrap_or_else(|error| panic!("{error:?}"));
        self.observed.cancelled(id.uuid());
    }

    /// Waits until nothing is left to do.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn at_rest(&self, within: Duration) {
        eventually("every booking decided and told", within, || async { checker::is_at_rest(&self.store).unwrap_or(false).then_some(()) })
            .await;
    }

    /// Shuts it down and holds its store against what was seen.
    ///
    /// # Panics
    /// When a part of it panicked, or its store cannot be read.
    pub async fn finish(self, expected: &Expected) -> Report {
        self.clinic.shutdown().await.unwrap_or_else(|error| panic!("{error:?}"));
        let report = checker::check(&self.store, &self.observed.snapshot(), expected).unwrap_or_else(|error| panic!("{error:?}"));
        drop(self.folder);
        report
    }
}

/// Settings that look after themselves often.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.sweep = Duration::from_millis(100);
    settings.grace = Duration::from_millis(500);
    settings
}

/// Hands whole lines to the log.
struct Lines {
    observed: Arc<Observed>,
    begun: Vec<u8>,
}

impl Lines {
    const fn new(observed: Arc<Observed>) -> Self {
        Self { observed, begun: Vec::new() }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.observed.line(&String::from_utf8_lossy(&line[..end]));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
