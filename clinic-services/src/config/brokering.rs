use clap::Args;

use super::ConfigError;

/// What carries the news of jobs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store and broker")]
#[non_exhaustive]
pub struct Brokering {
    /// The broker: `embedded`, inside this process.
    #[arg(id = "broker", long = "broker", env = "CLINIC_BROKER", value_name = "URL", default_value = "embedded")]
    pub url: String,
    /// Put before the name of every queue and exchange.
    #[arg(long, env = "CLINIC_PREFIX", default_value = "")]
    pub prefix: String,
}

impl Brokering {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let named = self.prefix.len() <= 64 && self.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !named {
            return Err(ConfigError::Prefix);
        }
        match self.url.as_str() {
            "embedded" => Ok(()),
            url if url.starts_with("amqp://") || url.starts_with("amqps://") => Err(ConfigError::NotBuiltIn {
                variable: "CLINIC_BROKER",
                what: "RabbitMQ adapter (feature `rabbitmq`)",
                instead: "embedded",
            }),
            _ => Err(ConfigError::UnknownUrl { variable: "CLINIC_BROKER", known: "embedded" }),
        }
    }
}
