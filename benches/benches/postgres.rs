//! What the PostgreSQL store does a second, beside the SQLite store on the same disk and `pgbench` inserting the same rows.
//!
//! `CLINIC_TEST_POSTGRES` names a server where databases may be made; without it there is nothing to measure. `pgbench` comes with
//! PostgreSQL; without it that line is left out. `RUNS` and `SECONDS` say how much is measured, `ONLY` is a part of a figure's name.

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use clinic_benches::{disk::Disk, figure::Figure, ward::Ward};
use clinic_core::{
    ports::{Store, SystemClock},
    store::{
        postgres::{PostgresOptions, PostgresStore},
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use tokio::task::JoinSet;

/// Callers at once, each of whom waits for its answer before it asks again.
const CALLERS: [usize; 4] = [1, 64, 256, 1024];
/// Clients of `pgbench`.
const CLIENTS: usize = 64;
/// Bookings of a walk.
const WALKED: usize = 4_096;

/// What `pgbench` does: the two rows of an accepted booking, in a transaction, each in a slot of its own.
const SCRIPT: &str = r"\set n :n + 1
\set i :n * 64 + :client_id
\set doctor :i % 1000
\set start (:i / 1000) * 1800000 + 4000000000000
BEGIN;
INSERT INTO booking (id, status, patient_id, patient_name, doctor_id, start_at, end_at, timezone, language, email, phone, created_at, decide_by, key_hash, request_hash, job) VALUES (('01900000-0000-7000-8000-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid, 'pending', 'P' || lpad(:i::text, 9, '0'), NULL, 'D' || lpad(:doctor::text, 4, '0'), :start::bigint, :start::bigint + 1800000, 'UTC', 'es', NULL, NULL, 1800000000000, 1800086400000, NULL, NULL, ('01900000-0000-7000-9000-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid) ON CONFLICT DO NOTHING;
INSERT INTO job (id, kind, booking, due_at, next_look) VALUES (('01900000-0000-7000-9000-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid, 'decide', ('01900000-0000-7000-8000-' || lpad(to_hex(:i::bigint), 12, '0'))::uuid, 1800000000000, 1800000030000);
COMMIT;
";

#[tokio::main]
async fn main() {
    let Ok(server) = env::var("CLINIC_TEST_POSTGRES") else {
        println!("set CLINIC_TEST_POSTGRES=postgres://USER:PASSWORD@127.0.0.1:PORT/postgres, a server where databases may be made");
        return;
    };
    let (runs, seconds) = (number("RUNS", 5), number("SECONDS", 3));
    let only = env::var("ONLY").unwrap_or_default();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let disk = Disk::measure(folder.path()).expect("the target directory can be written");
    println!("{} with syncs of {:.2} ms; {runs} alternating runs of {seconds} s", disk.file_system, disk.sync_ms);
    let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in 0..runs {
        let mut note = |name: String, figure: f64| {
            println!("run {run}: {name}: {figure:.0}");
            figures.entry(name).or_default().push(figure);
        };
        for callers in CALLERS {
            for kind in ["postgres", "sqlite"] {
                let name = format!("accepted a second, {callers:4} callers, {kind}");
                if name.contains(&only) {
                    let place = Place::new(&server, folder.path(), kind, run).await;
                    note(name, accepts(Arc::clone(&place.store), callers, Duration::from_secs(seconds)).await);
                    place.remove(&server).await;
                }
            }
        }
        for kind in ["postgres", "sqlite"] {
            if "walk".contains(&only) {
                let place = Place::new(&server, folder.path(), kind, run).await;
                for (stage, figure) in walk(Arc::clone(&place.store)).await {
                    note(format!("walk, {stage} a second, {kind}"), figure);
                }
                place.remove(&server).await;
            }
        }
        let name = format!("accepted a second, {CLIENTS:4} clients, pgbench");
        if name.contains(&only) {
            let place = Place::new(&server, folder.path(), "postgres", run).await;
            if let Some(figure) = pgbench(&place.url, folder.path(), seconds) {
                note(name, figure);
            }
            place.remove(&server).await;
        }
    }
    for (name, runs) in figures {
        let figure = Figure::of(&runs);
        println!("{name}: {:.0} ({:.0} to {:.0})", figure.median, figure.least, figure.most);
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// An empty store.
struct Place {
    store: Arc<dyn Store>,
    url: String,
    database: String,
}

impl Place {
    async fn new(server: &str, folder: &Path, kind: &str, run: u64) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("clinic_bench_{}_{run}_{number}", std::process::id());
        if kind == "sqlite" {
            let path = folder.join(format!("{database}.db"));
            let store = SqliteStore::open(&path, Arc::new(SystemClock), SqliteOptions::default()).expect("a store can be made");
            return Self { store: Arc::new(store), url: String::new(), database: String::new() };
        }
        execute(server, &format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")).await;
        let (address, _) = server.rsplit_once('/').expect("the address names a database");
        let url = format!("{address}/{database}");
        let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("a store can be made");
        Self { store: Arc::new(store), url, database }
    }

    async fn remove(self, server: &str) {
        self.store.close().await;
        if !self.database.is_empty() {
            execute(server, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
            execute(server, "CHECKPOINT").await;
        }
    }
}

/// By the client that comes with the server: this package needs no driver of its own for it.
async fn execute(server: &str, sql: &str) {
    let (server, sql) = (server.to_owned(), sql.to_owned());
    let ran = tokio::task::spawn_blocking(move || Command::new("psql").args([&server, "-q", "-c", &sql]).status());
    let status = ran.await.expect("psql is waited for").expect("psql can be run: install the client of PostgreSQL");
    assert!(status.success(), "psql is done");
}

/// Bookings accepted a second by so many callers.
async fn accepts(store: Arc<dyn Store>, callers: usize, time: Duration) -> f64 {
    let (next, done) = (Arc::new(AtomicU64::new(callers as u64)), Arc::new(AtomicU64::new(0)));
    let ward = Ward::new(store, Utc::now());
    ward.clone().accept(callers).await;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (ward, next, done) = (ward.clone(), Arc::clone(&next), Arc::clone(&done));
        tasks.spawn(async move {
            while begun.elapsed() < time {
                ward.accept_number(next.fetch_add(1, Ordering::Relaxed)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.join_all().await;
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

/// Bookings a second through each stage of their way: claims of 256 a call, as workers and notifiers make them, the rest call by call.
async fn walk(store: Arc<dyn Store>) -> Vec<(&'static str, f64)> {
    let mut ward = Ward::new(store, Utc::now());
    let mut accepted = Vec::with_capacity(WALKED);
    while accepted.len() < WALKED {
        accepted.extend(ward.accept(256).await);
    }
    let rate = |begun: Instant| WALKED as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut leases = Vec::with_capacity(WALKED);
    for part in accepted.chunks(256) {
        leases.extend(ward.claim(part).await);
    }
    let claimed = rate(begun);
    let begun = Instant::now();
    let concluding = leases.into_iter().map(|lease| {
        let ward = ward.clone();
        async move { ward.conclude(vec![lease]).await }
    });
    let publications: Vec<_> = concluding.collect::<JoinSet<_>>().join_all().await.into_iter().flatten().collect();
    let concluded = rate(begun);
    let begun = Instant::now();
    let mut notices = Vec::with_capacity(WALKED);
    for part in publications.chunks(256) {
        notices.extend(ward.claim_notices(part).await);
    }
    let expanded = rate(begun);
    let begun = Instant::now();
    let settling = notices.into_iter().map(|notice| {
        let ward = ward.clone();
        async move { ward.settle(vec![notice]).await }
    });
    settling.collect::<JoinSet<_>>().join_all().await;
    vec![("1 claimed", claimed), ("2 concluded", concluded), ("3 notices claimed", expanded), ("4 notices settled", rate(begun))]
}

fn pgbench(url: &str, folder: &Path, seconds: u64) -> Option<f64> {
    let script = folder.join("pgbench.sql");
    std::fs::write(&script, SCRIPT).expect("the target directory can be written");
    let (clients, time) = (CLIENTS.to_string(), seconds.to_string());
    let script = script.to_string_lossy();
    let arguments = ["-n", "-M", "prepared", "-D", "n=0", "-c", &clients, "-j", "2", "-T", &time, "-f", &script, url];
    let output = Command::new("pgbench").args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "))?.split(' ').next()?.parse().ok();
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    tps
}
