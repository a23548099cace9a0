//! The settings in effect, as an environment file would say them.

use std::fmt;

use clap::{ArgMatches, Command, parser::ValueSource};

/// The value of every setting that a program has a use for, and where it comes from. Secrets are masked.
#[derive(Clone, Debug)]
pub struct Effective(Vec<(String, String, &'static str)>);

impl Effective {
    /// What `matches` of `command` say.
    #[must_use]
    pub fn new(command: &Command, matches: &ArgMatches) -> Self {
        let values = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| {
            let variable = arg.get_env()?.to_str()?;
            let id = arg.get_id().as_str();
            let values: Vec<_> = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy()).collect();
            let source = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => "flag",
                Some(ValueSource::EnvVariable) => "environment",
                Some(_) => "default",
                None => "not set",
            };
            Some((variable.to_owned(), masked(variable, &values.join(",")), source))
        });
        Self(values.collect())
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, value, source) in &self.0 {
            writeln!(f, "{:<52} # {source}", format!("{variable}={value}"))?;
        }
        Ok(())
    }
}

/// A key is hidden whole; a URL, also one of a list, loses what stands before its last `@` and after its `?`.
fn masked(variable: &str, value: &str) -> String {
    if variable == "CLINIC_TOKEN" {
        return if value.is_empty() { String::new() } else { "***".to_owned() };
    }
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    // The next URL begins where a comma and letters stand before "://": a comma alone may belong to a password.
    let next = rest.match_indices(',').find(|(comma, _)| {
        let name = rest[comma + 1..].split("://").next().unwrap_or_default();
        name.len() < rest[comma + 1..].len() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let (rest, others) =
        next.map_or((rest, String::new()), |(comma, _)| (&rest[..comma], format!(",{}", masked(variable, &rest[comma + 1..]))));
    let (secret, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("***@", rest));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?***"));
    format!("{scheme}://{secret}{rest}{query}{others}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        assert_eq!(masked("CLINIC_TOKEN", "very secret"), "***");
        assert_eq!(masked("CLINIC_BROKER", "amqp://user:pass@host/v"), "amqp://***@host/v");
        assert_eq!(masked("CLINIC_BROKER", "amqp://u:p@a:5672/v,amqp://u:p@b,amqp://c"), "amqp://***@a:5672/v,amqp://***@b,amqp://c");
        assert_eq!(masked("CLINIC_BROKER", "amqps://u:p?,/@x@host/v?heartbeat=1"), "amqps://***@host/v?***");
        assert_eq!(masked("CLINIC_AVAILABILITY", "https://host/check?key=1"), "https://host/check?***");
        assert_eq!(masked("CLINIC_STORE", "sqlite:clinic.db"), "sqlite:clinic.db");
        assert_eq!(masked("CLINIC_STORE", "postgres://u:p@a:5432,b/clinic?sslmode=disable"), "postgres://***@a:5432,b/clinic?***");
    }
}
