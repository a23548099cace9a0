//! The measurements, one function each.

use std::{
    io,
    ops::RangeInclusive,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    disk::Disk,
    figure::{Figure, median},
    generator::{Outcome, Stop},
    lab::{Lab, Stand},
    raw,
};

/// What a clinic that nothing is said to takes for a decision.
const USUAL: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(5);
/// The mean of [`USUAL`], in seconds.
const USUAL_MEAN: f64 = 3.5;
const NONE: RangeInclusive<Duration> = Duration::ZERO..=Duration::ZERO;
/// What a clinic holds in flight unless told otherwise.
const CONCURRENCY: usize = 10_000;
/// How long a clinic may take to tell all before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(300);
const WARM_UP: Duration = Duration::from_secs(1);
/// Bookings that show that every process of the scaled shape is at work.
const WARMING: u64 = 500;

/// `POST /book` against the bare echo.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Answers of the echo a second.
    pub echo: Figure,
    /// Bookings accepted by the clinic a second.
    pub clinic: Figure,
    /// Of each pair of runs, the clinic's rate over the echo's.
    pub ratio: Figure,
}

/// Measures [`Ratio`] in alternating runs.
///
/// # Errors
/// When a server fails or refuses a request.
pub async fn ratio(lab: &Lab, runs: usize, seconds: u64, connections: usize) -> io::Result<Ratio> {
    let (mut echo, mut clinic) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        echo.push(rate(&lab.echo()?, seconds, connections).await?);
        clinic.push(rate(&lab.clinic(USUAL, CONCURRENCY)?, seconds, connections).await?);
    }
    Ok(Ratio { echo: Figure::of(&echo), clinic: Figure::of(&clinic), ratio: Figure::of_ratios(&clinic, &echo) })
}

async fn rate(stand: &Stand, seconds: u64, connections: usize) -> io::Result<f64> {
    stand.drive(connections, Stop::After(WARM_UP)).await?;
    let outcome = stand.drive(connections, Stop::After(Duration::from_secs(seconds))).await?;
    all_accepted(&outcome)?;
    Ok(outcome.rate())
}

/// Accepted, decided and told, without delay.
#[derive(Clone, Debug, Serialize)]
pub struct Whole {
    /// Bookings of a run.
    pub bookings: u64,
    /// Accepted a second, the rest going on beside it.
    pub accepted: Figure,
    /// A second from the first request until the last notice.
    pub told: Figure,
}

/// Measures [`Whole`].
///
/// # Errors
/// When the clinic fails, refuses a request or leaves one untold.
pub async fn whole(lab: &Lab, runs: usize, bookings: u64, connections: usize) -> io::Result<Whole> {
    let (mut accepted, mut told) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let stand = lab.clinic(NONE, CONCURRENCY)?;
        let begun = Instant::now();
        let outcome = stand.drive(connections, Stop::Count(bookings)).await?;
        all_accepted(&outcome)?;
        until_told(&stand, bookings).await?;
        told.push(bookings as f64 / begun.elapsed().as_secs_f64());
        accepted.push(outcome.rate());
    }
    Ok(Whole { bookings, accepted: Figure::of(&accepted), told: Figure::of(&told) })
}

/// The scaled shape, without delay, against the broker alone.
#[derive(Clone, Debug, Serialize)]
pub struct Scaled {
    /// Bookings of a run.
    pub bookings: u64,
    /// Messages a second through the broker alone: see [`raw`].
    pub raw: Figure,
    /// Bookings accepted, decided and told a second, from the first request until the last notice.
    pub told: Figure,
    /// Of each pair of runs, the clinic's rate over the broker's.
    pub ratio: Figure,
}

