//! What is shown while a run goes on.

use std::{net::TcpListener, time::Duration};

use clinic_client::testing::FakeClinic;
use rustix::process::Signal;
use tokio::task::spawn_blocking;

use crate::{scripted::Scripted, terminal::Terminal, verify::loadgen};

const REPORT: [&str; 7] = ["open loop, seed 5", "sent ", "accepted ", "errors ", "latency ", "decided ", "told "];

/// What `loadgen` does on a terminal, as `meanwhile` has it; its exit code.
async fn on_terminal(
    columns: u16,
    arguments: &'static str,
    environment: &'static [(&'static str, &'static str)],
    meanwhile: fn(&mut Terminal),
) -> (Terminal, Option<i32>) {
    let server = Scripted::default().start(Duration::ZERO).await;
    let url = server.uri();
    let shown = spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--seed", "5", "--url", &url]).collect();
        let mut terminal = Terminal::start(columns, &arguments, environment);
        meanwhile(&mut terminal);
        let code = terminal.end();
        (terminal, code)
    });
    shown.await.unwrap()
}

fn assert_report_alone(terminal: &Terminal) {
    let screen = terminal.screen();
    let report = &screen[screen.find("open loop").unwrap_or_else(|| panic!("no report: {screen}"))..];
    let mut lines = report.lines();
    for begin in REPORT {
        assert!(lines.any(|line| line.starts_with(begin)), "{begin:?} is not in its place: {screen}");
    }
    assert!(!["sending ", "settling ", "rate "].iter().any(|label| screen.contains(label)), "the view is still there: {screen}");
    assert!(terminal.is_cursor_seen(), "{screen}");
}

#[tokio::test]
async fn a_terminal_shows_a_block_in_place_and_then_the_report_alone() {
    for columns in [60, 120] {
        let (terminal, code) = on_terminal(columns, "run --rate 50 --duration 1500ms", &[], |_| ()).await;
        assert_eq!(code, Some(0), "{}", terminal.screen());
        let views: Vec<&String> = terminal.screens.iter().filter(|screen| screen.contains("sending ")).collect();
        assert!(views.len() >= 3, "{:?}", terminal.screens);
        for label in ["sending ", "rate ", "latency "] {
            assert!(views.iter().all(|screen| screen.matches(&format!("{label} ")).count() <= 1), "{label} twice: {views:#?}");
            assert!(views.iter().any(|screen| screen.contains(label)), "{label}: {views:#?}");
        }
        assert!(terminal.screen().starts_with("open loop, seed 5, "), "{}", terminal.screen());
        if columns == 120 {
            assert_report_alone(&terminal);
        }
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_view_and_gives_the_report() {
    let meanwhile = |terminal: &mut Terminal| {
        terminal.wait_for("sending");
        terminal.send(Signal::INT);
        terminal.wait_for("nothing more is sent");
    };
    let (terminal, code) = on_terminal(120, "run --rate 50 --duration 1h", &[], meanwhile).await;
    assert_eq!(code, Some(0), "{}", terminal.screen());
    assert!(terminal.screen().starts_with("loadgen: nothing more is sent"), "{}", terminal.screen());
    assert_report_alone(&terminal);
}

#[tokio::test]
async fn a_view_that_is_killed_leaves_the_terminal_as_it_was() {
    let meanwhile = |terminal: &mut Terminal| {
        terminal.wait_for("sending");
        terminal.send(Signal::KILL);
    };
    let (terminal, _) = on_terminal(120, "run --rate 50 --duration 1h", &[], meanwhile).await;
    assert!(terminal.is_cursor_seen());
    let written = String::from_utf8_lossy(&terminal.written).into_owned();
    assert!(written.contains("\x1b[?7l") && written.rfind("\x1b[?7h") > written.rfind("\x1b[?7l"), "{written:?}");
}

#[tokio::test]
async fn an_error_is_read_where_the_view_was() {
    // It is connected to, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let shown = spawn_blocking(move || {
        let mut terminal = Terminal::start(120, &["run", "--timeout", "1s", "--url", &url], &[]);
        (terminal.end(), terminal)
    });
    let (code, terminal) = shown.await.unwrap();
    assert_eq!(code, Some(2));
    assert!(terminal.screens.iter().any(|screen| screen.starts_with("sending ")), "{:?}", terminal.screens);
    assert!(terminal.screen().starts_with("loadgen: the clinic does not answer"), "{}", terminal.screen());
    assert!(terminal.is_cursor_seen());
}

