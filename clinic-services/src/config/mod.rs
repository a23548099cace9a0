//! Configuration: every setting is a flag and an environment variable, one struct a concern.

mod brokering;
mod calling;
mod deciding;
mod effective;
mod environment;
mod error;
mod exposure;
mod locality;
mod logging;
mod mailing;
mod posting;
mod program;
mod serving;
mod storing;
mod telling;

pub mod duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clinic_core::{channel::EmailOptions, clinic::Roles, settings::Settings};

use crate::desk::Desk;

pub use self::{
    brokering::Brokering,
    calling::Calling,
    deciding::{AvailabilityUrl, Deciding},
    effective::Effective,
    environment::UnknownVariable,
    error::ConfigError,
    exposure::Exposure,
    locality::Locality,
    logging::{LogFormat, Logging},
    mailing::Mailing,
    posting::Posting,
    program::Program,
    serving::{Insecure, Serving},
    storing::Storing,
    telling::{BadReminders, ChannelName, Telling},
};

/// The clinic's command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "clinic",
    version,
    after_help = "Durations are written 500ms, 2s, 5m, 24h, 365d. Without a command the clinic serves.",
    args_conflicts_with_subcommands = true,
    hide_possible_values = false
)]
#[non_exhaustive]
pub struct Cli {
    /// What to do; serving when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of serving.
    #[command(flatten)]
    pub config: Config,
}

/// What a program can do beside serving.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Checks the configuration and prints what is in effect, then ends.
    CheckConfig(Box<Config>),
    /// Asks the process that listens at this address on this machine whether it is able to serve, then ends: 0 when it is.
    CheckHealth(Serving),
    /// The dead-letter desk: lists, explains and replays what failed for good, over the API of a running clinic.
    DeadLetters(Desk),
}

/// All settings.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the API listens and who may call it.
    #[command(flatten)]
    pub serving: Serving,
    /// Where bookings are kept.
    #[command(flatten)]
    pub storing: Storing,
    /// What carries the news of jobs.
    #[command(flatten)]
    pub brokering: Brokering,
    /// How bookings are decided.
    #[command(flatten)]
    pub deciding: Deciding,
    /// How patients are told.
    #[command(flatten)]
    pub telling: Telling,
    /// How mail is sent.
    #[command(flatten)]
    pub mailing: Mailing,
    /// How webhooks are posted.
    #[command(flatten)]
    pub posting: Posting,
    /// Where the clinic is.
    #[command(flatten)]
    pub locality: Locality,
    /// What the process says about itself.
    #[command(flatten)]
    pub logging: Logging,
    /// How client and operator commands reach a clinic.
    #[command(flatten)]
    pub calling: Calling,
}

impl Config {
    /// The settings that a program's use cases run by.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong with any setting or between settings.
    pub fn settings(&self, program: Program) -> Result<Settings, ConfigError> {
        self.storing.check()?;
        self.brokering.check(program)?;
        self.deciding.check()?;
        let mail = self.mail(program);
        let exposures = self.exposures_of(mail.as_ref().ok().and_then(Option::as_ref));
        if let Some(exposure) = exposures.into_iter().find(|exposure| !self.serving.allow_insecure.contains(&exposure.allowed_by())) {
            return Err(ConfigError::Exposed(exposure));
        }
        self.telling.check()?;
        mail?;
        self.posting.guard()?;
        self.posting.options()?;
        self.logging.env_filter()?;
        let mut settings = Settings::default();
        self.deciding.apply(&mut settings)?;
        settings.defaults = self.locality.defaults();
        settings.reminders = self.telling.reminders.clone();
        settings.check()?;
        Ok(settings)
    }

    /// How a program tells patients by e-mail, if it does.
    fn mail(&self, program: Program) -> Result<Option<EmailOptions>, ConfigError> {
        let sends_mail = program.roles().contains(Roles::NOTIFIER) && self.telling.channels.contains(&ChannelName::Email);
        sends_mail.then(|| self.mailing.options()).transpose()
    }

    /// What others on the network could get at by way of a program; where [`settings`](Self::settings) succeeds, all of it is allowed.
    #[must_use]
    pub fn exposures(&self, program: Program) -> Vec<Exposure> {
        self.exposures_of(self.mail(program).ok().flatten().as_ref())
    }

    fn exposures_of(&self, mail: Option<&EmailOptions>) -> Vec<Exposure> {
        self.serving.exposure().into_iter().chain(self.brokering.exposures()).chain(mail.and_then(mailing::exposure)).collect()
    }

    /// `CLINIC_*` variables of this process's environment that no setting reads.
    #[must_use]
    pub fn unknown_variables() -> Vec<UnknownVariable> {
        environment::unknown(&Cli::command(), std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    }
}

#[cfg(test)]
mod tests;
