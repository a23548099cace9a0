use std::time::Duration;

use super::*;

fn config(flags: &[&str]) -> Config {
    of(Program::Clinic, flags)
}

fn refused(flags: &[&str]) -> String {
    refused_of(Program::Clinic, flags)
}

fn of(program: Program, flags: &[&str]) -> Config {
    let matches = program.command().try_get_matches_from(std::iter::once("program").chain(flags.iter().copied())).unwrap();
    program.understand(matches).unwrap().0.config
}

fn refused_of(program: Program, flags: &[&str]) -> String {
    of(program, flags).settings(program).unwrap_err().to_string()
}

#[test]
fn the_command_line_is_sound() {
    for program in Program::ALL {
        program.command().debug_assert();
    }
}

#[test]
fn every_setting_has_a_variable_that_its_flag_is_named_after() {
    for arg in Cli::command().get_arguments() {
        let (Some(flag), Some(variable)) = (arg.get_long(), arg.get_env()) else { panic!("{} lacks a flag or a variable", arg.get_id()) };
        assert_eq!(variable.to_str().unwrap(), format!("CLINIC_{}", flag.to_uppercase().replace('-', "_")));
    }
}

#[test]
fn the_defaults_are_those_of_the_core() {
    let (ours, core) = (config(&[]).settings(Program::Clinic).unwrap(), Settings::default());
    assert_eq!(format!("{ours:?}"), format!("{core:?}"));
}

#[test]
fn flags_reach_the_settings() {
    let settings = config(&["--sweep", "500ms", "--retries", "1", "--timezone", "America/Lima", "--language", "en"])
        .settings(Program::Clinic)
        .unwrap();
    assert_eq!((settings.sweep, settings.retry.retries), (Duration::from_millis(500), 1));
    assert_eq!(settings.defaults.timezone, chrono_tz::America::Lima);
}

#[test]
fn listening_to_the_world_needs_keys_or_a_word() {
    assert!(refused(&["--listen", "0.0.0.0:80"]).contains("CLINIC_ALLOW_INSECURE=http"));
    assert!(refused(&["--listen", "[::]:80", "--allow-insecure", "amqp"]).contains("CLINIC_API_KEYS_FILE"));
    assert!(config(&["--listen", "0.0.0.0:80", "--allow-insecure", "amqp,http"]).settings(Program::Clinic).is_ok());
    assert!(config(&["--listen", "0.0.0.0:80", "--api-keys-file", "keys"]).settings(Program::Clinic).is_ok());
    assert!(config(&["--listen", "localhost:80"]).settings(Program::Clinic).is_ok());
}

#[test]
fn what_is_not_built_in_is_named() {
    assert!(config(&["--store", "postgres://clinic@localhost/clinic"]).settings(Program::Clinic).is_ok());
    let refused_store = refused(&["--store", "postgres://clinic:pa55@localhost/clinic?sslmode=prefer"]);
    assert!(refused_store.contains("sslmode") && !refused_store.contains("pa55"), "{refused_store}");
    assert!(config(&["--availability", "https://calendar.example.org/check"]).settings(Program::Clinic).is_ok());
    assert!(refused(&["--channels", "log,email"]).contains("CLINIC_SMTP_URL"));
    assert!(refused(&["--channels", "email", "--smtp-url", "smtps://mail"]).contains("CLINIC_MAIL_FROM"));
    assert!(config(&["--channels", "webhook"]).settings(Program::Clinic).is_ok());
    assert!(refused(&["--webhook-allow", "10.0.0.0/8,*.intranet"]).contains("CLINIC_WEBHOOK_ALLOW: \"*.intranet\""));
    for timeout in ["0s", "16m"] {
        assert!(refused(&["--webhook-timeout", timeout]).contains("CLINIC_WEBHOOK_TIMEOUT"));
    }
    assert!(refused(&["--channels", "log,log"]).contains("twice"));
    for store in ["sqlite://clinic.db", "sqlite:", "sqlite::memory:"] {
        assert!(refused(&["--store", store]).contains("sqlite:PATH"), "{store}");
    }
    assert!(refused(&["--store", "clinic.db"]).contains("CLINIC_STORE"));
}

