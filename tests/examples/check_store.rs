//! Runs the checker over the store of a clinic that has stopped with all its work done:
//! `check_store STORE NOTICES`, the second being what its notifiers wrote to standard output.

use std::{env, error::Error, fs, path::Path, process::ExitCode};

use clinic_tests::checker::{self, Expected, NoticeLine, Seen};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [store, notices] = &arguments[..] else { return Err("call it with two paths: STORE NOTICES".into()) };
    let lines = fs::read_to_string(notices)?.lines().filter_map(NoticeLine::parse).collect();
    let seen = Seen { lines, ..Seen::default() };
    let report = checker::check(Path::new(store), &seen, &Expected::finished())?;
    println!("{report}");
    Ok(if report.breaches.is_empty() && report.bookings > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
