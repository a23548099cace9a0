//! Every command and flag of the desk, as the README shows them and one by one.

use std::process::Command;

use clinic_tests::{
    checker::Expected,
    disk,
    http::Http,
    load::Load,
    process::{Setup, clinic_binary},
};
use rusqlite::Connection;

use super::{SETTLES_WITHIN, Said, desk, failing, letters, mended, with_letters};
use crate::{count, readme::marked};

/// Changes the store while no clinic runs.
fn meddle(setup: &Setup, sql: &str) {
    assert!(Connection::open(setup.store()).unwrap().execute(sql, []).unwrap() > 0, "{sql} changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_work() {
    let (setup, mut clinic) = with_letters(3).await;
    assert!(clinic.terminate().success());
    // The README's letters are older than an hour.
    meddle(&setup, "UPDATE dead_letter SET at = at - 2 * 3600000");
    let mut clinic = setup.start();
    // Its number 17 is one of theirs.
    let binary = clinic_binary();
    let script = marked("desk-test").concat().replace("target/release/clinic", binary.to_str().unwrap()).replace(" 17", " 2");
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).env("CLINIC_URL", format!("http://{}", clinic.http().address()));
    let folder = disk::folder();
    let output = tokio::task::spawn_blocking(move || command.current_dir(folder.path()).output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["1 could be replayed", "would make a new booking", "3 replayed, 0 already replayed, 0 refused, 0 failed"] {
        assert!(said.contains(shown), "the README's commands do not show {shown:?}:\n{said}");
    }
    assert_eq!(said.lines().filter(|line| line.contains("decide availability_unreachable booking")).count(), 3, "{said}");
    setup.at_rest(SETTLES_WITHIN).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().retries(0)).assert_clean();
}

async fn listed(http: &Http, flags: &[&str]) -> usize {
    let said = desk(http, &[&["list"], flags].concat()).await;
    assert!(said.status.success(), "{flags:?}: {said:?}");
    said.lines.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flag_does_what_it_says() {
    let setup = failing(Setup::new());
    let mut clinic = setup.start();
    letters(&setup, &clinic.http(), "old", 4).await;
    assert!(clinic.terminate().success());
    meddle(&setup, "UPDATE dead_letter SET at = at - 2 * 3600000");
    let mut clinic = setup.start();
    Load::closed("new", 4, 3).run(&clinic.http()).await.expect_all(3);
    setup.at_rest(SETTLES_WITHIN).await;
    assert!(clinic.terminate().success());
    let setup = mended(setup);
    let mut clinic = setup.start();
    let http = clinic.http();

    for (flags, count) in [
        (&[][..], 7),
        (&["--code", "availability_unreachable"], 7),
        (&["--code", "smtp_refused"], 0),
        (&["--kind", "decide"], 7),
        (&["--kind", "notice"], 0),
        (&["--older-than", "1h"], 4),
        (&["--newer-than", "1h"], 3),
        (&["--older-than", "1h", "--newer-than", "90m"], 0),
        (&["--limit", "5"], 5),
        (&["--replayed", "false"], 7),
        (&["--replayed", "true"], 0),
    ] {
        assert_eq!(listed(&http, flags).await, count, "{flags:?}");
    }
    let shown = desk(&http, &["show", "1"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.lines.concat()).unwrap();
    assert_eq!((&shown["id"], &shown["code"]), (&1.into(), &"availability_unreachable".into()));
    let unknown = desk(&http, &["show", "4711"]).await;
    assert!(unknown.status.code() == Some(1) && unknown.complaint.contains("not_found"), "{unknown:?}");

    replayed(&http, &["1", "2"], 2).await;
    replayed(&http, &["--older-than", "1h", "--limit", "1"], 1).await;
    replayed(&http, &["--newer-than", "1h", "--kind", "decide", "--rate", "1000/s"], 3).await;
    replayed(&http, &["--kind", "notice"], 0).await;
    replayed(&http, &["--all", "--dry-run"], 0).await.expect(0, "1 could be replayed, 0 already replayed, 0 refused, 0 failed");
    replayed(&http, &["--all"], 1).await;
    desk(&http, &["replay", "1", "7"]).await.expect(0, "0 replayed, 2 already replayed, 0 refused, 0 failed");
    assert_eq!((listed(&http, &["--replayed", "true"]).await, listed(&http, &["--replayed", "false"]).await), (7, 0));
    let explained = desk(&http, &["explain", "1"]).await;
    assert!(explained.status.success() && explained.last().contains("it was replayed before, as booking"), "{explained:?}");
    setup.at_rest(SETTLES_WITHIN).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().retries(0)).assert_clean();
}

/// Replays; so many say that they were, each by a line.
async fn replayed(http: &Http, flags: &[&str], expected: usize) -> Said {
    let said = desk(http, &[&["replay"], flags].concat()).await;
    assert!(said.status.success(), "{flags:?}: {said:?}");
    let done = said.lines.iter().filter(|line| line.contains(" replayed as booking ")).count();
    assert_eq!(done, expected, "{flags:?}: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_cannot_be_read_holds_up_no_other() {
    let (setup, mut clinic) = with_letters(3).await;
    assert!(clinic.terminate().success());
    meddle(&setup, "UPDATE booking SET language = 'xx' WHERE id = (SELECT booking FROM dead_letter WHERE id = 2)");
    let mut clinic = setup.start();
    let http = clinic.http();
    let said = desk(&http, &["replay", "--all"]).await.expect(1, "2 replayed, 0 already replayed, 0 refused, 1 failed");
    assert!(said.lines[1].starts_with("2 internal: "), "{said:?}");
    let explained = desk(&http, &["explain", "2"]).await;
    assert!(explained.status.code() == Some(1) && explained.complaint.contains("internal"), "{explained:?}");
    assert_eq!(count(&setup, "dead_letter WHERE replayed_at IS NULL"), 1);
    setup.at_rest(SETTLES_WITHIN).await;
    assert!(clinic.terminate().success());
}