#[test]
fn contradictions_name_the_fix() {
    assert!(refused(&["--lease", "14s"]).contains("raise CLINIC_LEASE"));
    assert!(refused(&["--sweep", "0s"]).contains("CLINIC_SWEEP"));
    assert!(refused(&["--retries", "21"]).contains("CLINIC_RETRIES"));
    assert!(refused(&["--concurrency", "0"]).contains("CLINIC_CONCURRENCY"));
    assert!(refused(&["--log", "info,=x="]).contains("CLINIC_LOG"));
    assert!(refused(&["--prefix", "a b"]).contains("CLINIC_PREFIX"));
}

#[test]
fn an_availability_that_cannot_be_read_is_not_shown() {
    for url in
        ["ftp://host", "https://", "", "calendar", "https://key:pa55 word@calendar", "https:key:pa55@calendar", "//key:pa55@calendar"]
    {
        let refused = refused(&["--availability", url]);
        assert!(refused.contains("CLINIC_AVAILABILITY") && !refused.contains("pa55"), "{url}: {refused}");
    }
    let config = config(&["--availability", "https://key:pa55@calendar/check?key=pa55"]);
    assert!(config.settings(Program::Clinic).is_ok());
    assert!(!format!("{config:?}").contains("pa55"), "{config:?}");
}

#[test]
fn bad_values_are_refused_when_read() {
    for flags in [
        ["--sim-approve", "1.5"],
        ["--sim-delay", "5s..2s"],
        ["--listen", "8080"],
        ["--timezone", "Mars/Base"],
        ["--language", "fr"],
        ["--grace", "7"],
        ["--log-format", "xml"],
        ["--pending-per-patient", "0"],
    ] {
        assert!(Cli::try_parse_from(["clinic"].into_iter().chain(flags)).is_err(), "{flags:?}");
    }
}

#[test]
fn an_unknown_variable_is_told_its_nearest() {
    let names = ["CLINIC_STORES", "CLINIC_SWEEP", "CLINIC_CRASH_AT", "PATH", "CLINIC_COMPLETELY_DIFFERENT"].map(String::from);
    let unknown = environment::unknown(&Cli::command(), names.into_iter());
    assert_eq!(unknown.len(), 2);
    assert_eq!(unknown[0].nearest.as_deref(), Some("CLINIC_STORE"));
    assert_eq!(unknown[1].nearest, None);
}

#[test]
fn what_is_in_effect_says_where_it_comes_from() {
    let text = in_effect(Program::Clinic, &["--sweep", "3s", "--token", "secret"]);
    let line = |variable: &str| text.lines().find(|line| line.starts_with(variable)).unwrap().to_owned();
    assert!(line("CLINIC_SWEEP=3s").ends_with("# flag"));
    assert!(line("CLINIC_LEASE=30s").ends_with("# default"));
    assert!(line("CLINIC_TOKEN=***").ends_with("# flag"));
    assert!(line("CLINIC_SIM_SEED=").ends_with("# not set"));
}

fn in_effect(program: Program, flags: &[&str]) -> String {
    let flags = ["program", "check-config"].iter().chain(flags);
    let matches = program.command().try_get_matches_from(flags).unwrap();
    program.understand(matches).unwrap().1.to_string()
}

const ELSEWHERE: &str = "amqps://clinic:pa55word@rabbit";

#[test]
fn those_who_share_the_work_need_a_broker_outside() {
    for program in [Program::Api, Program::Worker, Program::Notifier] {
        for flags in [&[][..], &["--broker", "embedded"]] {
            let refused = refused_of(program, flags);
            assert!(refused.contains(program.name()) && refused.contains("CLINIC_BROKER=amqp://"), "{refused}");
        }
        assert!(of(program, &["--broker", ELSEWHERE]).settings(program).is_ok(), "{program}");
    }
    for broker in ["embedded", ELSEWHERE, "amqp://127.0.0.1:1", "amqp://localhost,amqp://[::1]:5673/v"] {
        assert!(config(&["--broker", broker]).settings(Program::Clinic).is_ok(), "{broker}");
    }
}

