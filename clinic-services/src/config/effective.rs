//! The settings in effect, as an environment file would say them.

use std::fmt;

use clap::{ArgMatches, Command, parser::ValueSource};

/// Every setting's value and where it comes from. Secrets are masked.
#[derive(Clone, Debug)]
pub struct Effective(Vec<(String, String, &'static str)>);

impl Effective {
    /// What `matches` of `command` say.
    #[must_use]
    pub fn new(command: &Command, matches: &ArgMatches) -> Self {
        let values = command.get_arguments().filter_map(|arg| {
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

/// A key is hidden whole, a URL loses what stands before its `@` and after its `?`.
fn masked(variable: &str, value: &str) -> String {
    if variable == "CLINIC_TOKEN" {
        return if value.is_empty() { String::new() } else { "***".to_owned() };
    }
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?***"));
    let shown = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, rest)| format!("***@{rest}"));
    format!("{scheme}://{shown}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        assert_eq!(masked("CLINIC_TOKEN", "very secret"), "***");
        assert_eq!(masked("CLINIC_BROKER", "amqp://user:pass@host/v"), "amqp://***@host/v");
        assert_eq!(masked("CLINIC_AVAILABILITY", "https://host/check?key=1"), "https://host/check?***");
        assert_eq!(masked("CLINIC_STORE", "sqlite:clinic.db"), "sqlite:clinic.db");
    }
}
