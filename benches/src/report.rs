//! The figures, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::{
    calls::Calls,
    ceiling::Ceiling,
    disk::Disk,
    figure::Figure,
    measure::{InFlight, Lone, Ratio, Scaled, Whole},
};

/// What was measured; parts that were not asked for are absent.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The disk under the store.
    pub disk: Disk,
    /// Runtime threads of every server.
    pub threads: usize,
    /// Runtime threads of the generator.
    pub generator_threads: usize,
    /// Connections, but for the lone client.
    pub connections: usize,
    /// `POST` against the echo.
    pub ratio: Option<Ratio>,
    /// Accepted, decided and told.
    pub whole: Option<Whole>,
    /// Accepted, decided and told in the scaled shape.
    pub scaled: Option<Scaled>,
    /// A lone client.
    pub lone: Option<Lone>,
    /// Many in flight.
    pub in_flight: Option<InFlight>,
    /// Memory before the first request, in MB.
    pub idle_mb: Option<f64>,
    /// A call by the client.
    pub calls: Option<Calls>,
    /// The load tool.
    pub loadgen: Option<Ceiling>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Disk { file_system, sync_ms, overwrite_sync_ms } = &self.disk;
        writeln!(f, "store on {file_system}: a sync takes {sync_ms:.3} ms appending, {overwrite_sync_ms:.3} ms overwriting")?;
        let (servers, generator, connections) = (self.threads, self.generator_threads, self.connections);
        writeln!(f, "{servers} threads a server, {generator} for the generator, {connections} connections")?;
        writeln!(f, "{:<44}{:>12}{:>12}{:>12}", "", "median", "least", "most")?;
        if let Some(Ratio { echo, clinic, ratio }) = &self.ratio {
            row(f, "echo: POST a second", echo, 0)?;
            row(f, "clinic: POST a second", clinic, 0)?;
            row(f, "clinic / echo", ratio, 3)?;
        }
        if let Some(Whole { bookings, accepted, told }) = &self.whole {
            row(f, &format!("no delay, {bookings} bookings: accepted a second"), accepted, 0)?;
            row(f, "accepted, decided and told a second", told, 0)?;
        }
        if let Some(Scaled { bookings, raw, told, ratio }) = &self.scaled {
            row(f, "broker alone: messages a second", raw, 0)?;
            row(f, &format!("scaled, {bookings} bookings: told a second"), told, 0)?;
            row(f, "scaled / broker alone", ratio, 3)?;
        }
        if let Some(Lone { millis, syncs }) = &self.lone {
            row(f, "a lone client's POST, ms", millis, 3)?;
            single(f, "  in sync times", *syncs, 2)?;
        }
        if let Some(InFlight { concurrency, decided, share, resident_mb }) = &self.in_flight {
            single(f, &format!("{concurrency} in flight, 2-5 s: decided a second"), *decided, 0)?;
            single(f, &format!("  as a share of {concurrency} / 3.5 s"), *share, 3)?;
            single(f, "  resident at most, MB", *resident_mb, 1)?;
        }
        if let Some(Calls { bare, client, ratio }) = &self.calls {
            row(f, "a call by bare reqwest, us", bare, 1)?;
            row(f, "a call by the client, us", client, 1)?;
            row(f, "client / reqwest", ratio, 3)?;
        }
        if let Some(Ceiling { lean, loadgen, ratio, bookings, resident_mb }) = &self.loadgen {
            row(f, "echo, lean generator: POST a second", lean, 0)?;
            row(f, "echo, loadgen: POST a second", loadgen, 0)?;
            row(f, "loadgen / lean generator", ratio, 3)?;
            single(f, &format!("loadgen, {bookings} bookings: resident, MB"), *resident_mb, 1)?;
        }
        if let Some(idle) = self.idle_mb {
            single(f, "resident before the first request, MB", idle, 1)?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, figure: &Figure, digits: usize) -> fmt::Result {
    let Figure { median, least, most } = figure;
    writeln!(f, "{name:<44}{median:>12.digits$}{least:>12.digits$}{most:>12.digits$}")
}

fn single(f: &mut fmt::Formatter<'_>, name: &str, value: f64, digits: usize) -> fmt::Result {
    writeln!(f, "{name:<44}{value:>12.digits$}")
}
