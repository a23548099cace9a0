//! A clinic for your own tests: in memory, in your process, with faults as you plan them.
//!
//! ```
//! use clinic_client::{BookRequest, Status, testing::{FakeClinic, Fault}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clinic = FakeClinic::start().await?;
//! // The first answer is lost on its way, after the booking was made.
//! clinic.plan([Fault::DropAfter]);
//! let client = clinic.client();
//! let request = BookRequest::at(chrono::Utc::now() + chrono::TimeDelta::days(1)).patient("PAC001").doctor("DOC001");
//! let booking = client.bookings().request(request).send().await?;
//! assert_eq!(client.bookings().get(booking.id).await?.status, Status::Confirmed);
//! assert_eq!((clinic.bookings().len(), clinic.calls().len()), (1, 3));
//! # Ok(())
//! # }
//! ```

mod answer;
mod fault;
mod query;
mod routes;
mod serve;
mod state;
mod ward;
mod webhooks;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use clinic_core::{api::BookingView, decision::Decision};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use self::fault::Fault;
use self::state::{Decide, State};
use crate::{builder::Builder, client::Client};

/// The clinic's own time zone.
const ZONE: chrono_tz::Tz = chrono_tz::UTC;

/// A clinic in memory that speaks the API on a free port of this host. It keeps the contract of a real one (its routes, checks and
/// codes, idempotency keys, no two bookings of a doctor at one time) and none of its promises: dropped, it is gone with all it held.
///
/// It decides at once, and confirms, unless it is told otherwise. Local times are UTC; there are no
/// notices, and nothing is posted to webhooks.
pub struct FakeClinic {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// Begins a [`FakeClinic`].
#[must_use]
pub struct FakeClinicBuilder {
    tokens: Vec<String>,
    decide: Decide,
}

/// A request as it came. `Debug` leaves out the values of its query, which name patients.
#[derive(Clone)]
#[non_exhaustive]
pub struct Call {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The idempotency key.
    pub idempotency_key: Option<String>,
    /// The id that the client gave it.
    pub request_id: Option<String>,
    /// What went wrong with it.
    pub fault: Fault,
}

impl FakeClinic {
    /// A clinic that is open to everybody and confirms at once.
    ///
    /// # Errors
    /// When this host has no free port.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Begins another.
    pub fn builder() -> FakeClinicBuilder {
        FakeClinicBuilder { tokens: Vec::new(), decide: Box::new(|_| Some(Decision::Confirmed)) }
    }

    /// Where it serves, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it.
    ///
    /// # Panics
    /// Never: what it is built from is sound.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_builder().build().expect("an address and a plain token make a client")
    }

    /// Begins a client of it, with its first token.
    pub fn client_builder(&self) -> Builder {
        let builder = Client::builder(&self.url()).no_proxy();
        self.state.tokens.first().map_or_else(|| builder.clone(), |token| builder.clone().token(token))
    }

    /// The next requests go wrong like this, one after the other; those after them do not.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.plan(faults);
    }

    /// Decides a pending booking; false when there is none of that id.
    pub fn decide(&self, id: Uuid, decision: Decision) -> bool {
        self.state.change(|ward| ward.decide(id.into(), decision))
    }

    /// All bookings, in the order in which they were made.
    #[must_use]
    pub fn bookings(&self) -> Vec<BookingView> {
        self.state.ward().kept.iter().map(|kept| BookingView::new(&kept.booking, &[])).collect()
    }

    /// All requests, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls()
    }
}

impl FakeClinicBuilder {
    /// Opens to this API key alone, or, said again, to this one as well.
    pub fn token(mut self, token: &str) -> Self {
        self.tokens.push(token.into());
        self
    }

    /// Decides each new booking at once as `decide` says, and leaves it pending where that says nothing: see [`FakeClinic::decide`].
    pub fn decide_with(mut self, decide: impl Fn(&BookingView) -> Option<Decision> + Send + Sync + 'static) -> Self {
        self.decide = Box::new(decide);
        self
    }

    /// Leaves every booking pending: see [`FakeClinic::decide`].
    pub fn undecided(self) -> Self {
        self.decide_with(|_| None)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When this host has no free port.
    pub async fn start(self) -> io::Result<FakeClinic> {
        let listener = serve::listen().await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(self.tokens, self.decide));
        let serving = tokio::spawn(serve::serve(listener, Arc::clone(&state)));
        Ok(FakeClinic { address, state, serving })
    }
}

impl Drop for FakeClinic {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let query: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()).collect();
        let mut call = f.debug_struct("Call");
        call.field("method", &self.method).field("path", &path).field("query", &query).field("idempotency_key", &self.idempotency_key);
        call.field("request_id", &self.request_id).field("fault", &self.fault).finish()
    }
}

impl fmt::Debug for FakeClinic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClinic").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for FakeClinicBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClinicBuilder").finish_non_exhaustive()
    }
}
