use std::{fmt, time::Duration};

use clap::Args;
use clinic_core::{channel::EmailOptions, retry::RetryPolicy};

use super::{ConfigError, Exposure, duration, locality::is_here, telling::check_tries};

/// How mail is sent, where `CLINIC_CHANNELS` names `email`.
#[derive(Args, Clone)]
#[command(next_help_heading = "E-mail")]
#[non_exhaustive]
pub struct Mailing {
    /// The mail server: smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:PORT?tls=required for STARTTLS; smtp:// alone is
    /// unencrypted.
    // No value parser: clap would show the value, and its password, when it is wrong.
    #[arg(long, env = "CLINIC_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// Who mail comes from, such as `Clinic <citas@example.org>`.
    #[arg(long, env = "CLINIC_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// How long sending one mail may take, 15m at most.
    #[arg(long, env = "CLINIC_MAIL_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub mail_timeout: Duration,
    /// Mails sent at once, each over a connection of its own (1-1000).
    #[arg(long, env = "CLINIC_MAIL_CONCURRENCY", value_name = "COUNT", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub mail_concurrency: u16,
    /// Tries after the first (0-20).
    #[arg(long, env = "CLINIC_MAIL_RETRIES", value_name = "COUNT", default_value = "7", value_parser = clap::value_parser!(u32).range(..=20))]
    pub mail_retries: u32,
    /// Pause after the first failed try; each further one is four times as long, up to an hour.
    #[arg(long, env = "CLINIC_MAIL_RETRY_BASE", value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub mail_retry_base: Duration,
}

impl Mailing {
    /// What the e-mail channel is made of.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that is missing or cannot be read.
    pub fn options(&self) -> Result<EmailOptions, ConfigError> {
        let url = self.smtp_url.as_deref().ok_or(ConfigError::MailIncomplete("CLINIC_SMTP_URL=smtps://USER:PASSWORD@HOST"))?;
        let from = self.mail_from.as_deref().ok_or(ConfigError::MailIncomplete("CLINIC_MAIL_FROM=citas@example.org"))?;
        let mut options = EmailOptions::new(url, from)?;
        check_tries(("CLINIC_MAIL_TIMEOUT", self.mail_timeout), ("CLINIC_MAIL_RETRY_BASE", self.mail_retry_base))?;
        options.timeout = self.mail_timeout;
        options.concurrency = self.mail_concurrency.into();
        options.retry = RetryPolicy::for_notices(self.mail_retries, self.mail_retry_base);
        Ok(options)
    }
}

/// Who could read along.
pub(super) fn exposure(mail: &EmailOptions) -> Option<Exposure> {
    (!mail.is_encrypted() && !is_here(mail.host())).then(|| Exposure::PlainSmtp(mail.host().to_owned()))
}

impl fmt::Debug for Mailing {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailing").field("mail_from", &self.mail_from).finish_non_exhaustive()
    }
}
