//! Many bookings in flight in one process, within its memory.

use std::time::{Duration, Instant};

use clinic_tests::{
    checker::Expected,
    load::Load,
    process::Setup,
    size::{figure, sized},
};

/// What one process may take, in bytes.
const RESIDENT: u64 = 150_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_bookings_in_flight_fit_into_memory() {
    // Enough that 10,000 are in flight for a while; all at once in the short form.
    let (bookings, in_flight) = sized((2_000, 1_000.0), (60_000, 10_000.0));
    let setup = Setup::new().set("CLINIC_SIM_DELAY", "2s..5s").set("CLINIC_SWEEP", "2s");
    let mut clinic = setup.start();
    figure(&format!("resident when idle: {:.1} MB", clinic.resident() as f64 / 1e6));
    let (http, load) = (clinic.http(), Load::closed("flight", 64, bookings).insisting());
    let driving = tokio::spawn(async move { load.run(&http).await });

    // The metrics are cheap to read; counting rows would take the clinic's share of a small machine.
    let http = clinic.http();
    let (mut most_held, mut most_resident, mut steady) = (0.0f64, 0, Vec::new());
    let deadline = Instant::now() + Duration::from_secs(sized(120, 600));
    loop {
        let held = http.metric("clinic_in_flight", "").await;
        let decided = http.metric("clinic_bookings_decided_total", "").await;
        most_held = most_held.max(held);
        most_resident = most_resident.max(clinic.resident());
        if held >= in_flight * 0.95 {
            steady.push((Instant::now(), decided));
        }
        if decided >= bookings as f64 {
            break;
        }
        assert!(Instant::now() < deadline, "only {decided} were decided in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let answers = driving.await.unwrap();
    answers.expect_all(bookings);
    setup.at_rest(Duration::from_secs(60)).await;
    most_resident = most_resident.max(clinic.resident());
    if let (Some(first), Some(last)) = (steady.first(), steady.last())
        && last.1 > first.1
    {
        let rate = (last.1 - first.1) / (last.0 - first.0).as_secs_f64();
        let share = rate / (in_flight / 3.5);
        figure(&format!("in flight: {rate:.0} decided per second in steady state, {share:.2} of {in_flight} / 3.5 s"));
    }
    figure(&format!(
        "in flight: {most_held} at most, resident {:.1} MB at most, {:.0} accepted per second",
        most_resident as f64 / 1e6,
        bookings as f64 / answers.took.as_secs_f64()
    ));
    assert!(clinic.terminate().success());
    setup.check(&Expected::finished().kills_only()).assert_clean();
    assert!(most_held >= in_flight * 0.95, "at most {most_held} were in flight at once");
    assert!(most_resident < RESIDENT, "{most_resident} bytes resident");
}
