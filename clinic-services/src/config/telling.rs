use clap::{Args, ValueEnum};

use super::ConfigError;

/// How patients are told.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telling")]
#[non_exhaustive]
pub struct Telling {
    /// Channels that every decision is told on: `log` (one line a notice on standard output).
    #[arg(long, env = "CLINIC_CHANNELS", value_name = "LIST", default_value = "log", value_delimiter = ',')]
    pub channels: Vec<ChannelName>,
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
            if *channel != ChannelName::Log {
                return Err(ConfigError::no_channel(*channel));
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
