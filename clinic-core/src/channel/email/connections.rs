//! Connections to the mail server, kept open for the next mail.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    Address, Message,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Url, form_urlencoded};

use super::{EmailError, EmailOptions, GOODBYE, IDLE, failure::SendError};

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    None,
    /// By STARTTLS where the server offers it.
    Offered,
    /// By STARTTLS, or no mail is sent.
    Required,
    /// From the first byte.
    Wrapped,
}

/// Open connections, of which each serves one mail at a time.
///
/// lettre's own pool takes back the connection of a send that is dropped, as every time-out drops one, in the middle of its mail: the
/// next mail would read the answers to that one as its own, and pass for sent. Here a connection goes back only after the server
/// took its mail whole; any other is closed.
pub(super) struct Connections {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    hello: ClientId,
    keep: usize,
    /// One mail, connecting included.
    send_within: Duration,
    /// Of each address of the host: one that is not reached leaves time for the next.
    connect_within: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Connections {
    pub(super) fn new(options: &EmailOptions) -> Result<Self, EmailError> {
        let tls = options.url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let (encryption, port) = match (options.url.scheme(), tls.as_deref()) {
            ("smtps", _) => (Encryption::Wrapped, 465),
            (_, Some("required")) => (Encryption::Required, 587),
            (_, Some(_)) => (Encryption::Offered, 587),
            (_, None) => (Encryption::None, 25),
        };
        let host = options.host().to_owned();
        let is_encrypted = encryption != Encryption::None;
        let tls = is_encrypted.then(|| TlsParameters::new(host.clone())).transpose().map_err(EmailError::Transport)?;
        Ok(Self {
            host,
            port: options.url.port().unwrap_or(port),
            encryption,
            tls,
            login: login(&options.url),
            hello: ClientId::Domain(options.from.email.domain().to_owned()),
            send_within: options.timeout,
            connect_within: options.timeout / 4,
            keep: options.concurrency,
            idle: Mutex::default(),
        })
    }

    /// Hands a mail over.
    pub(super) async fn send(&self, mail: &Message) -> Result<Response, SendError> {
        let deadline = Instant::now() + self.send_within;
        let mut connection = timeout_at(deadline, self.connection()).await.map_err(|_| SendError::Late)??;
        let handed = timeout_at(deadline, hand_over(&mut connection, mail)).await.map_err(|_| SendError::Late)?;
        match &handed {
            Ok(_) => self.put_back(connection),
            // As RFC 5321, section 4.1.1.10, wants it; what the server makes of it changes nothing.
            Err(error) if error.is_answer() => drop(timeout(GOODBYE, connection.quit()).await),
            Err(_) => {}
        }
        handed
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, SendError> {
        if let Some(mut connection) = self.reuse()
            // It may have been closed meanwhile.
            && connection.test_connected().await
        {
            return Ok(connection);
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let wrapped = self.tls.clone().filter(|_| self.encryption == Encryption::Wrapped);
        let server = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(self.connect_within), &self.hello, wrapped, None);
        let mut connection = connecting.await.map_err(SendError::Connecting)?;
        let starts_tls = match self.encryption {
            Encryption::Required => true,
            Encryption::Offered => connection.can_starttls(),
            Encryption::None | Encryption::Wrapped => false,
        };
        if let Some(tls) = self.tls.clone().filter(|_| starts_tls) {
            connection.starttls(tls, &self.hello).await.map_err(SendError::Encrypting)?;
        }
        if let Some(login) = &self.login {
            connection.auth(DEFAULT_MECHANISMS, login).await.map_err(SendError::Connecting)?;
        }
        Ok(connection)
    }

    fn reuse(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn put_back(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.keep {
            idle.push((connection, Instant::now()));
        }
    }
}

/// One step after the other: lettre's own way does not say which was refused, and waits for an answer to its goodbye first.
async fn hand_over(connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<Response, SendError> {
    let (envelope, content) = (mail.envelope(), mail.formatted());
    let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let mut parameters = Vec::new();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(SendError::Address);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await.map_err(SendError::Sender)?;
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await.map_err(SendError::Mail)?;
    }
    connection.command(Data).await.map_err(SendError::Mail)?;
    connection.message(&content).await.map_err(SendError::Mail)
}

fn login(url: &Url) -> Option<Credentials> {
    Some(Credentials::new(decoded(url.username()), decoded(url.password()?)))
}

/// A form's name without a value: percent-encoding, once what else means something in a form is taken out of the way.
fn decoded(text: &str) -> String {
    let plain = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(plain.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_in_a_login_is_decoded() {
        let url = "smtps://a%40b:p+%2B%26%3D%25w@host".parse().unwrap();
        assert_eq!(login(&url), Some(Credentials::new("a@b".into(), "p++&=%w".into())));
        assert_eq!(login(&"smtp://host".parse().unwrap()), None);
    }
}
