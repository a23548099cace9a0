//! `loadgen chaos` on the embedded clinic: broken by schedule it keeps its promises, and a promise that was broken is found.

use std::{
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use clinic_tests::{
    disk,
    eventually::eventually,
    process::{clinic_binary, loadgen_binary},
    size::{figure, sized},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `loadgen chaos` on a clinic that it starts itself.
fn chaos(store: &Path, run: &[&str]) -> Command {
    let (clinic, listen) = (clinic_binary(), format!("127.0.0.1:{}", free_port()));
    let command = format!(
        "env CLINIC_SIM_DELAY=0ms..500ms CLINIC_GRACE=3s '{}' --listen={listen} --store='sqlite:{}' 2>'{}'",
        clinic.display(),
        store.display(),
        store.with_extension("log").display()
    );
    let mut loadgen = Command::new(loadgen_binary());
    loadgen.args(["chaos", "--json", "--tries", "40", "--timeout", "5s", "--url", &format!("http://{listen}")]);
    loadgen.args(["--process", &format!("clinic={command}")]).args(run).env_remove("CLINIC_TOKEN").kill_on_drop(true);
    loadgen.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    loadgen
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test]
async fn a_clinic_that_is_killed_restarted_and_paused_keeps_its_promises() {
    let folder = disk::folder();
    let length = sized("45s", "10m");
    let faults = ["--fault", "kill:clinic", "--fault", "pause:clinic:2s", "--fault", "restart:clinic"];
    let cadences = ["--every", "6s", "--every", "11s", "--every", "16s"];
    let run = [&["--rate", "50", "--duration", length][..], &faults, &cadences].concat();
    let output = chaos(&folder.path().join("clinic.db"), &run).output().await.unwrap();
    let report = report(&output);
    assert!(output.status.success(), "{}: {}\n{output:?}", report["verdict"], report["faults"]);
    let faults = report["faults"].as_array().unwrap();
    for kind in ["kill", "pause", "restart"] {
        assert!(faults.iter().any(|fault| fault["fault"] == kind && fault["outcome"] == "done"), "no {kind}: {faults:?}");
    }
    assert!(report["accepted"].as_u64() >= Some(1000), "{output:?}");
    figure(&format!("chaos, embedded, {length}: {} faults, {} accepted, {}", faults.len(), report["accepted"], report["verdict"]));
}

#[tokio::test]
async fn a_booking_that_is_taken_out_of_the_store_is_named() {
    let folder = disk::folder();
    let store = folder.path().join("clinic.db");
    let running = chaos(&store, &["--rate", "50", "--duration", "10s", "--fault", "kill:clinic", "--every", "4s"]).spawn().unwrap();
    let taken = eventually("a booking that was decided", Duration::from_secs(60), || async { take_one(&store) }).await;
    let output = running.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lost = json!([{"kind": "lost", "bookings": [taken], "detail": "accepted, and not there"}]);
    assert_eq!(report(&output)["verdict"]["breaches"], lost);
}

/// Deletes a booking that was decided a while ago, if there is one.
fn take_one(store: &Path) -> Option<Uuid> {
    // Opening makes a file where there is none, and that is the clinic's to make.
    let store = store.exists().then(|| Connection::open(store).ok())??;
    store.pragma_update(None, "foreign_keys", false).ok()?;
    store.busy_timeout(Duration::from_secs(1)).ok()?;
    let sql = "DELETE FROM booking WHERE id = (SELECT id FROM booking WHERE status = 'confirmed' AND id NOT IN (SELECT booking FROM job) LIMIT 1) RETURNING id";
    let id: Vec<u8> = store.query_row(sql, [], |row| row.get(0)).ok()?;
    Uuid::from_slice(&id).ok()
}
