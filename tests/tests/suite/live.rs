//! Bookings followed live: thousands of streams on one process, each told of its decision, over kills, stops and other processes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use clinic_tests::{
    checker::Expected,
    cluster::Cluster,
    eventually::eventually,
    http::Http,
    load::Load,
    process::Setup,
    rabbit::Rabbit,
    size::{figure, sized},
    stream::{Broken, Seen, allow_files, follow, one_stream, unread},
};
use rusqlite::Connection;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{day, visit};

/// What the process may take, in bytes.
const MEMORY: u64 = 200 << 20;
/// How long anybody follows; a busy machine is slow, and nothing here measures.
const WITHIN: Duration = Duration::from_secs(240);

/// Those who follow bookings, one stream each.
struct Followers {
    tasks: JoinSet<(Uuid, Result<Seen, Broken>)>,
    opened: Arc<AtomicUsize>,
}

impl Followers {
    /// Opens a stream for each booking that is accepted from now on, up to `streams` of every second one, as soon as it is accepted.
    async fn of(setup: &Setup, http: &Http, streams: usize, skip: usize) -> Self {
        let mut followers = Self { tasks: JoinSet::new(), opened: Arc::default() };
        let (mut seen, within) = (0, Duration::from_secs(120));
        while followers.tasks.len() < streams {
            let what = format!("more than {seen} bookings accepted");
            eventually(&what, within, || async { (setup.observed().accepted_so_far() > seen).then_some(()) }).await;
            for accepted in &setup.observed().snapshot().accepted[seen..] {
                if seen % skip == 0 && followers.tasks.len() < streams {
                    followers.open(http, accepted.id);
                }
                seen += 1;
            }
        }
        followers
    }

    fn open(&mut self, http: &Http, id: Uuid) {
        let (http, opened) = (http.clone(), self.opened.clone());
        self.tasks.spawn(async move {
            let mut counted = false;
            let count = || {
                if !std::mem::replace(&mut counted, true) {
                    opened.fetch_add(1, Ordering::SeqCst);
                }
            };
            (id, follow(&http, id, WITHIN, count).await)
        });
    }

    async fn all_open(&self, streams: usize) {
        let what = format!("{streams} streams open");
        eventually(&what, Duration::from_secs(120), || async { (self.opened.load(Ordering::SeqCst) == streams).then_some(()) }).await;
    }

