//! Many clients at once, at a bounded rate, which write down what they see.

use std::{
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http::Http;

/// How bookings are asked for.
#[derive(Clone)]
pub struct Load {
    /// Clients, each with one request at a time.
    pub clients: usize,
    /// Requests in all.
    pub bookings: usize,
    /// Requests begun per second at most, over all clients.
    pub rate: Option<f64>,
    /// Whether a request without a clear answer (503, 504, none at all) is made again with its key until there is one.
    pub insist: bool,
    /// How long a client waits for each answer.
    pub answer_within: Duration,
    /// When clients give up insisting.
    pub within: Duration,
    /// The body of each request, by its number.
    pub body: Arc<dyn Fn(usize) -> Value + Send + Sync>,
    /// Before the number of each request in its idempotency key.
    pub keys: String,
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load").field("clients", &self.clients).field("bookings", &self.bookings).finish_non_exhaustive()
    }
}

impl Load {
    /// So many bookings by so many clients, each of a slot and a patient of its own. Loads of one store differ by `keys`.
    #[must_use]
    pub fn new(keys: &str, clients: usize, bookings: usize) -> Self {
        let prefix = keys.to_owned();
        Self {
            clients,
            bookings,
            rate: None,
            insist: false,
            answer_within: Duration::from_secs(20),
            within: Duration::from_secs(900),
            body: Arc::new(move |number| slot_of_its_own(&prefix, number)),
            keys: keys.to_owned(),
        }
    }

    /// Insisting on a clear answer.
    #[must_use]
    pub const fn insisting(mut self) -> Self {
        self.insist = true;
        self
    }

    /// With other bodies.
    #[must_use]
    pub fn bodies(mut self, body: impl Fn(usize) -> Value + Send + Sync + 'static) -> Self {
        self.body = Arc::new(body);
        self
    }

    /// By patients with an address for mails each ([`mail_of`]).
    #[must_use]
    pub fn by_mail(self) -> Self {
        let (prefix, body) = (self.keys.clone(), self.body.clone());
        self.bodies(move |number| {
            let mut request = body(number);
            request["contact"] = json!({ "email": mail_of(&prefix, number) });
            request
        })
    }

    /// At a bounded rate.
    #[must_use]
    pub const fn at_most_per_second(mut self, rate: f64) -> Self {
        self.rate = Some(rate);
        self
    }

    /// With clients that wait no longer for an answer.
    #[must_use]
    pub const fn waiting_at_most(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }

    /// Runs all requests and counts how they were answered.
    pub async fn run(&self, http: &Http) -> Tally {
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..self.clients {
            let (load, http, next) = (self.clone(), http.clone(), next.clone());
            clients.spawn(async move {
                let mut tally = Tally::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.bookings {
                        return tally;
                    }
                    if let Some(rate) = load.rate {
                        tokio::time::sleep_until((began + Duration::from_secs_f64(number as f64 / rate)).into()).await;
                    }
                    load.one(&http, number, began + load.within, &mut tally).await;
                }
            });
        }
        let mut all = Tally::default();
        while let Some(tally) = clients.join_next().await {
            all += tally.expect("a client does not panic");
        }
        all.took = began.elapsed();
        all
    }

    async fn one(&self, http: &Http, number: usize, deadline: Instant, tally: &mut Tally) {
        let body = (self.body)(number);
        let key = format!("{}-{number}", self.keys);
        loop {
            let asked = Instant::now();
            let status = http.try_book(&body, Some(&key), self.answer_within).await.map(|answer| answer.status);
            if status.is_ok() {
                tally.slowest = tally.slowest.max(asked.elapsed());
            }
            let clear = match status {
                Ok(202) => {
                    tally.accepted += 1;
                    true
                }
                Ok(409) => {
                    tally.taken += 1;
                    true
                }
                Ok(429) => {
                    tally.too_many += 1;
                    true
                }
                Ok(503) => {
                    tally.unavailable += 1;
                    false
                }
                Ok(504) => {
                    tally.unknown += 1;
                    false
                }
                Ok(_) => {
                    tally.other += 1;
                    true
                }
                Err(_) => {
                    tally.unanswered += 1;
                    false
                }
            };
            if clear || !self.insist || Instant::now() >= deadline {
                tally.unclear += usize::from(!clear);
                return;
            }
            // Not to spin while the clinic is down.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How requests were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// 202.
    pub accepted: usize,
    /// 409.
    pub taken: usize,
    /// 429.
    pub too_many: usize,
    /// 503.
    pub unavailable: usize,
    /// 504.
    pub unknown: usize,
    /// Anything else.
    pub other: usize,
    /// Refused, cut off or too late.
    pub unanswered: usize,
    /// Requests that ended without a clear answer.
    pub unclear: usize,
    /// How long it took.
    pub took: Duration,
    /// The longest that an answer took.
    pub slowest: Duration,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.taken += other.taken;
        self.too_many += other.too_many;
        self.unavailable += other.unavailable;
        self.unknown += other.unknown;
        self.other += other.other;
        self.unanswered += other.unanswered;
        self.unclear += other.unclear;
        self.took += other.took;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// Midnight (UTC) of a day to come.
///
/// # Panics
/// Never within this calendar's range.
#[must_use]
pub fn day(ahead: u64) -> DateTime<Utc> {
    let date = Utc::now().date_naive().checked_add_days(Days::new(ahead)).expect("a day within the calendar");
    date.and_time(NaiveTime::MIN).and_utc()
}

/// A request for a slot and by a patient that no other number has: 500 doctors, half-hours from the day after tomorrow.
#[must_use]
pub fn slot_of_its_own(prefix: &str, number: usize) -> Value {
    let half_hours = i32::try_from(number / 500).unwrap_or(i32::MAX);
    let start = day(2) + TimeDelta::minutes(30) * half_hours;
    json!({
        "patient_id": format!("PAC-{prefix}-{number}"),
        "patient_name": format!("Nombre Secreto {number}"),
        "doctor_id": format!("DOC-{prefix}-{}", number % 500),
        "datetime": start.to_rfc3339(),
    })
}

/// The address of the patient of this number.
#[must_use]
pub fn mail_of(prefix: &str, number: usize) -> String {
    format!("pac-{prefix}-{number}@patients.test")
}
