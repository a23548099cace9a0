use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use clinic_core::{api::BookingView, booking::Status};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    bookings::Bookings,
    call::Failure,
    error::{Error, ErrorKind},
};

/// How long one call of a long wait lasts: short enough for proxies that cut silent connections.
const POLL: Duration = Duration::from_secs(20);
/// What the last call of a wait may take beyond it: without that, a wait of a second could end with no answer at all.
const GRACE: Duration = Duration::from_secs(2);
/// The longest wait: a year, after which every booking is decided.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// How much before its time a held call may be answered.
const EARLY: Duration = Duration::from_millis(100);

/// A wait for a decision, to be awaited: the booking, decided or cancelled, or in a status that this release does not know: what that
/// means is for the caller to say, and it is not `pending`.
///
/// It ends with [`ErrorKind::Undecided`] when the longest wait is over. Errors that pass with time are waited out until then; one of them
/// is the end only where no call was ever answered: otherwise the booking is still pending, as far as anybody heard.
#[derive(Clone, Debug)]
#[must_use = "nothing is waited for before it is awaited"]
pub struct WaitUntilDecided {
    bookings: Bookings,
    id: Uuid,
    max_wait: Duration,
}

impl WaitUntilDecided {
    pub(crate) const fn new(bookings: Bookings, id: Uuid) -> Self {
        Self { bookings, id, max_wait: Duration::from_secs(60) }
    }

    /// How long to wait in all, 60 s unless set.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    async fn wait(self) -> Result<BookingView, Error> {
        let until = Instant::now() + self.max_wait.min(LONGEST);
        let retry = self.bookings.client().inner.retry;
        let mut failed = 0;
        let mut pending = None;
        for attempts in 1.. {
            let asked = Instant::now();
            let left = until.saturating_duration_since(asked);
            // Rounded up: a call with no wait would only ask again and again through the last second.
            let wait = Duration::from_secs(left.min(POLL).as_millis().div_ceil(1000) as u64);
            let answer = timeout(left + GRACE, self.bookings.poll(self.id, wait).once().answer::<BookingView>()).await;
            let over = Instant::now() >= until;
            let asked_for = match answer.unwrap_or_else(|_| Err(ErrorKind::Timeout.into())) {
                Ok(booking) if booking.status != Status::Pending => return Ok(booking),
                Ok(booking) if over => return Err(undecided(booking, attempts)),
                Err(failure) if !failure.kind.is_retryable() => return Err(Failure { attempts, ..failure }.into()),
                Err(failure) if over => {
                    return Err(match pending {
                        Some(booking) => undecided(booking, attempts),
                        None => Failure { attempts, ..failure }.into(),
                    });
                }
                Ok(booking) => {
                    pending = Some(booking);
                    if asked.elapsed() + EARLY >= wait {
                        failed = 0;
                        continue;
                    }
                    // A server on its way out that holds no call.
                    None
                }
                Err(failure) => failure.asked,
            };
            failed += 1;
            sleep(retry.patient_pause(failed, asked_for, rand::random()).min(until.saturating_duration_since(Instant::now()))).await;
        }
        unreachable!("the wait ends when its time is over")
    }
}

/// Still pending when the time is over, as last answered.
fn undecided(booking: BookingView, attempts: u32) -> Error {
    Error { attempts, ..Error::new(ErrorKind::Undecided(Box::new(booking))) }
}

impl IntoFuture for WaitUntilDecided {
    type Output = Result<BookingView, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}