    /// What they saw, once all are at the end: each a whole timeline with one decision and its notice.
    async fn saw(self) -> Vec<(Uuid, Seen)> {
        let mut all = Vec::new();
        for (id, seen) in self.tasks.join_all().await {
            let seen = seen.unwrap_or_else(|broken| panic!("{id}: {broken}"));
            let names = seen.names();
            assert_eq!(names.iter().filter(|name| ["confirmed", "rejected"].contains(name)).count(), 1, "{id}: {names:?}");
            assert_eq!(names.first(), Some(&"accepted"), "{id}: {names:?}");
            assert!(names.iter().any(|name| name.starts_with("notice_")), "{id}: {names:?}");
            assert!(seen.ended, "{id}: {names:?}");
            all.push((id, seen));
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_one_of_thousands_of_streams_gets_its_decision() {
    let (streams, rate, delay) = sized((500, 250.0, "12s..12s"), (5_000, 1_000.0, "30s..30s"));
    allow_files(streams as u64 + 1_024);
    let setup = Setup::new().set("CLINIC_SIM_DELAY", delay).set("CLINIC_ATTEMPT_TIMEOUT", "60s").set("CLINIC_LEASE", "120s");
    let mut clinic = setup.start();
    let http = clinic.http();
    // As many again are decided between them, which nobody follows: all of them in the time that it takes to book them.
    let bookings = 2 * streams;
    let driving = tokio::spawn({
        let (http, load) = (http.clone(), Load::steady("live", rate, bookings).insisting());
        async move { load.run(&http).await }
    });
    let followers = Followers::of(&setup, &http, streams, 2).await;
    followers.all_open(streams).await;
    let undecided = crate::count(&setup, "booking WHERE status = 'pending'");
    let open = http.metrics().await.expect(200).body;
    driving.await.unwrap().expect_all(bookings);
    let mut most = 0;
    let watching = async {
        loop {
            most = most.max(clinic.resident());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let saw = tokio::select! {
        saw = followers.saw() => saw,
        () = watching => Vec::new(),
    };
    assert_eq!(saw.len(), streams);
    let (mut latest, mut rate_from, mut rate_to) = (Duration::ZERO, i64::MAX, i64::MIN);
    for (id, seen) in &saw {
        assert_eq!(seen.cut_off, 0, "{id}");
        let decided = crate::number(&setup, &format!("SELECT decided_at FROM booking WHERE id = x'{}'", id.simple()));
        (rate_from, rate_to) = (rate_from.min(decided), rate_to.max(decided));
        let ago = seen.decided.unwrap().elapsed();
        let heard = chrono::Utc::now() - TimeDelta::from_std(ago).unwrap();
        latest = latest.max((heard - DateTime::from_timestamp_millis(decided).unwrap()).to_std().unwrap_or_default());
    }
    assert!(most < MEMORY, "{} MiB resident", most >> 20);
    assert!(open.contains("clinic_event_streams"), "{open}");
    setup.at_rest(Duration::from_secs(60)).await;
    let status = clinic.terminate();
    assert!(status.success(), "{status}\n{}", clinic.diagnostics());
    setup.check(&Expected::finished()).assert_clean();
    let pace = bookings as f64 * 1_000.0 / (rate_to - rate_from).max(1) as f64;
    figure(&format!(
        "live: {streams} streams open with {undecided} bookings undecided, {pace:.0} decided a second, heard {latest:?} later at the \
         latest, {} MiB resident at most",
        most >> 20
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_go_on_after_a_kill() {
    let streams = sized(200, 2_000);
    allow_files(streams as u64 + 1_024);
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "4s..12s").set("CLINIC_ATTEMPT_TIMEOUT", "60s").set("CLINIC_LEASE", "120s");
    let clinic = setup.start();
    let http = clinic.http();
    let driving = tokio::spawn({
        let (http, load) = (http.clone(), Load::closed("live", 32, streams).insisting());
        async move { load.run(&http).await }
    });
    let followers = Followers::of(&setup, &http, streams, 1).await;
    driving.await.unwrap().expect_all(streams);
    followers.all_open(streams).await;
    eventually("some bookings decided", Duration::from_secs(60), || async {
        (crate::count(&setup, "booking WHERE status <> 'pending'") > 0).then_some(())
    })
    .await;
    clinic.kill9();
    let mut clinic = setup.start();
    let saw = followers.saw().await;
    let resumed = saw.iter().filter(|(_, seen)| seen.cut_off > 0).count();
    assert!(resumed > 0, "the kill met no stream");
    figure(&format!("live: {resumed} of {streams} streams resumed after a kill"));
    // What each saw in pieces is what there is.
    for (id, seen) in saw.iter().step_by(10) {
        let timeline = http.timeline(*id).await.expect(200).field("events");
        let kinds: Vec<_> = timeline.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(seen.names(), kinds[..seen.events.len()], "{id}");
    }
    setup.at_rest(Duration::from_secs(60)).await;
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_streams_as_the_protocol_says() {
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "20s..20s").set("CLINIC_ATTEMPT_TIMEOUT", "60s").set("CLINIC_LEASE", "120s");
    let mut clinic = setup.start();
    let http = clinic.http();
    let id = http.book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    let opened = Arc::new(AtomicUsize::new(0));
    let following = tokio::spawn({
        let (http, opened) = (http.clone(), opened.clone());
        async move {
            let mut seen = Seen::default();
            let mut count = || opened.store(1, Ordering::SeqCst);
            let ended = one_stream(&http, id, &mut seen, &mut count).await;
            ended.map(|()| seen)
        }
    });
    eventually("the stream is open", Duration::from_secs(10), || async { (opened.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    assert!(clinic.terminate().success());
    let seen = following.await.unwrap().unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!((seen.names(), seen.decided), (vec!["accepted"], None));
}

/// So many entries do not fit into what the system keeps for a connection: half a megabyte.
const LONG_TIMELINE: i64 = 4_000;
/// What a client that does not read may cost, in bytes.
const UNREAD_MEMORY: u64 = 256 << 10;

/// Gives a booking a timeline that is longer than any booking's, while nothing runs.
fn lengthen(setup: &Setup, id: Uuid) {
    let store = Connection::open(setup.store()).unwrap();
    let entries = "INSERT INTO timeline (booking, seq, at, kind, code, channel)
        WITH RECURSIVE number(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM number WHERE n < ?2)
        SELECT ?1, n, 1700000000000, 'notice_retry', 'busy', 'log' FROM number";
    store.execute(entries, (id.as_bytes(), LONG_TIMELINE)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_little_and_hold_up_nobody() {
    let streams = sized(200, 1_000);
    allow_files(streams as u64 + 1_024);
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "60s..60s").set("CLINIC_ATTEMPT_TIMEOUT", "90s").set("CLINIC_LEASE", "180s");
    let mut clinic = setup.start();
    let id = clinic.http().book(&visit("PAC001", "DOC001", day(30))).await.expect(202).id();
    assert!(clinic.terminate().success());
    lengthen(&setup, id);
    let mut clinic = setup.start();
    let (http, before) = (clinic.http(), clinic.resident());
    let mut unreading = Vec::new();
    for _ in 0..streams {
        unreading.push(unread(&http, id).await.unwrap());
    }
    eventually("all streams are open", Duration::from_secs(60), || async {
        (http.metric("clinic_event_streams", "").await as usize == streams).then_some(())
    })
    .await;
    // Others are served, and followed to their end.
    let other = http.book(&visit("PAC002", "DOC002", day(30))).await.expect(202).id();
    http.cancel(other).await.expect(200);
    let mut seen = Seen::default();
    one_stream(&http, other, &mut seen, &mut || ()).await.unwrap();
    assert!(seen.names().contains(&"cancelled"), "{:?}", seen.names());
    let most = clinic.resident();
    figure(&format!("live: {streams} streams that nobody reads: {} MiB, {} MiB before", most >> 20, before >> 20));
    assert!(most < before + streams as u64 * UNREAD_MEMORY, "{} MiB resident, {} MiB before", most >> 20, before >> 20);
    let status = clinic.terminate();
    assert!(status.success(), "{status}\n{}", clinic.diagnostics());
    drop(unreading);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_of_another_process_arrives() {
    let rabbit = Rabbit::shared().await;
    let cluster = Cluster::over(&rabbit).set("CLINIC_SIM_DELAY", "1s..2s").start().await;
    let http = cluster.http();
    let mut followers = Followers { tasks: JoinSet::new(), opened: Arc::default() };
    for number in 0..20 {
        let id = http.book(&visit(&format!("PAC{number}"), &format!("DOC{number}"), day(30))).await.expect(202).id();
        followers.open(&http, id);
    }
    followers.all_open(20).await;
    assert_eq!(followers.saw().await.len(), 20);
    cluster.at_rest(Duration::from_secs(60)).await;
    cluster.finish(&Expected::finished()).assert_clean();
}
