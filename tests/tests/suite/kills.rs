//! `kill -9` at random instants: what was accepted is there, decided once and told in order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clinic_tests::{
    answers::Answers,
    checker::Expected,
    disk::TightPlace,
    load::Load,
    process::{ClinicProcess, Setup},
    size::{figure, sized},
};
use rand::RngExt;
use tokio::{sync::Mutex, task::JoinHandle};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_at_random_instants() {
    let (kills, bookings) = sized((3, 500), (10, 5_000));
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "0ms..200ms").set("CLINIC_SIM_APPROVE", "0.8");
    let mut clinic = setup.start();
    let mut answers = Answers::default();
    for round in 0..kills {
        let driving = drive(&setup, round, bookings);
        random_instant(&setup, round, bookings).await;
        clinic.kill9();
        clinic = setup.start();
        answers += driving.await.unwrap();
        setup.check(&Expected::under_way().kills_only()).assert_clean();
    }
    finish(&setup, clinic, answers, kills * bookings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_at_random_instants_on_a_nearly_full_disk() {
    let (kills, bookings, megabytes) = sized((2, 500, 64), (10, 5_000, 384));
    let place = Arc::new(TightPlace::new(megabytes));
    let setup = place.hold(Setup::new().set("CLINIC_SIM_DELAY", "0ms..200ms").set("CLINIC_SIM_APPROVE", "0.8"));
    let clinic = Arc::new(Mutex::new(Some(setup.start())));
    let (mut answers, refused) = (Answers::default(), Arc::<AtomicUsize>::default());
    for round in 0..kills {
        let tide = tokio::spawn(tide(place.clone(), clinic.clone(), refused.clone()));
        let driving = drive(&setup, round, bookings);
        random_instant(&setup, round, bookings).await;
        {
            let mut clinic = clinic.lock().await;
            let killed = clinic.take().unwrap();
            killed.kill9();
            *clinic = Some(start_in_spite_of_the_tide(&setup, &place));
        }
        answers += driving.await.unwrap();
        tide.abort();
        let _ = tide.await;
        place.leave(clinic.lock().await.as_ref().unwrap(), 32 << 20);
        setup.check(&Expected::under_way().kills_only()).assert_clean();
    }
    assert!(refused.load(Ordering::Relaxed) > 0, "the disk was never full: {answers:?}");
    let clinic = clinic.lock().await.take().unwrap();
    finish(&setup, clinic, answers, kills * bookings).await;
}

fn drive(setup: &Setup, round: usize, bookings: usize) -> JoinHandle<Answers> {
    let (http, load) = (setup.http(), Load::closed(&format!("r{round}"), 32, bookings).insisting());
    load.patients().for_each(|patient| setup.observed().once(&patient));
    tokio::spawn(async move { load.run(&http).await })
}

/// Some instant while bookings are accepted or, one time in five, while the last are decided and told.
async fn random_instant(setup: &Setup, round: usize, bookings: usize) {
    let (share, more) = (rand::rng().random_range(0.0..1.25f64).min(1.0), rand::rng().random_range(0..30_000));
    let seen = bookings * round + (bookings as f64 * share) as usize;
    let deadline = Instant::now() + Duration::from_secs(300);
    while setup.observed().accepted_so_far() < seen {
        assert!(Instant::now() < deadline, "only {} accepted", setup.observed().accepted_so_far());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_micros(more)).await;
}

/// Room comes and goes, from none at all to plenty; who was refused for want of it is counted.
async fn tide(place: Arc<TightPlace>, clinic: Arc<Mutex<Option<ClinicProcess>>>, refused: Arc<AtomicUsize>) {
    place.leave(clinic.lock().await.as_ref().unwrap(), 0);
    loop {
        let pause = rand::rng().random_range(50..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let room = [0, 64 << 10, 512 << 10, 8 << 20][rand::rng().random_range(0..4)];
        if let Some(clinic) = clinic.lock().await.as_ref() {
            place.leave(clinic, room);
            let refusals = clinic.http().metric("clinic_http_problems_total", "\"unavailable\"").await;
            refused.fetch_max(refusals as usize, Ordering::Relaxed);
        }
    }
}

/// With no room at all it may refuse to start; with some it may not.
fn start_in_spite_of_the_tide(setup: &Setup, place: &TightPlace) -> ClinicProcess {
    match (setup.try_start(), place) {
        (Ok(clinic), _) => clinic,
        (Err(error), TightPlace::Disk(disk)) => {
            eprintln!("it did not start on a full disk: {error}");
            disk.leave(8 << 20).unwrap();
            setup.start()
        }
        (Err(error), _) => panic!("{error}"),
    }
}

async fn finish(setup: &Setup, mut clinic: ClinicProcess, answers: Answers, bookings: usize) {
    // A request whose answer a kill cut off was made again: nothing is unclear, nobody met a slot of their own.
    answers.expect_all(bookings);
    setup.at_rest(Duration::from_secs(120)).await;
    let status = clinic.terminate();
    assert!(status.success(), "{status}\n{}", clinic.diagnostics());
    let report = setup.check(&Expected::finished().kills_only());
    figure(&format!("kills: {report}; {answers:?}"));
    report.assert_clean();
    assert_eq!(report.accepted_seen, bookings, "the checker has not heard of all: {report}");
}
