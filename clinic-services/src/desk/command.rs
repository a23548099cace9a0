use std::time::Duration;

use chrono::Utc;
use clap::{Args, Subcommand};
use clinic_client::ListDeadLetters;
use clinic_core::dead_letter::DeadLetterKind;

use super::{Rate, kind};
use crate::config::{Calling, duration};

/// The dead-letter desk: what failed for good, to see, understand and replay.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Desk {
    /// What to do.
    #[command(subcommand)]
    pub command: DeskCommand,
}

/// What can be done at the desk.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum DeskCommand {
    /// Lists dead letters, one line each, oldest first; then poison, messages that nobody could understand.
    List {
        /// Which.
        #[command(flatten)]
        selection: Selection,
        /// Only those that were replayed (true) or were not (false).
        #[arg(long, value_name = "BOOL")]
        replayed: Option<bool>,
        /// Where the clinic is.
        #[command(flatten)]
        calling: Calling,
    },
    /// Shows one as JSON.
    Show {
        /// Its id.
        id: i64,
        /// Where the clinic is.
        #[command(flatten)]
        calling: Calling,
    },
    /// Says what happened, why, and what replaying would do.
    Explain {
        /// Its id.
        id: i64,
        /// Where the clinic is.
        #[command(flatten)]
        calling: Calling,
    },
    /// Replays letters: those named, or all that filters choose and that were not replayed yet. May be interrupted and run again.
    Replay {
        /// Their ids.
        #[arg(conflicts_with_all = ["code", "kind", "older_than", "newer_than", "limit", "all"])]
        ids: Vec<i64>,
        /// Which.
        #[command(flatten)]
        selection: Selection,
        /// Every letter that was not replayed yet.
        #[arg(long)]
        all: bool,
        /// At most so many a second.
        #[arg(long, value_name = "N/s", default_value = "50/s")]
        rate: Rate,
        /// Changes nothing, and says what would come of it.
        #[arg(long)]
        dry_run: bool,
        /// Where the clinic is.
        #[command(flatten)]
        calling: Calling,
    },
}

/// Which letters.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Selection {
    /// That failed with this code, such as `availability_unreachable`.
    #[arg(long)]
    pub code: Option<String>,
    /// Of this kind: decide, notice or release.
    #[arg(long, value_parser = kind)]
    pub kind: Option<DeadLetterKind>,
    /// That failed longer ago than this, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub older_than: Option<Duration>,
    /// That failed no longer ago than this.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub newer_than: Option<Duration>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl Selection {
    /// Whether it chooses nothing, which is everything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.code.is_none() && self.kind.is_none() && self.older_than.is_none() && self.newer_than.is_none() && self.limit.is_none()
    }

    /// How many at most.
    pub(super) fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// A list narrowed to it, as of now.
    pub(super) fn narrow(&self, mut list: ListDeadLetters) -> ListDeadLetters {
        let ago = |time: Duration| chrono::Duration::from_std(time).ok().and_then(|time| Utc::now().checked_sub_signed(time));
        if let Some(code) = &self.code {
            list = list.code(code);
        }
        if let Some(kind) = self.kind {
            list = list.kind(kind);
        }
        if let Some(time) = self.older_than.and_then(ago) {
            list = list.older_than(time);
        }
        if let Some(time) = self.newer_than.and_then(ago) {
            list = list.newer_than(time);
        }
        list.limit(u32::try_from(self.most()).unwrap_or(u32::MAX).clamp(1, 200))
    }
}