#[tokio::test]
async fn colours_are_left_out_where_they_are_not_wanted() {
    let coloured = |terminal: &Terminal| String::from_utf8_lossy(&terminal.written).contains("\x1b[2m");
    let (terminal, _) = on_terminal(80, "run --rate 50 --duration 1s", &[], |_| ()).await;
    assert!(coloured(&terminal));
    let (terminal, _) = on_terminal(80, "run --rate 50 --duration 1s", &[("NO_COLOR", "1")], |_| ()).await;
    assert!(!coloured(&terminal));
}

#[tokio::test]
async fn a_terminal_that_cannot_move_its_cursor_gets_lines() {
    let (terminal, _) = on_terminal(200, "run --rate 50 --duration 1500ms", &[("TERM", "dumb")], |_| ()).await;
    assert!(terminal.screen().starts_with("at 1 s: sent "), "{}", terminal.screen());
    assert!(!terminal.written.contains(&b'\x1b'));
}

#[tokio::test]
async fn elsewhere_there_are_lines_on_standard_error_and_the_report_on_standard_output() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let run = async |more: &[&str]| {
        let url = server.uri();
        let line = ["run", "--rate", "50", "--duration", "1500ms", "--url", &url];
        let output = loadgen(line.iter().chain(more).map(|word| (*word).to_owned()).collect::<Vec<_>>()).await;
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (report, lines) = run(&[]).await;
    assert!(report.starts_with("open loop") && !report.contains("at 1 s"), "{report}");
    assert!(lines.starts_with("at 1 s: sent ") && lines.contains("/s of 50), accepted "), "{lines}");
    assert!(!lines.contains('\x1b'), "{lines:?}");
    let (report, lines) = run(&["--quiet", "--json"]).await;
    assert!(report.starts_with('{') && lines.is_empty(), "{lines}");
}

#[tokio::test]
async fn a_chaos_run_shows_each_fault_and_gives_its_report_when_its_verdict_is_interrupted() {
    let clinic = FakeClinic::builder().undecided().start().await.unwrap();
    let url = clinic.url().clone();
    let shown = spawn_blocking(move || {
        let chaos = ["chaos", "--rate", "20", "--duration", "2s", "--settle", "1ms", "--seed", "5", "--url", &url];
        let fault = ["--fault", "kill:bystander", "--process", "bystander=sleep 1000"];
        let mut terminal = Terminal::start(120, &[chaos.as_slice(), &fault].concat(), &[]);
        terminal.wait_for("judging");
        terminal.send(Signal::INT);
        (terminal.end(), terminal)
    });
    let (code, terminal) = shown.await.unwrap();
    let screen = terminal.screen();
    assert_eq!(code, Some(2), "{screen}");
    let lines: Vec<&str> = screen.lines().collect();
    let is_done = |line: &&&str| line.contains("kill    bystander (") && line.contains("): done, ");
    let count = lines.iter().filter(is_done).count();
    assert!(count > 0 && lines[0] == format!("{count} faults, seed 5"), "{screen}");
    assert!(
        terminal.screens.iter().any(|screen| screen.contains(&format!("of {count} done, 0 failed, next: kill bystander in"))),
        "{screen}"
    );
    let report = ["open loop, seed 5, ", "sent      40, not sent 0"];
    assert!(report.iter().all(|begin| lines.iter().any(|line| line.starts_with(begin))), "{screen}");
    assert!(lines.contains(&"loadgen: it was interrupted before it could be judged"), "{screen}");
    assert!(!screen.contains("judging ") && terminal.is_cursor_seen(), "{screen}");
}

#[tokio::test]
async fn a_page_that_cannot_be_written_loses_no_figures() {
    let server = Scripted::default().start(Duration::ZERO).await;
    let line = ["run", "-q", "--rate", "50", "--duration", "200ms", "--url", &server.uri(), "--html", "/nowhere/at/all.html"];
    let output = loadgen(line.map(str::to_owned)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("open loop"));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("loadgen: the HTML report could not be written"));
}
