//! The programs that share the work, each by itself.

use super::*;

pub(super) const API: &str = env!("CARGO_BIN_EXE_clinic-api");
pub(super) const WORKER: &str = env!("CARGO_BIN_EXE_clinic-worker");
pub(super) const NOTIFIER: &str = env!("CARGO_BIN_EXE_clinic-notifier");
const PARTS: [(&str, &str); 3] = [(API, "clinic-api"), (WORKER, "clinic-worker"), (NOTIFIER, "clinic-notifier")];

#[test]
fn each_shows_its_own_name() {
    for (binary, name) in PARTS {
        let (code, help, _) = ended(program(binary, &["--help"]));
        assert_eq!(code, 0);
        assert!(help.contains(&format!("Usage: {name} ")) && help.contains("check-config"), "{help}");
        let (_, version, _) = ended(program(binary, &["--version"]));
        assert!(version.starts_with(&format!("{name} ")), "{version}");
    }
}

#[test]
fn help_does_not_show_the_password_that_the_environment_holds() {
    for (binary, _) in PARTS.into_iter().chain([(env!("CARGO_BIN_EXE_clinic"), "clinic")]) {
        let mut command = program(binary, &["--help"]);
        command.env("CLINIC_BROKER", "amqps://clinic:pa55word@rabbit").env("CLINIC_AVAILABILITY", "https://key:pa55word@calendar");
        command.env("CLINIC_URL", "https://desk:pa55word@clinic");
        let (code, help, _) = ended(command);
        assert_eq!(code, 0);
        assert!(help.contains("CLINIC_BROKER") && !help.contains("pa55word"), "{help}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_without_being_shown() {
    for (binary, name) in PARTS {
        for arguments in [&[][..], &["check-config"]] {
            let mut command = program(binary, arguments);
            command.env("CLINIC_BROKER", "amqps://clinic:pa55word@rabbit").env("CLINIC_AVAILABILITY", "https://key:pa55 word@calendar");
            let (code, stdout, stderr) = ended(command);
            assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
            assert!(stderr.starts_with(&format!("{name}: CLINIC_AVAILABILITY")) && !stderr.contains("pa55"), "{stderr}");
        }
    }
}

#[test]
fn each_refuses_a_broker_of_its_own_and_one_that_anybody_could_read() {
    for (binary, name) in PARTS {
        for (broker, part) in [
            ("embedded", "CLINIC_BROKER=amqp://"),
            ("amqp://clinic:pa55word@rabbit", "CLINIC_ALLOW_INSECURE=amqp"),
            ("amqps://guest:guest@rabbit", "CLINIC_ALLOW_INSECURE=amqp"),
        ] {
            for arguments in [&[][..], &["check-config"]] {
                let mut command = program(binary, arguments);
                command.env("CLINIC_BROKER", broker);
                let (code, stdout, stderr) = ended(command);
                assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
                assert!(stderr.starts_with(&format!("{name}: ")) && stderr.contains(part), "{stderr}");
                assert!(!stderr.contains("pa55word") && !stderr.contains("guest:"), "{stderr}");
            }
        }
    }
}

#[test]
fn each_checks_its_configuration_and_says_what_is_exposed() {
    for (binary, name) in PARTS {
        let mut command = program(binary, &["check-config"]);
        command.env("CLINIC_BROKER", "amqp://clinic:pa55word@a,amqp://clinic:pa55word@b/v").env("CLINIC_ALLOW_INSECURE", "amqp,http");
        command.env("CLINIC_LISTEN", "0.0.0.0:8080");
        let (code, stdout, stderr) = ended(command);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains("CLINIC_BROKER=amqp://***@a,amqp://***@b/v "), "{stdout}");
        assert!(!stdout.contains("pa55word") && !stderr.contains("pa55word"), "{stdout}{stderr}");
        let said: Vec<_> = stderr.lines().collect();
        assert!(said.len() == 3 && said.iter().all(|line| line.starts_with(name)), "{stderr}");
        assert!(
            said[0].contains("CLINIC_LISTEN=0.0.0.0:8080")
                && said[1].contains(" a,")
                && said[1].contains("CLINIC_ALLOW_INSECURE=amqp")
                && said[2].contains(" b,"),
            "{stderr}"
        );
    }
}
