use clinic_core::{
    broker::RabbitUrlError,
    channel::{EmailError, webhook::AllowError},
    retry::RetryPolicyError,
    settings::SettingsError,
    store::postgres::PostgresUrlError,
};
use thiserror::Error;

use super::{Exposure, Program};

/// Why the configuration refuses to start. Every text names the fix.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Others on the network could get at what is not theirs.
    #[error("{0}: {fix}", fix = .0.fix())]
    Exposed(Exposure),
    /// A URL of no known scheme.
    #[error("{variable} is none of: {known}")]
    UnknownUrl {
        /// The setting.
        variable: &'static str,
        /// What there is.
        known: &'static str,
    },
    /// A program that shares the work has a broker of its own.
    #[error(
        "{0} shares its work with other processes, so it needs a broker outside: set CLINIC_BROKER=amqp://USER:PASSWORD@HOST:PORT/VHOST, \
         or run `clinic`, which is all of them in one process"
    )]
    EmbeddedBroker(Program),
    /// RabbitMQ cannot be reached, or its names cannot begin, as configured.
    #[error(transparent)]
    Broker(#[from] RabbitUrlError),
    /// Nodes with and without encryption.
    #[error("CLINIC_BROKER mixes amqp:// and amqps://: write the same for every node")]
    MixedNodes,
    /// Availability that is neither the simulation nor a URL.
    #[error("CLINIC_AVAILABILITY: write simulated, or a URL such as https://calendar.example.org/check")]
    Availability,
    /// A SQLite URL that is not `sqlite:PATH`.
    #[error("CLINIC_STORE: write sqlite:PATH, such as sqlite:clinic.db or sqlite:/var/lib/clinic/clinic.db; bookings need a file")]
    SqlitePath,
    /// PostgreSQL cannot be reached as configured.
    #[error(transparent)]
    Postgres(#[from] PostgresUrlError),
    /// A channel named twice.
    #[error("CLINIC_CHANNELS names {0} twice: name each channel once")]
    ChannelTwice(&'static str),
    /// Mail is to be sent, and something is missing for it.
    #[error("CLINIC_CHANNELS names email: set {0}")]
    MailIncomplete(&'static str),
    /// The mail server or the sender cannot be read.
    #[error("{} cannot be used", mail_setting(.0))]
    Mail(#[from] EmailError),
    /// Nothing can be sent in no time, or again and again without a pause; and whatever is being sent is leased for longer than a try.
    #[error("{0} must be longer than zero and no longer than 15m")]
    TryTime(&'static str),
    /// An exception for webhooks that is none.
    #[error("CLINIC_WEBHOOK_ALLOW: {0}")]
    WebhookAllow(#[from] AllowError),
    /// A log filter that cannot be read.
    #[error("CLINIC_LOG cannot be read: write a level such as info, or a filter such as info,clinic_services=debug")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    /// A retry number out of bounds.
    #[error("{0}: see CLINIC_RETRIES, CLINIC_RETRY_FACTOR and CLINIC_RETRY_JITTER")]
    Retry(#[from] RetryPolicyError),
    /// A contradiction.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

const fn mail_setting(error: &EmailError) -> &'static str {
    match error {
        EmailError::From => "CLINIC_MAIL_FROM",
        _ => "CLINIC_SMTP_URL",
    }
}
