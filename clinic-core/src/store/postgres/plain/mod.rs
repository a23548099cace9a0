//! What is plain in a batch, by one statement for all of it: a free job claimed, a booking decided or tried again later, its
//! news told for the first time, a notice sent. Each gives `None` for what is not; that goes statement by statement, in the same transaction.
//!
//! Their bookings are locked before, so what a statement reads of them stays true until the commit.
//!
//! A condition that is not to lead into a table is written so that no index fits it, as `kind || '' = 'tell'`: while a table is small one
//! index is as good as another to the planner, which keeps to its choice when the table has grown.

mod claims;
mod decisions;
mod expansions;
mod receipts;
mod retries;

pub(super) use self::{claims::claims, decisions::decisions, expansions::expansions, receipts::receipts, retries::retries};
