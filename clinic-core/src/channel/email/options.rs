//! Where mail goes and who it comes from.

use std::{fmt, time::Duration};

use lettre::message::Mailbox;
use thiserror::Error;
use url::Url;

use crate::{ports::NOTICE_RETRY, retry::RetryPolicy};

/// How mail is sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct EmailOptions {
    pub(super) url: Url,
    pub(super) from: Mailbox,
    /// How long one mail may take, connecting included.
    pub timeout: Duration,
    /// Mails that are sent at once, each over a connection of its own.
    pub concurrency: usize,
    /// When a mail that was not taken is sent again.
    pub retry: RetryPolicy,
}

/// Why mail cannot be sent as configured. No text of it shows the URL: it holds a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Not a URL of a mail server.
    #[error("the mail server must be written smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:PORT?tls=required")]
    Url,
    /// Half a login.
    #[error("the mail server's login is both a user and a password, smtps://USER:PASSWORD@HOST, or neither")]
    Login,
    /// Not a sender.
    #[error("the sender must be an address such as citas@example.org, or Clinic <citas@example.org>")]
    From,
    /// Nothing in the URL's form is wrong, and yet there can be no transport.
    #[error("the transport for mail cannot be made")]
    Transport(#[source] lettre::transport::smtp::Error),
}

impl EmailOptions {
    /// By the server at `url`, from the sender `from`: `smtps://` is TLS from the start, `smtp://...?tls=required` STARTTLS, and
    /// `smtp://` alone no TLS at all, which is for this machine and networks that nobody else can read.
    ///
    /// # Errors
    /// [`EmailError::Url`], [`EmailError::Login`], [`EmailError::From`].
    pub fn new(url: &str, from: &str) -> Result<Self, EmailError> {
        let url: Url = url.trim().parse().map_err(|_| EmailError::Url)?;
        let is_known = |(name, value): (_, std::borrow::Cow<'_, str>)| name == "tls" && matches!(&*value, "required" | "opportunistic");
        let is_mail = match url.scheme() {
            "smtps" => url.query().is_none(),
            "smtp" => url.query_pairs().all(is_known) && url.query_pairs().count() <= 1,
            _ => false,
        };
        if !is_mail || url.host_str().is_none_or(str::is_empty) || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(EmailError::Url);
        }
        if url.username().is_empty() != url.password().is_none_or(str::is_empty) {
            return Err(EmailError::Login);
        }
        let from = from.parse().map_err(|_| EmailError::From)?;
        Ok(Self { url, from, timeout: Duration::from_secs(30), concurrency: 8, retry: NOTICE_RETRY })
    }

    /// The server's host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether nobody on the way can read along, or mail is not sent.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "smtps" || self.url.query_pairs().any(|(name, value)| name == "tls" && value == "required")
    }
}

impl fmt::Debug for EmailOptions {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailOptions").field("host", &self.host()).field("encrypted", &self.is_encrypted()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "Clínica <citas@example.org>";

    #[test]
    fn what_names_no_mail_server_or_sender_is_refused_without_being_shown() {
        for url in [
            "",
            "mail",
            "http://u:hunter2@mail",
            "smtp:mail",
            "smtp://",
            "smtp://mail?tls=maybe",
            "smtps://mail?tls=required",
            "smtp://u:hunter2@mail/inbox",
            "smtp://mail#top",
            "smtp://mail?tls=required&tls=required",
            "smtp://u:hunter2@mail:none",
        ] {
            let error = EmailOptions::new(url, FROM).unwrap_err();
            assert!(matches!(error, EmailError::Url), "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        for from in ["", "clinic", "a@b\r\nBcc: c@d", "a@b, c@d"] {
            assert!(matches!(EmailOptions::new("smtp://mail", from), Err(EmailError::From)), "{from:?}");
        }
        let options = EmailOptions::new("smtps://u:hunter2@mail", FROM).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn half_a_login_is_refused() {
        for url in ["smtps://u@mail", "smtps://u:@mail", "smtp://:hunter2@mail?tls=required"] {
            let error = EmailOptions::new(url, FROM).unwrap_err();
            assert!(matches!(error, EmailError::Login) && !error.to_string().contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn encrypted_is_what_cannot_be_sent_otherwise() {
        let of = |url| EmailOptions::new(url, FROM).unwrap();
        assert!(of("smtps://mail").is_encrypted() && of("smtp://mail:587?tls=required").is_encrypted());
        assert!(!of("smtp://mail").is_encrypted() && !of("smtp://mail?tls=opportunistic").is_encrypted());
        assert_eq!(of("smtp://[::1]:25").host(), "::1");
    }
}
