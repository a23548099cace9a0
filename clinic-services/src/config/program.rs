use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use clinic_core::clinic::Roles;

use super::{Cli, Effective};

/// The clinic's programs: presets of roles over one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// All in one process.
    Clinic,
    /// The reception: the HTTP API.
    Api,
    /// Decides.
    Worker,
    /// Tells.
    Notifier,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 4] = [Self::Clinic, Self::Api, Self::Worker, Self::Notifier];

    /// The binary's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Api => "clinic-api",
            Self::Worker => "clinic-worker",
            Self::Notifier => "clinic-notifier",
        }
    }

    /// What it does.
    #[must_use]
    pub const fn roles(self) -> Roles {
        match self {
            Self::Clinic => Roles::ALL,
            Self::Api => Roles::API,
            Self::Worker => Roles::WORKER,
            Self::Notifier => Roles::NOTIFIER,
        }
    }

    /// Whether it serves the API; otherwise health and metrics at most.
    #[must_use]
    pub const fn serves_api(self) -> bool {
        self.roles().contains(Roles::API)
    }

    const fn about(self) -> &'static str {
        match self {
            Self::Clinic => "An online clinic: appointment requests accepted over HTTP, decided and told, in one process",
            Self::Api => "The reception of an online clinic: appointment requests accepted and shown over HTTP",
            Self::Worker => "A worker of an online clinic: decides appointment requests",
            Self::Notifier => "A notifier of an online clinic: tells patients what was decided",
        }
    }

    /// Whether it has a use for a setting. The others are read too, so that all processes can share one environment.
    fn uses(self, setting: &str) -> bool {
        let (api, worker, notifier) = (Roles::API, Roles::WORKER, Roles::NOTIFIER);
        let by = match setting {
            "url" | "token" => return self == Self::Clinic,
            // An API process registers and tries out where notifiers post.
            "channels" | "webhook_allow" | "webhook_timeout" => return self != Self::Worker,
            "webhook_concurrency" | "webhook_retries" | "webhook_retry_base" => notifier,
            "smtp_url" | "mail_from" | "mail_timeout" | "mail_concurrency" | "mail_retries" | "mail_retry_base" => notifier,
            "decide_within" | "horizon" | "pending_per_patient" | "timezone" | "language" => api,
            "lease" => return self != Self::Api,
            "availability" | "attempt_timeout" | "sim_delay" | "sim_approve" | "sim_fail" | "sim_seed" | "retries" | "retry_base"
            | "retry_factor" | "retry_jitter" | "concurrency" => worker,
            _ => return true,
        };
        self.roles().contains(by)
    }

    /// Its command line, of which `--help` shows what it has a use for.
    #[must_use]
    pub fn command(self) -> Command {
        let command = Cli::command().about(self.about());
        if self == Self::Clinic {
            return command;
        }
        let preset = move |arg: Arg| {
            let arg = match arg.get_id().as_str() {
                "broker" => arg
                    .help("RabbitMQ: amqp(s)://USER:PASSWORD@HOST:PORT/VHOST, a cluster's nodes with commas between")
                    .hide_default_value(true),
                "listen" if !self.serves_api() => {
                    arg.default_value(None::<&str>).help("Address and port for health and metrics; without one it does not listen")
                }
                _ => arg,
            };
            let hidden = arg.is_hide_set() || !self.uses(arg.get_id().as_str());
            arg.hide(hidden)
        };
        command
            .name(self.name())
            .after_help(
                "Durations are written 500ms, 2s, 5m, 24h, 365d. The clinic's other variables are read too, so that all its processes \
                 can share one environment: `clinic --help` lists them.",
            )
            .mut_args(preset)
            .mut_subcommands(move |command| command.mut_args(preset))
    }

    /// Reads the command line and the environment, as `clap` does: it prints help and errors and ends the process.
    #[must_use]
    pub fn read(self) -> (Cli, Effective) {
        let command = self.command().mut_args(unset_where_empty).mut_subcommands(|command| command.mut_args(unset_where_empty));
        self.understand(command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    pub(super) fn understand(self, matches: ArgMatches) -> Result<(Cli, Effective), clap::Error> {
        let command = self.command();
        let effective = match matches.subcommand() {
            Some((name, sub)) => Effective::new(command.find_subcommand(name).unwrap_or(&command), sub),
            None => Effective::new(&command, &matches),
        };
        Ok((Cli::from_arg_matches(&matches)?, effective))
    }
}

/// A variable of a setting without a default is not set when it is empty: some environments cannot leave a variable out.
fn unset_where_empty(arg: Arg) -> Arg {
    let Some(variable) = arg.get_env().filter(|variable| std::env::var_os(variable).is_some_and(|value| value.is_empty())) else {
        return arg;
    };
    if !arg.get_default_values().is_empty() {
        return arg;
    }
    let help = format!("{} [env: {}=]", arg.get_help().cloned().unwrap_or_default(), variable.to_string_lossy());
    arg.env(None::<&str>).help(help)
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
