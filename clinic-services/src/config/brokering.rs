use clap::Args;
use clinic_core::broker::{RabbitOptions, RabbitUrl};

use super::{ConfigError, Exposure, Program, locality::is_here};

/// What carries the news of jobs.
#[derive(Args, Clone)]
#[command(next_help_heading = "Store and broker")]
#[non_exhaustive]
pub struct Brokering {
    /// The broker: `embedded`, inside this process, or RabbitMQ: amqp(s)://USER:PASSWORD@HOST:PORT/VHOST, a cluster's nodes with
    /// commas between.
    // No value parser: clap would show the value, and its password, when it is wrong.
    #[arg(id = "broker", long = "broker", env = "CLINIC_BROKER", value_name = "URL", default_value = "embedded", hide_env_values = true)]
    pub url: String,
    /// Put before the name of every queue and exchange.
    #[arg(long, env = "CLINIC_PREFIX", default_value = "")]
    pub prefix: String,
}

impl Brokering {
    pub(super) fn check(&self, program: Program) -> Result<(), ConfigError> {
        RabbitOptions::check_prefix(&self.prefix)?;
        if self.url == "embedded" && program != Program::Clinic {
            return Err(ConfigError::EmbeddedBroker(program));
        }
        self.nodes().map(|_| ())
    }

    /// What others on the network could get at.
    pub(super) fn exposures(&self) -> Vec<Exposure> {
        let mut exposures = Vec::new();
        for node in self.nodes().unwrap_or_default().into_iter().filter(|node| !is_here(node.host())) {
            if !node.is_encrypted() {
                exposures.push(Exposure::PlainAmqp(node.host().to_owned()));
            }
            if node.has_default_password() {
                exposures.push(Exposure::DefaultPassword(node.host().to_owned()));
            }
        }
        exposures
    }

    /// The nodes of RabbitMQ, none when the broker is embedded.
    fn nodes(&self) -> Result<Vec<RabbitUrl>, ConfigError> {
        if self.url == "embedded" {
            return Ok(Vec::new());
        }
        if !(self.url.starts_with("amqp://") || self.url.starts_with("amqps://")) {
            return Err(ConfigError::UnknownUrl { variable: "CLINIC_BROKER", known: "embedded, amqp://..., amqps://..." });
        }
        let nodes = RabbitUrl::parse_list(&self.url)?;
        let is_mixed = nodes.windows(2).any(|pair| pair[0].is_encrypted() != pair[1].is_encrypted());
        if is_mixed { Err(ConfigError::MixedNodes) } else { Ok(nodes) }
    }
}

impl std::fmt::Display for Brokering {
    /// Hosts and ports alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.nodes() {
            Ok(nodes) if nodes.is_empty() => f.write_str("embedded"),
            Ok(nodes) => f.write_str(&nodes.iter().map(RabbitUrl::to_string).collect::<Vec<_>>().join(",")),
            Err(_) => f.write_str("?"),
        }
    }
}

impl std::fmt::Debug for Brokering {
    /// Shows no password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brokering").field("url", &format_args!("{self}")).field("prefix", &self.prefix).finish()
    }
}
