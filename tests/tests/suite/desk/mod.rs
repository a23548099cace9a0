//! The dead-letter desk, by the command line and over HTTP: what is replayed, what is not, and what happens when processes die meanwhile.

mod bulk;
mod commands;
mod poison;
mod refused;

use std::{
    collections::BTreeMap,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use clinic_tests::{
    http::{Answer, Http},
    load::Load,
    process::{ClinicProcess, Setup, clinic_binary},
};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags, types::Value};
use tokio::process::Command;

use crate::count;

/// How long a clinic may take to settle what is left; a busy machine is slow, and nothing here measures.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// By then an operator's command has ended.
const ENDS_WITHIN: Duration = Duration::from_secs(180);

/// A clinic whose one attempt for each booking fails.
fn failing(setup: Setup) -> Setup {
    setup.set("CLINIC_SIM_FAIL", "1.0").set("CLINIC_RETRIES", "0")
}

/// The same clinic, mended.
fn mended(setup: Setup) -> Setup {
    setup.set("CLINIC_SIM_FAIL", "0.0")
}

/// Has so many bookings fail, each with a slot of its own, and waits until all was told.
async fn letters(setup: &Setup, http: &Http, name: &str, count_of: usize) {
    Load::closed(name, 16, count_of).insisting().run(http).await.expect_all(count_of);
    setup.at_rest(SETTLES_WITHIN).await;
    let open = count(setup, "dead_letter WHERE kind = 'decide' AND code = 'availability_unreachable' AND replayed_at IS NULL");
    assert_eq!(open, count_of as i64);
}

/// So many letters in the store, and the clinic started again without what made it fail.
async fn with_letters(count_of: usize) -> (Setup, ClinicProcess) {
    let setup = failing(Setup::new());
    let mut clinic = setup.start();
    letters(&setup, &clinic.http(), "desk", count_of).await;
    assert!(clinic.terminate().success());
    let setup = mended(setup);
    let clinic = setup.start();
    (setup, clinic)
}

/// What a command of an operator came to.
#[derive(Debug)]
struct Said {
    status: ExitStatus,
    lines: Vec<String>,
    complaint: String,
}

impl Said {
    fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// Demands an exit code and a last line.
    #[track_caller]
    fn expect(self, code: i32, last: &str) -> Self {
        assert_eq!((self.status.code(), self.last()), (Some(code), last), "{self:?}");
        self
    }
}

/// `clinic dead-letters ARGUMENTS...` against the clinic at this address.
async fn desk(http: &Http, arguments: &[&str]) -> Said {
    let mut command = Command::new(clinic_binary());
    command.arg("dead-letters").args(arguments).env_clear().env("CLINIC_URL", format!("http://{}", http.address()));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(ENDS_WITHIN, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{arguments:?} did not end within {ENDS_WITHIN:?}")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let lines = text(output.stdout).lines().map(str::to_owned).collect();
    Said { status: output.status, lines, complaint: text(output.stderr) }
}

/// `POST /dead-letters/{id}/replay`, or only a try of it.
async fn replay(http: &Http, letter: &str, dry_run: bool) -> Answer {
    http.send(http.request(Method::POST, &format!("/dead-letters/{letter}/replay?dry_run={dry_run}"))).await.unwrap()
}

/// All that a store holds, table by table, but for the row that readiness probes write.
fn picture(setup: &Setup) -> BTreeMap<String, Vec<Vec<Value>>> {
    let store = Connection::open_with_flags(setup.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut tables = store.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'probe'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let of = |name: &str| rows(&store, &format!("SELECT * FROM {name} ORDER BY 1, 2"));
    names.into_iter().map(|name| (name.clone(), of(&name))).collect()
}

/// What a query finds.
fn rows(store: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut query = store.prepare(sql).unwrap();
    let columns = query.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    query.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}
