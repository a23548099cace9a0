use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::Exposure;

/// Where the API listens and who may call it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving")]
#[non_exhaustive]
pub struct Serving {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "CLINIC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// File of API keys, one `name:key` a line; every route but /health then asks for one.
    #[arg(long, env = "CLINIC_API_KEYS_FILE", value_name = "PATH")]
    pub api_keys_file: Option<PathBuf>,
    /// What may go unprotected off the loopback interface: `http` (the API without keys), `amqp` (RabbitMQ without TLS or with
    /// a default password), `smtp` (mail without TLS).
    #[arg(long, env = "CLINIC_ALLOW_INSECURE", value_name = "LIST", value_delimiter = ',')]
    pub allow_insecure: Vec<Insecure>,
}

/// What may go unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Insecure {
    /// The API, off loopback, without keys.
    Http,
    /// RabbitMQ, off loopback, without TLS or with a default password.
    Amqp,
    /// A mail server, off loopback, without TLS.
    Smtp,
}

impl Insecure {
    /// As it is written in `CLINIC_ALLOW_INSECURE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Amqp => "amqp",
            Self::Smtp => "smtp",
        }
    }
}

impl Serving {
    pub(super) fn exposure(&self) -> Option<Exposure> {
        self.listen.filter(|address| !address.ip().to_canonical().is_loopback() && self.api_keys_file.is_none()).map(Exposure::Http)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080".to_owned())
}
