//! E-mail: text, HTML and an invitation, by a mail server (RFC 5321).

mod connections;
mod failure;
mod foreign;
mod invitation;
mod letter;
mod message;
mod options;

use std::time::Duration;

use async_trait::async_trait;
use lettre::{message::Mailbox, transport::smtp::response::Response};

use self::connections::Connections;
pub use self::options::{EmailError, EmailOptions};
use crate::{
    notification::Notice,
    ports::{Channel, ChannelError, Receipt},
    retry::RetryPolicy,
};

/// How long a connection is kept for the next mail.
const IDLE: Duration = Duration::from_secs(30);
/// How long a server that refused a mail has to answer the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Tells patients by e-mail, in their language and the clinic's time zone, with an invitation for their calendar. Whoever has no
/// e-mail address is skipped (`no_contact`).
///
/// What the server defers (4xx), a broken or refused connection, TLS and logging in that fail, and a sender that it does not accept
/// may pass: they are the server's or the operator's to mend. A recipient or a mail that it refuses for good (5xx), and an address
/// that is none (`bad_address`), go to the dead-letter desk.
///
/// A server's certificate is held against the system's authorities, or those in the file that `SSL_CERT_FILE` names.
#[derive(Debug)]
pub struct EmailChannel {
    connections: Connections,
    from: Mailbox,
    options: EmailOptions,
}

impl EmailChannel {
    /// By the server and from the sender that the options name. Nothing is connected to before the first mail.
    ///
    /// # Errors
    /// [`EmailError::Transport`].
    pub fn new(options: EmailOptions) -> Result<Self, EmailError> {
        // One provider of cryptography in the whole program. One that is installed already serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connections = Connections::new(&options)?;
        Ok(Self { connections, from: options.from.clone(), options })
    }
}

#[async_trait]
impl Channel for EmailChannel {
    fn name(&self) -> &str {
        "email"
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        let mail = message::compose(notice, &self.from)?;
        let answer = self.connections.send(&mail).await?;
        Ok(queue_id(&answer).map_or_else(Receipt::none, Receipt::with_reference))
    }

    fn concurrency(&self) -> usize {
        self.options.concurrency
    }

    /// Longer than one mail and the goodbye may take, so that it is this channel that says what was late.
    fn timeout(&self) -> Duration {
        self.options.timeout.saturating_add(2 * GOODBYE)
    }

    fn retry(&self) -> RetryPolicy {
        self.options.retry
    }
}

/// Under which id the server keeps the mail, where it says so as most do; nothing else of its answer is kept.
fn queue_id(answer: &Response) -> Option<&str> {
    let line = answer.first_line()?;
    let id = line.rsplit_once("queued as ")?.1.split_ascii_whitespace().next()?;
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_id.then_some(id)
}

#[cfg(test)]
mod tests;
