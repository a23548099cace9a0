//! Ports: what the use cases need of the outside. Object-safe, used as `Arc<dyn Port>`.

mod availability;
mod broker;
mod channel;
mod clock;
mod poster;
mod store;

pub use availability::{Availability, AvailabilityError, Request, Verdict};
pub use broker::{Acker, Broker, BrokerError, Consumer, Delivery, Listener, PublishError};
pub use channel::{Channel, ChannelError, NOTICE_RETRY, Receipt};
pub use clock::{Clock, SystemClock};
pub use poster::{Delivered, NotAdmitted, Poster};
pub use store::{
    Acceptance, Cancellation, Claim, ClaimRequest, Claimant, Concluded, Conclusion, Ending, Followed, Keyed, NewBooking, NewEndpoint,
    NoticeClaimant, NoticeEnding, NoticeResult, NoticeSettled, Overdue, OverdueNotices, PROGRESS_PAGE, Progress, Record, Registration,
    Replay, Replayed, Store, StoreError, StoreStats,
};

/// The source of an error of a port: whatever the adapter's library gave.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;
