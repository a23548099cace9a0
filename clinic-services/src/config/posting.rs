use std::time::Duration;

use clap::Args;
use clinic_core::{
    channel::webhook::{Guard, WebhookOptions},
    retry::RetryPolicy,
};

use super::{ConfigError, duration, telling::check_tries};

/// How webhooks are posted, where `CLINIC_CHANNELS` names `webhook`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Webhooks")]
#[non_exhaustive]
pub struct Posting {
    /// Targets beside public ones by https: addresses, networks such as 10.0.0.0/8, whole host names. Whoever may register webhooks can
    /// make the clinic post there.
    #[arg(long, env = "CLINIC_WEBHOOK_ALLOW", value_name = "LIST", default_value = "", hide_default_value = true)]
    pub webhook_allow: String,
    /// How long one delivery may take, 15m at most.
    #[arg(long, env = "CLINIC_WEBHOOK_TIMEOUT", value_name = "TIME", default_value = "15s", value_parser = duration::parse)]
    pub webhook_timeout: Duration,
    /// Deliveries at once to each endpoint (1-1000).
    #[arg(long, env = "CLINIC_WEBHOOK_CONCURRENCY", value_name = "COUNT", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub webhook_concurrency: u16,
    /// Tries after the first (0-20).
    #[arg(long, env = "CLINIC_WEBHOOK_RETRIES", value_name = "COUNT", default_value = "7", value_parser = clap::value_parser!(u32).range(..=20))]
    pub webhook_retries: u32,
    /// Pause after the first failed try; each further one is four times as long, up to an hour.
    #[arg(long, env = "CLINIC_WEBHOOK_RETRY_BASE", value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub webhook_retry_base: Duration,
}

impl Posting {
    /// Which targets may be posted to.
    ///
    /// # Errors
    /// [`ConfigError`] names the entry that is none.
    pub fn guard(&self) -> Result<Guard, ConfigError> {
        Ok(Guard::new(self.webhook_allow.split(','))?)
    }

    /// How it is posted.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn options(&self) -> Result<WebhookOptions, ConfigError> {
        check_tries(("CLINIC_WEBHOOK_TIMEOUT", self.webhook_timeout), ("CLINIC_WEBHOOK_RETRY_BASE", self.webhook_retry_base))?;
        let mut options = WebhookOptions::default();
        options.timeout = self.webhook_timeout;
        options.concurrency = self.webhook_concurrency.into();
        options.retry = RetryPolicy::for_notices(self.webhook_retries, self.webhook_retry_base);
        Ok(options)
    }
}
