use std::fmt;

use super::url::{RabbitUrl, RabbitUrlError};

/// Which RabbitMQ, and under which names.
#[derive(Clone)]
pub struct RabbitOptions {
    urls: String,
    prefix: String,
    name: String,
}

impl RabbitOptions {
    /// One address, or those of a cluster's nodes, separated by commas: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://`.
    ///
    /// An address may have parameters: `?heartbeat=5`, in seconds; `?cacertfile=ca.pem`, certificates to trust beside the system's.
    #[must_use]
    pub fn new(urls: impl Into<String>) -> Self {
        Self { urls: urls.into(), prefix: String::new(), name: format!("clinic-{}", std::process::id()) }
    }

    /// What is put before the name of every exchange and queue.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What RabbitMQ's management page calls this process.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Whether names may begin so.
    ///
    /// # Errors
    /// [`RabbitUrlError::Prefix`] says what they may begin with.
    pub fn check_prefix(prefix: &str) -> Result<(), RabbitUrlError> {
        let nameable = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if prefix.len() <= 64 && prefix.bytes().all(nameable) { Ok(()) } else { Err(RabbitUrlError::Prefix) }
    }

    pub(super) fn parse(self) -> Result<Setup, RabbitUrlError> {
        Self::check_prefix(&self.prefix)?;
        Ok(Setup { urls: RabbitUrl::parse_list(&self.urls)?, prefix: self.prefix, name: self.name })
    }
}

impl fmt::Debug for RabbitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitOptions").field("prefix", &self.prefix).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The options, read.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) urls: Vec<RabbitUrl>,
    pub(super) prefix: String,
    pub(super) name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_part_of_a_name() {
        let with = |prefix: &str| RabbitOptions::new("amqp://rabbit").with_prefix(prefix).parse().map(|setup| setup.prefix);
        assert_eq!(with("ward-7.").unwrap(), "ward-7.");
        for prefix in ["ward 7", "ward#", "*", &"w".repeat(65)] {
            assert!(matches!(with(prefix), Err(RabbitUrlError::Prefix)), "{prefix}");
        }
    }

    #[test]
    fn options_are_shown_without_their_secrets() {
        assert!(!format!("{:?}", RabbitOptions::new("amqp://clinic:secret@rabbit")).contains("secret"));
    }
}
