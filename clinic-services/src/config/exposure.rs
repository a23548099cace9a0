use std::{fmt, net::SocketAddr};

use super::Insecure;

/// What others on the network could get at. It refuses to start, or is said at start where `CLINIC_ALLOW_INSECURE` lets it be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposure {
    /// Anybody could call.
    Http(SocketAddr),
    /// Anybody on the way to this host could read along.
    PlainAmqp(String),
    /// Anybody could log in to this host's RabbitMQ.
    DefaultPassword(String),
    /// Anybody on the way to this host could read patients' mail.
    PlainSmtp(String),
}

impl Exposure {
    /// What `CLINIC_ALLOW_INSECURE` must hold for it.
    #[must_use]
    pub const fn allowed_by(&self) -> Insecure {
        match self {
            Self::Http(_) => Insecure::Http,
            Self::PlainAmqp(_) | Self::DefaultPassword(_) => Insecure::Amqp,
            Self::PlainSmtp(_) => Insecure::Smtp,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Http(_) => {
                "set CLINIC_API_KEYS_FILE to a file of keys, or CLINIC_ALLOW_INSECURE=http if something in front of the clinic \
                 checks who calls, or listen on 127.0.0.1"
            }
            Self::PlainAmqp(_) => "write amqps:// there, or set CLINIC_ALLOW_INSECURE=amqp if nobody else can read that network",
            Self::DefaultPassword(_) => {
                "give RabbitMQ and CLINIC_BROKER a user and a password of your own, or set CLINIC_ALLOW_INSECURE=amqp if nobody else \
                 can reach it"
            }
            Self::PlainSmtp(_) => {
                "write smtps://, or smtp:// with ?tls=required, or set CLINIC_ALLOW_INSECURE=smtp if nobody else can read that network"
            }
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => write!(f, "CLINIC_LISTEN={address} is reachable from other machines and nothing protects it"),
            Self::PlainAmqp(host) => write!(f, "CLINIC_BROKER reaches {host}, which is not this machine, unencrypted"),
            Self::PlainSmtp(host) => write!(f, "CLINIC_SMTP_URL sends patients' mail to {host}, which is not this machine, unencrypted"),
            Self::DefaultPassword(host) => {
                write!(f, "CLINIC_BROKER logs in to {host}, which is not this machine, with a default password")
            }
        }
    }
}
