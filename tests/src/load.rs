//! Load on a clinic under test, made by `clinic-loadgen`: what it sees accepted goes to the log outside of the clinic's process.

use std::{sync::Arc, time::Duration};

use chrono::{Days, Utc};
use clinic_client::{Client, RetryPolicy};
use clinic_loadgen::{
    draw::{Draw, Visit},
    drive::drive,
    load::Load as Pacing,
    log::{Line, Outcome},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::Answers,
    checker::{AcceptedSeen, Observed},
    http::Http,
    relay::Relay,
    stream::allow_files,
};

/// Draws the same everywhere: loads differ by their names.
const SEED: u64 = 1;
/// When callers give up insisting.
const WITHIN: Duration = Duration::from_secs(900);
/// The longest pause of who insists: a clinic that was started again is soon found.
const PAUSE: Duration = Duration::from_secs(1);
/// Connections of a load that find no answer for a while, and what leads them on.
const FILES: u64 = 16_384;

/// Bookings that are asked for, each of a slot and by a patient of its own.
#[derive(Clone, Debug)]
pub struct Load {
    name: String,
    pacing: Pacing,
    insists: bool,
    answer_within: Duration,
}

impl Load {
    /// So many bookings by so many callers, each asking again when answered. Loads of one store differ by name.
    #[must_use]
    pub fn closed(name: &str, callers: usize, bookings: usize) -> Self {
        Self::of(name, Pacing::closed(callers, Duration::MAX).at_most(bookings as u64))
    }

    /// So many bookings at a steady rate a second, however long the answers take.
    #[must_use]
    pub fn steady(name: &str, rate: f64, bookings: usize) -> Self {
        Self::of(name, Pacing::steady(rate, Duration::MAX, bookings).at_most(bookings as u64))
    }

    fn of(name: &str, pacing: Pacing) -> Self {
        Self { name: name.to_owned(), pacing, insists: false, answer_within: Duration::from_secs(20) }
    }

    /// Insisting on a clear answer: what has none (503, 504, none at all) is asked for again with its key until it has.
    #[must_use]
    pub const fn insisting(mut self) -> Self {
        self.insists = true;
        self
    }

    /// With callers that wait no longer for an answer.
    #[must_use]
    pub const fn waiting_at_most(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }

    /// The patients' ids.
    pub fn patients(&self) -> impl Iterator<Item = String> + use<> {
        let draw = draw(&self.name);
        (0..self.pacing.requests.unwrap_or_default()).map(move |number| draw.arrival(number).patient)
    }

    /// Asks for all of them, and says how that was answered.
    ///
    /// # Panics
    /// When no port can be had on this host.
    pub async fn run(&self, http: &Http) -> Answers {
        allow_files(FILES);
        let door = Relay::before(http.follow()).await.expect("a port on this host");
        let retry = RetryPolicy::default().tries(if self.insists { u32::MAX } else { 1 }).longest(PAUSE).budget(u32::MAX);
        let client = Client::builder(&format!("http://{}", door.address())).no_proxy().timeout(self.answer_within);
        let client = client.call_timeout(WITHIN).retry(retry).build().expect("a plain client can be built");
        let (lines, seen) = mpsc::channel(1024);
        let seeing = tokio::spawn(see(seen, http.observed().clone()));
        let (draw, progress, stop) = (draw(&self.name), watch::Sender::default(), CancellationToken::new());
        let (tally, took) = drive(&client, &draw, &self.pacing, SEED, Some(lines), &progress, &stop).await;
        seeing.await.expect("who writes down does not panic");
        Answers::of(&tally, took)
    }
}

/// Who asks for what in a load of this name: 500 doctors with 1,000 half-hours each, from the day after tomorrow on.
///
/// # Panics
/// When the name is longer than 19 characters, or not of letters, digits, hyphens and underscores.
#[must_use]
pub fn draw(name: &str) -> Draw {
    let prefix = format!("{name}-").parse().expect("a short, plain name");
    Draw::new(SEED, 500, 1_000, Utc::now() + Days::new(1)).prefix(prefix).contacts(true)
}

/// Writes down what is accepted, as it was answered.
async fn see(mut lines: mpsc::Receiver<Line>, observed: Arc<Observed>) {
    while let Some(line) = lines.recv().await {
        if let Outcome::Accepted { booking: id, otherwise } = line.outcome {
            let Visit { doctor, start, end, .. } = otherwise.map_or(Visit::new(line.doctor, line.start, line.end), |shown| *shown);
            let (start, end) = (start.timestamp_millis(), end.timestamp_millis());
            observed.accepted(AcceptedSeen { id, doctor: Some(doctor), start, end, key: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_answered_is_written_down_and_not_what_was_asked_for() {
        let (asked, shown) = (draw("asked").arrival(0).visit, draw("shown").arrival(1).visit);
        let (lines, seen) = mpsc::channel(4);
        let (observed, ids) = (Arc::new(Observed::default()), [1, 2].map(uuid::Uuid::from_u128));
        let as_asked = Outcome::Accepted { booking: ids[0], otherwise: None };
        let otherwise = Outcome::Accepted { booking: ids[1], otherwise: Some(Box::new(shown.clone())) };
        for outcome in [as_asked, Outcome::Refused { code: "slot_taken".into() }, otherwise] {
            lines.send(Line::new(0, Utc::now(), asked.clone(), outcome)).await.unwrap();
        }
        drop(lines);
        see(seen, observed.clone()).await;
        let accepted = |id, visit: Visit| {
            let (start, end) = (visit.start.timestamp_millis(), visit.end.timestamp_millis());
            AcceptedSeen { id, doctor: Some(visit.doctor), start, end, key: None }
        };
        assert_eq!(observed.snapshot().accepted, [accepted(ids[0], asked), accepted(ids[1], shown)]);
    }
}