#[test]
fn a_broker_that_cannot_be_read_is_named_by_its_place_and_not_shown() {
    for (broker, part) in [
        ("amqps://u:pa55@a/", "address 1"),
        ("amqp://u:pa55@a,embedded", "address 2"),
        ("amqp://u:pa55,word@a", "address 1"),
        ("amqp://u:5512,pa55@a", "address 2"),
        ("amqp://u:pa55/word@a", "address 1"),
        ("amqp://u:pa55@a?key=pa55", "address 1"),
        ("amqp://u:pa55@a,amqps://u:pa55@b", "mixes"),
        ("pa55", "embedded"),
        ("redis://u:pa55@a", "amqps://"),
    ] {
        let refused = refused(&["--broker", broker]);
        assert!(refused.contains(part) && refused.contains("CLINIC_BROKER") && !refused.contains("pa55"), "{refused}");
    }
}

#[test]
fn plain_amqp_and_default_passwords_off_this_host_need_a_word() {
    for (broker, part) in [
        ("amqp://clinic:pa55word@rabbit", "unencrypted"),
        ("amqp://clinic:pa55word@127.0.0.1,amqp://clinic:pa55word@10.0.0.7", "10.0.0.7"),
        ("amqps://rabbit", "default password"),
        ("amqps://guest:guest@rabbit", "default password"),
        ("amqps://clinic:clinic@rabbit", "default password"),
        ("amqps://clinic:pa55word@a,amqps://clinic@b", "logs in to b"),
    ] {
        for other in [&[][..], &["--allow-insecure", "http"]] {
            let flags = [&["--broker", broker], other].concat();
            for program in Program::ALL {
                let refused = refused_of(program, &flags);
                assert!(refused.contains(part) && refused.contains("CLINIC_ALLOW_INSECURE=amqp"), "{refused}");
                assert!(!refused.contains("pa55word"), "{refused}");
            }
        }
        let allowed = config(&["--broker", broker, "--allow-insecure", "amqp"]);
        assert!(allowed.settings(Program::Clinic).is_ok(), "{broker}");
        assert!(!allowed.exposures(Program::Clinic).is_empty(), "{broker}");
    }
    for broker in [ELSEWHERE, "amqp://localhost", "amqp://guest:guest@127.0.0.1"] {
        let open = config(&["--broker", broker, "--allow-insecure", "amqp,http"]);
        assert_eq!((open.settings(Program::Clinic).is_ok(), open.exposures(Program::Clinic)), (true, Vec::new()), "{broker}");
    }
}

#[test]
fn only_those_who_serve_the_api_listen_unasked() {
    for program in Program::ALL {
        let listen = of(program, &[]).serving.listen;
        assert_eq!(listen.is_some(), program.serves_api(), "{program}");
        assert!(of(program, &["--listen", "127.0.0.1:0"]).serving.listen.is_some(), "{program}");
        assert!(refused_of(program, &["--broker", ELSEWHERE, "--listen", "0.0.0.0:80"]).contains("CLINIC_API_KEYS_FILE"), "{program}");
    }
}

#[test]
fn a_program_shows_what_it_has_a_use_for_and_reads_the_rest() {
    let help = |program: Program| program.command().render_long_help().to_string();
    for (program, shown, hidden) in [
        (Program::Api, "--horizon", "--sim-delay"),
        (Program::Worker, "--sim-delay", "--channels"),
        (Program::Notifier, "--channels", "--retries"),
    ] {
        let text = help(program);
        assert!(text.contains(program.name()) && text.contains(shown) && !text.contains(hidden), "{text}");
        assert!(!text.contains("[default: embedded]") && !text.contains("CLINIC_TOKEN"), "{text}");
        let all = of(program, &["--horizon", "1d", "--sim-delay", "1s", "--channels", "log", "--retries", "1", "--token", "x"]);
        assert_eq!(all.deciding.retries, 1);
        let effective = in_effect(program, &["--broker", "amqp://u:pa55@a,amqp://u:pa55@b"]);
        assert!(effective.contains("CLINIC_BROKER=amqp://***@a,amqp://***@b ") && !effective.contains("CLINIC_TOKEN"), "{effective}");
    }
    let all = help(Program::Clinic);
    for arg in Cli::command().get_arguments() {
        assert!(all.contains(arg.get_long().unwrap()), "{all}");
    }
}

