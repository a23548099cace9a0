//! Starting: what refuses to start says why and how to mend it.

use std::{net::TcpListener, process::Output};

use clinic_tests::process::{Setup, StartFailed};
use clinic_tests::size::figure;
use rusqlite::Connection;

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    setup.command().args(arguments).output().unwrap()
}

#[track_caller]
fn refused(setup: &Setup, code: i32, says: &[&str]) {
    let Err(StartFailed::Ended { status, stderr }) = setup.try_start() else { panic!("it should have refused to start") };
    assert_eq!(status.code(), Some(code), "{stderr}");
    for text in says {
        assert!(stderr.contains(text), "{text:?} is not said:\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn settings_that_are_wrong_or_contradict_each_other_are_refused() {
    for (variable, value, says) in [
        ("CLINIC_LEASE", "1s", "CLINIC_LEASE"),
        ("CLINIC_SIM_DELAY", "soon", "500ms"),
        ("CLINIC_SIM_APPROVE", "1.5", "1.5"),
        ("CLINIC_RETRIES", "21", "CLINIC_RETRIES"),
        ("CLINIC_SWEEP", "0s", "CLINIC_SWEEP"),
        ("CLINIC_LISTEN", "0.0.0.0:0", "CLINIC_ALLOW_INSECURE"),
        ("CLINIC_STORE", "mysql://localhost/clinic", "postgres://USER"),
        ("CLINIC_STORE", "postgres://", "CLINIC_STORE"),
        ("CLINIC_STORE", "postgres://localhost/clinic?sslmode=prefer", "sslmode"),
        ("CLINIC_BROKER", "amqp://rabbit.example.org", "CLINIC_ALLOW_INSECURE"),
        ("CLINIC_BROKER", "http://localhost", "CLINIC_BROKER"),
        ("CLINIC_CHANNELS", "pigeon", "pigeon"),
        ("CLINIC_TIMEZONE", "Mars/Base", "Mars/Base"),
        ("CLINIC_LANGUAGE", "fr", "fr"),
        ("CLINIC_AVAILABILITY", "ftp://host", "CLINIC_AVAILABILITY"),
        ("CLINIC_CONCURRENCY", "0", "CLINIC_CONCURRENCY"),
        ("CLINIC_API_KEYS_FILE", "no-such-file", "CLINIC_API_KEYS_FILE"),
    ] {
        refused(&Setup::new().set(variable, value), 2, &[says]);
    }
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let setup = Setup::new();
    let text = "this is a letter, not a database, and it is longer than a header".repeat(100);
    std::fs::write(setup.store(), &text).unwrap();
    let Err(StartFailed::Ended { status, stderr }) = setup.try_start() else { panic!("it should have refused to start") };
    assert!(!status.success() && status.code().is_some() && !stderr.contains("panicked"), "{status} {stderr}");
    assert_eq!(std::fs::read_to_string(setup.store()).unwrap(), text);
}

#[test]
fn a_store_of_a_newer_release_is_refused() {
    let setup = Setup::new();
    setup.start().terminate();
    Connection::open(setup.store()).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let Err(StartFailed::Ended { status, stderr }) = setup.try_start() else { panic!("it should have refused to start") };
    assert!(!status.success() && !stderr.contains("panicked"), "{status} {stderr}");
    assert!(stderr.contains("newer") || stderr.contains("999"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_and_a_folder_that_is_not_there_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (setup, says) in [
        (Setup::new().set("CLINIC_LISTEN", &address), address.as_str()),
        (Setup::new().set("CLINIC_STORE", "sqlite:/no/such/folder/clinic.db"), "/no/such/folder"),
    ] {
        let Err(StartFailed::Ended { status, stderr }) = setup.try_start() else { panic!("it should have refused to start") };
        assert!(!status.success() && stderr.contains(says) && !stderr.contains("panicked"), "{status} {stderr}");
    }
}

#[test]
fn help_and_check_config_say_every_setting() {
    let setup = Setup::new();
    let help = run(&setup, &["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    for variable in
        ["CLINIC_LISTEN", "CLINIC_STORE", "CLINIC_BROKER", "CLINIC_LEASE", "CLINIC_SIM_SEED", "CLINIC_TIMEZONE", "CLINIC_LOG_FORMAT"]
    {
        assert!(help.status.success() && text.contains(variable), "{variable} is not in --help");
    }
    assert!(run(&setup, &["check-config"]).status.success());
    let wrong = run(&setup.set("CLINIC_LEASE", "1s"), &["check-config"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(run(&Setup::new(), &["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn the_start_up_line_says_where_to_look_next() {
    let began = std::time::Instant::now();
    let clinic = Setup::new().start();
    figure(&format!("ready after {:?}", began.elapsed()));
    assert!(clinic.diagnostics().contains("/docs"), "{}", clinic.diagnostics());
}
