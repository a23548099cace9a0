use std::net::IpAddr;

use chrono_tz::Tz;
use clap::Args;
use clinic_core::{booking::Language, request::Defaults};

/// Where the clinic is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Locality")]
#[non_exhaustive]
pub struct Locality {
    /// The clinic's time zone, an IANA name; times without offset are read in it.
    #[arg(long, env = "CLINIC_TIMEZONE", value_name = "ZONE", default_value = "UTC", value_parser = timezone)]
    pub timezone: Tz,
    /// The language of requests that name none: `es` or `en`.
    #[arg(long, env = "CLINIC_LANGUAGE", default_value = "es", value_parser = language)]
    pub language: Language,
}

impl Locality {
    /// What the clinic adds to a request that leaves it out.
    #[must_use]
    pub const fn defaults(&self) -> Defaults {
        Defaults::new(self.timezone, self.language)
    }
}

fn timezone(text: &str) -> Result<Tz, &'static str> {
    text.parse().map_err(|_| "write an IANA name, such as Europe/Madrid")
}

fn language(text: &str) -> Result<Language, &'static str> {
    Language::parse(text).ok_or("write es or en")
}

/// Whether a host is this machine for sure: a name other than localhost may be anywhere.
pub(super) fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn here_is_loopback_alone() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["rabbitmq", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0", "2001:db8::1", "127.1", ""] {
            assert!(!is_here(host), "{host}");
        }
    }
}