#[test]
fn no_password_is_shown() {
    let config = config(&["--broker", "amqps://clinic:pa55word@a,amqps://clinic:pa55word@b/v"]);
    assert_eq!(config.brokering.to_string(), "amqps://a:5671,amqps://b:5671");
    assert!(!format!("{config:?}").contains("pa55word"), "{config:?}");
}

const MAIL: [&str; 4] = ["--channels", "log,email", "--mail-from", "Clinic <citas@example.org>"];

#[test]
fn mail_that_others_could_read_needs_a_word() {
    let with = |url: &'static str, more: &[&'static str]| [&MAIL[..], &["--smtp-url", url], more].concat();
    for url in ["smtp://u:pa55@mail", "smtp://10.0.0.7:25", "smtp://mail?tls=opportunistic"] {
        let refused = refused(&with(url, &[]));
        assert!(refused.contains("CLINIC_ALLOW_INSECURE=smtp") && !refused.contains("pa55"), "{refused}");
        let allowed = config(&with(url, &["--allow-insecure", "smtp"]));
        assert!(allowed.settings(Program::Clinic).is_ok() && !allowed.exposures(Program::Clinic).is_empty(), "{url}");
        assert!(!format!("{allowed:?}").contains("pa55"), "{allowed:?}");
        // Who sends no mail has nothing to say about it.
        let flags = with(url, &["--broker", ELSEWHERE]);
        for program in [Program::Api, Program::Worker] {
            assert!(of(program, &flags).settings(program).is_ok(), "{program}");
        }
    }
    for url in ["smtps://u:pa55@mail", "smtp://mail:587?tls=required", "smtp://localhost:1025", "smtp://[::1]:1025"] {
        let open = config(&with(url, &[]));
        assert_eq!((open.settings(Program::Clinic).is_ok(), open.exposures(Program::Clinic)), (true, Vec::new()), "{url}");
    }
    let refused = refused(&with("smtp://u:pa55@mail/in", &[]));
    assert!(refused.contains("CLINIC_SMTP_URL") && !refused.contains("pa55"), "{refused}");
}

#[test]
fn what_is_wrong_with_mail_is_named_alone_and_said_once() {
    let with =
        |more: &[&'static str]| [&["--channels", "email", "--smtp-url", "smtps://mail", "--mail-from", "a@b.example"], more].concat();
    for (flag, value, variable) in [
        ("--smtp-url", "http://mail", "CLINIC_SMTP_URL"),
        ("--smtp-url", "smtps://u@mail", "CLINIC_SMTP_URL"),
        ("--mail-from", "nobody", "CLINIC_MAIL_FROM"),
        ("--mail-timeout", "0", "CLINIC_MAIL_TIMEOUT"),
        ("--mail-retry-base", "0", "CLINIC_MAIL_RETRY_BASE"),
    ] {
        let mut flags = with(&[]);
        match flags.iter().position(|given| *given == flag) {
            Some(place) => flags[place + 1] = value,
            None => flags.extend([flag, value]),
        }
        let error = config(&flags).settings(Program::Clinic).unwrap_err();
        let said = crate::chain(&error);
        assert_eq!(said.matches("CLINIC_").count(), 1, "{said}");
        assert!(said.contains(variable), "{said}");
        if let Some(source) = std::error::Error::source(&error) {
            assert_eq!(said.matches(&source.to_string()).count(), 1, "{said}");
        }
    }
}
