//! The binaries themselves: what they print, how they start, how they end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod desk;
mod keys;
mod outage;
mod parts;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn clinic(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_clinic"), arguments)
}

fn program(binary: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).env_clear();
    command
}

fn ended(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A program that runs, with a store of its own, killed when dropped.
struct Running {
    child: Child,
    /// Where it listens; empty when it does not.
    address: String,
    /// What it said until it was ready.
    said: String,
    stderr: BufReader<std::process::ChildStderr>,
    _folder: tempfile::TempDir,
}

impl Running {
    /// A clinic on a free port.
    fn start(arguments: &[&str]) -> Self {
        let mut command = clinic(arguments);
        command.env("CLINIC_LISTEN", "127.0.0.1:0").env("CLINIC_SIM_DELAY", "0s");
        Self::ready(command)
    }

    fn ready(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.env("CLINIC_STORE", format!("sqlite:{}", folder.path().join("clinic.db").display()));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended, saying: {said}");
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
            if line.contains("not listening") {
                break String::new();
            }
        };
        Self { child, address, said, stderr, _folder: folder }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The whole answer to a request on a connection of its own.
    fn ask(&self, request: &str, body: &str) -> String {
        self.ask_with(request, "x-none: 1", body)
    }

    fn ask_with(&self, request: &str, header: &str, body: &str) -> String {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: clinic\r\n{header}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Its exit code, once it has ended.
    fn end(mut self, within: Duration) -> (Option<i32>, String) {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut rest = String::new();
                self.stderr.read_to_string(&mut rest).unwrap();
                return (status.code(), rest);
            }
            assert!(Instant::now() < until, "still running after {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_shows_flags_variables_and_defaults() {
    let (code, help, _) = ended(clinic(&["--help"]));
    assert_eq!(code, 0);
    for part in ["--listen", "[env: CLINIC_LISTEN=]", "[default: 127.0.0.1:8080]", "check-config", "CLINIC_SIM_DELAY"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
}

#[test]
fn an_empty_variable_of_a_setting_without_a_default_is_not_set() {
    let empty = |binary: &str, arguments: &[&str]| {
        let mut command = program(binary, arguments);
        for variable in ["CLINIC_ALLOW_INSECURE", "CLINIC_API_KEYS_FILE", "CLINIC_PREFIX", "CLINIC_SIM_SEED", "CLINIC_TOKEN"] {
            command.env(variable, "");
        }
        command
    };
    let (code, stdout, stderr) = ended(empty(env!("CARGO_BIN_EXE_clinic"), &["check-config"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for variable in ["CLINIC_ALLOW_INSECURE", "CLINIC_API_KEYS_FILE", "CLINIC_SIM_SEED", "CLINIC_TOKEN"] {
        let line = stdout.lines().find(|line| line.starts_with(variable)).unwrap_or_default();
        assert!(line.starts_with(&format!("{variable}= ")) && line.ends_with("# not set"), "{stdout}");
    }
    let (_, help, _) = ended(empty(env!("CARGO_BIN_EXE_clinic"), &["--help"]));
    assert!(help.contains("[env: CLINIC_API_KEYS_FILE=]"), "{help}");

    // An empty list allows nothing, and an empty path guards nothing.
    let mut open = empty(env!("CARGO_BIN_EXE_clinic"), &["check-config"]);
    open.env("CLINIC_LISTEN", "0.0.0.0:0");
    let (code, _, stderr) = ended(open);
    assert!(code == 2 && stderr.contains("CLINIC_ALLOW_INSECURE=http"), "{stderr}");

    // A worker listens nowhere by default; a clinic does, and an empty value does not say where.
    for (binary, expected) in [(parts::WORKER, 0), (env!("CARGO_BIN_EXE_clinic"), 2)] {
        let mut command = empty(binary, &["check-config"]);
        command.env("CLINIC_LISTEN", "").env("CLINIC_BROKER", "amqp://localhost");
        let (code, _, stderr) = ended(command);
        assert_eq!(code, expected, "{stderr}");
    }
}

#[test]
fn what_is_printed_may_be_read_in_part() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = clinic(&["check-config"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn check_config_prints_what_is_in_effect() {
    let mut command = clinic(&["check-config", "--lease", "40s"]);
    command.env("CLINIC_SWEEP", "500ms").env("CLINIC_TOKEN", "very-secret-token");
    let (code, stdout, _) = ended(command);
    assert_eq!(code, 0);
    assert!(stdout.contains("CLINIC_SWEEP=500ms") && stdout.contains("CLINIC_LEASE=40s"), "{stdout}");
    assert!(stdout.contains("CLINIC_STORE=sqlite:clinic.db") && !stdout.contains("very-secret"), "{stdout}");
}

#[test]
fn a_bad_configuration_ends_with_2_and_one_line_that_names_the_fix() {
    for (name, value, part) in [
        ("CLINIC_LEASE", "1s", "raise CLINIC_LEASE"),
        ("CLINIC_BROKER", "amqps://clinic:guest:guest@", "CLINIC_BROKER"),
        ("CLINIC_BROKER", "amqp://clinic:guest:guest@rabbit", "CLINIC_ALLOW_INSECURE=amqp"),
        ("CLINIC_LISTEN", "0.0.0.0:0", "CLINIC_ALLOW_INSECURE=http"),
        ("CLINIC_API_KEYS_FILE", "/nowhere/keys", "CLINIC_API_KEYS_FILE"),
    ] {
        let mut command = clinic(&[]);
        command.env(name, value).current_dir(std::env::temp_dir());
        let (code, _, stderr) = ended(command);
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(part) && !stderr.contains("guest:guest"), "{stderr}");
    }
}

#[test]
fn a_taken_port_and_a_store_that_does_not_open_end_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = ended(clinic(&["--listen", &address, "--log", "off"]));
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("CLINIC_LISTEN"), "{stderr}");
    let (code, _, stderr) = ended(clinic(&["--listen", "127.0.0.1:0", "--store", "sqlite:/nowhere/clinic.db", "--log", "off"]));
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("store"), "{stderr}");
}

#[test]
fn a_booking_goes_all_the_way() {
    let clinic = Running::start(&["--sim-approve", "1", "--sim-fail", "0"]);
    let tomorrow = (chrono::Utc::now() + chrono::Duration::days(1)).format("%Y-%m-%dT15:00:00Z");
    let body = format!(r#"{{"patient_id":"PAC001","doctor_id":"DOC001","datetime":"{tomorrow}"}}"#);
    let accepted = clinic.ask("POST /book", &body);
    assert!(accepted.starts_with("HTTP/1.1 202") && accepted.contains(r#""status":"pending""#), "{accepted}");
    let location = accepted.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let decided = clinic.ask(&format!("GET {location}?wait=20"), "");
    assert!(decided.contains(r#""status":"confirmed""#), "{decided}");
    assert!(clinic.ask("POST /book", &body).starts_with("HTTP/1.1 409"));
    let metrics = clinic.ask("GET /metrics", "");
    assert!(metrics.contains("clinic_bookings_accepted_total 1") && metrics.contains("clinic_store_up 1"), "{metrics}");
}

#[test]
fn sigterm_ends_it_cleanly_and_cuts_those_who_wait() {
    let clinic = Running::start(&["--sim-delay", "60s", "--attempt-timeout", "120s", "--lease", "200s"]);
    let tomorrow = (chrono::Utc::now() + chrono::Duration::days(1)).format("%Y-%m-%dT15:00:00Z");
    let accepted = clinic.ask("POST /book", &format!(r#"{{"patient_id":"PAC001","datetime":"{tomorrow}"}}"#));
    let location = accepted.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let mut waiting = clinic.connect();
    write!(waiting, "GET {location}?wait=60 HTTP/1.1\r\nhost: clinic\r\nconnection: close\r\n\r\n").unwrap();
    // Half a request: a client that would hold the server up for ever.
    let mut slow = clinic.connect();
    slow.write_all(b"POST /book HTTP/1.1\r\nhost: cli").unwrap();
    // Once a later request is answered, the two before it have been taken up.
    assert!(clinic.ask("GET /health/live", "").starts_with("HTTP/1.1 200"));
    clinic.signal("-TERM");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("pending"), "{answer}");
    let (code, log) = clinic.end(Duration::from_secs(12));
    assert_eq!(code, Some(0));
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let clinic = Running::start(&["--sim-delay", "60s", "--attempt-timeout", "120s", "--lease", "200s"]);
    let mut slow = clinic.connect();
    let body = "content-type: application/json\r\ncontent-length: 10\r\n\r\n";
    write!(slow, "POST /book HTTP/1.1\r\nhost: clinic\r\n{body}{{").unwrap();
    assert!(clinic.ask("GET /health/live", "").starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    clinic.signal("-INT");
    let mut clinic = clinic;
    let mut line = String::new();
    while !line.contains("stopping") {
        line.clear();
        clinic.stderr.read_line(&mut line).unwrap();
    }
    // An echo of the first is no second; the one that comes later is.
    while clinic.child.try_wait().unwrap().is_none() {
        clinic.signal("-INT");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, _) = clinic.end(Duration::from_secs(5));
    assert_eq!(code, Some(1));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn an_unknown_variable_is_warned_of_and_logs_can_be_json() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = clinic(&["--listen", &taken.local_addr().unwrap().to_string()]);
    command.env("CLINIC_STORES", "x").env("CLINIC_LOG_FORMAT", "json");
    let (_, stdout, stderr) = ended(command);
    assert_eq!(stdout, "");
    let first: serde_json::Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert!(first["message"].as_str().unwrap().contains("did you mean CLINIC_STORE?"), "{first}");
}
