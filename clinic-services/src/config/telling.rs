use std::time::Duration;

use clap::{Args, ValueEnum};
use clinic_core::reminder::{Reminders, RemindersError};
use thiserror::Error;

use super::{
    ConfigError,
    duration::{self, BadDuration},
};

/// How patients are told.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telling")]
#[non_exhaustive]
pub struct Telling {
    /// Channels that every decision is told on: `log` (one line a notice on standard output), `email`, `webhook` (every endpoint that is
    /// registered at /webhooks).
    #[arg(long, env = "CLINIC_CHANNELS", value_name = "LIST", default_value = "log", value_delimiter = ',')]
    pub channels: Vec<ChannelName>,
    /// How long before a confirmed visit its patient is reminded, as often as there are times (8 at most); `none` for never.
    #[arg(long, env = "CLINIC_REMINDERS", value_name = "TIMES", default_value = "24h", value_parser = reminders)]
    pub reminders: Reminders,
}

/// What a killed notifier was sending is left alone for half as long again as the slowest channel may take.
const LONGEST_TRY: Duration = Duration::from_secs(15 * 60);

/// How long a channel's tries and the pauses between them may be.
pub(super) fn check_tries(timeout: (&'static str, Duration), retry_base: (&'static str, Duration)) -> Result<(), ConfigError> {
    let in_bounds = |(setting, time): (&'static str, Duration)| {
        let sound = !time.is_zero() && time <= LONGEST_TRY;
        if sound { Ok(()) } else { Err(ConfigError::TryTime(setting)) }
    };
    in_bounds(timeout).and(in_bounds(retry_base))
}

/// Why a text names no reminders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadReminders {
    /// One of them is no length of time.
    #[error("{0}; several with commas between, such as 48h,2h, or none")]
    Time(#[from] BadDuration),
    /// Together they make no reminders.
    #[error("{0}: write such as 48h,2h, or none")]
    Times(#[from] RemindersError),
}

fn reminders(text: &str) -> Result<Reminders, BadReminders> {
    if text.trim() == "none" {
        return Ok(Reminders::none());
    }
    let before = text.split(',').map(|time| duration::parse(time.trim())).collect::<Result<Vec<_>, _>>()?;
    Ok(Reminders::new(before)?)
}

/// A channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum ChannelName {
    /// One line a notice on standard output, ids only.
    Log,
    /// E-mail.
    Email,
    /// A webhook.
    Webhook,
}

impl ChannelName {
    /// As it is written in `CLINIC_CHANNELS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

impl Telling {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (place, channel) in self.channels.iter().enumerate() {
            if self.channels[..place].contains(channel) {
                return Err(ConfigError::ChannelTwice(channel.as_str()));
            }
        }
        Ok(())
    }

    /// The channels' names, in one word list.
    #[must_use]
    pub fn names(&self) -> String {
        self.channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_are_times_with_commas_between() {
        const HOUR: Duration = Duration::from_secs(3600);
        assert_eq!(reminders("24h"), Ok(Reminders::default()));
        assert_eq!(reminders("48h, 2h").ok(), Reminders::new([48 * HOUR, 2 * HOUR]).ok());
        assert_eq!(reminders("none"), Ok(Reminders::none()));
        assert_eq!(reminders("24h,"), Err(BadReminders::Time(BadDuration::Syntax)));
        assert_eq!(reminders("0s"), Err(BadReminders::Times(RemindersError::OutOfBounds)));
        assert_eq!(reminders("1h,60m"), Err(BadReminders::Times(RemindersError::Twice)));
    }
}