/// Measures [`Scaled`] in alternating runs.
///
/// # Errors
/// When the broker or a server fails, or one refuses a request or leaves it untold.
pub async fn scaled(lab: &Lab, broker: &str, runs: usize, bookings: u64, connections: usize) -> io::Result<Scaled> {
    let (mut limits, mut told) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        limits.push(raw::rate(broker, bookings).await?);
        let stand = lab.scaled(broker, CONCURRENCY)?;
        stand.drive(connections, Stop::Count(WARMING)).await?;
        until_told(&stand, WARMING).await?;
        let begun = Instant::now();
        let outcome = stand.drive(connections, Stop::Count(bookings)).await?;
        all_accepted(&outcome)?;
        until_told(&stand, WARMING + bookings).await?;
        told.push(bookings as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(Scaled { bookings, raw: Figure::of(&limits), told: Figure::of(&told), ratio: Figure::of_ratios(&told, &limits) })
}

/// A lone client, one request after the other.
#[derive(Clone, Debug, Serialize)]
pub struct Lone {
    /// How long a `POST` takes, in milliseconds: median, fastest, slowest.
    pub millis: Figure,
    /// The median in sync times.
    pub syncs: f64,
}

/// Measures [`Lone`].
///
/// # Errors
/// When the clinic fails or refuses a request.
pub async fn lone(lab: &Lab, disk: &Disk) -> io::Result<Lone> {
    let stand = lab.clinic(USUAL, CONCURRENCY)?;
    stand.drive(1, Stop::Count(50)).await?;
    let outcome = stand.drive(1, Stop::Count(500)).await?;
    all_accepted(&outcome)?;
    let millis: Vec<_> = outcome.latencies.iter().map(|latency| latency.as_secs_f64() * 1000.0).collect();
    let millis = Figure::of(&millis);
    Ok(Lone { millis, syncs: millis.median / disk.sync_ms })
}

/// Many bookings in flight, each taking 2 to 5 seconds.
#[derive(Clone, Debug, Serialize)]
pub struct InFlight {
    /// In flight at most.
    pub concurrency: usize,
    /// Decided a second while as many as may be are in flight.
    pub decided: f64,
    /// As a share of what so many can give: themselves over 3.5 s.
    pub share: f64,
    /// Resident memory at most, in MB.
    pub resident_mb: f64,
}

/// Measures [`InFlight`].
///
/// # Errors
/// When the clinic fails, refuses a request or leaves one untold.
pub async fn in_flight(lab: &Lab, concurrency: usize, connections: usize) -> io::Result<InFlight> {
    let bookings = 6 * concurrency as u64;
    let stand = lab.clinic(USUAL, concurrency)?;
    let begun = Utc::now();
    let drive = stand.drive(connections, Stop::Count(bookings));
    let highest = highest_resident(&stand, bookings);
    let (outcome, resident) = tokio::join!(drive, highest);
    all_accepted(&outcome?)?;
    let decided = steady(&decisions(&stand.store(), begun)?, concurrency)?;
    let possible = concurrency as f64 / USUAL_MEAN;
    Ok(InFlight { concurrency, decided, share: decided / possible, resident_mb: megabytes(resident?) })
}

/// The clinic's memory at its highest until all is told.
async fn highest_resident(stand: &Stand, bookings: u64) -> io::Result<u64> {
    let mut highest = 0;
    let mut notices = stand.notices()?;
    let begun = Instant::now();
    while notices.count()? < bookings {
        highest = highest.max(stand.server.resident()?);
        impatient(begun)?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(highest)
}

/// When each booking accepted since `begun` was decided, in order, in milliseconds.
fn decisions(store: &Path, begun: DateTime<Utc>) -> io::Result<Vec<i64>> {
    let read = || -> rusqlite::Result<Vec<i64>> {
        let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut rows =
            connection.prepare("SELECT decided_at FROM booking WHERE created_at >= ?1 AND decided_at IS NOT NULL ORDER BY decided_at")?;
        rows.query_map([begun.timestamp_millis()], |row| row.get(0))?.collect()
    };
    read().map_err(io::Error::other)
}

/// Decisions a second from two longest delays after the first one, when the flow is even, until so few bookings are left
/// that the flight is no longer full.
fn steady(decisions: &[i64], concurrency: usize) -> io::Result<f64> {
    let first = decisions.first().ok_or_else(|| io::Error::other("nothing was decided"))?;
    let begin = decisions.partition_point(|at| at - first < 10_000);
    // A margin of one in ten: bookings are taken up in batches.
    let end = decisions.len().saturating_sub(concurrency + concurrency / 10);
    if begin + concurrency > end {
        return Err(io::Error::other("the flight was over before it was even: more bookings are needed"));
    }
    Ok((end - begin) as f64 * 1000.0 / (decisions[end] - decisions[begin]).max(1) as f64)
}

/// The clinic's memory before its first request, in MB.
///
/// # Errors
/// When the clinic fails.
pub async fn idle(lab: &Lab) -> io::Result<f64> {
    let stand = lab.clinic(USUAL, CONCURRENCY)?;
    let mut seen = Vec::new();
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        seen.push(megabytes(stand.server.resident()?));
    }
    Ok(median(seen.into_iter()))
}

async fn until_told(stand: &Stand, bookings: u64) -> io::Result<()> {
    let mut notices = stand.notices()?;
    let begun = Instant::now();
    while notices.count()? < bookings {
        impatient(begun)?;
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn impatient(begun: Instant) -> io::Result<()> {
    if begun.elapsed() > PATIENCE {
        return Err(io::Error::other("the clinic did not tell all its decisions in time"));
    }
    Ok(())
}

fn all_accepted(outcome: &Outcome) -> io::Result<()> {
    if outcome.other.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} requests were accepted, others not (by status): {:?}", outcome.accepted, outcome.other)))
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_rate_leaves_out_both_ends() {
        // One a millisecond, after a slow start and before a slow end.
        let start = (0..100).map(|n| n * 100);
        let middle = 10_000..30_000;
        let end = (0..1000).map(|n| 30_000 + n * 50);
        let decisions: Vec<i64> = start.chain(middle).chain(end).collect();
        assert!((steady(&decisions, 1000).unwrap() - 1000.0).abs() < 1.0);
        assert!(steady(&decisions[..100], 1000).is_err());
    }
}
