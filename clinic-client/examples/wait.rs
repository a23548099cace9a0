//! Waits up to five minutes for a booking's decision, and tells what else may come of it.
//!
//! `cargo run -p clinic-client --example wait -- ID`

use std::{process::ExitCode, time::Duration};

use clinic_client::{Client, ErrorKind};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1).ok_or("give the id of a booking")?.parse()?;
    let error = match Client::from_env()?.bookings().wait_until_decided(id).max_wait(Duration::from_secs(300)).await {
        Ok(booking) => {
            println!("{id} is {}", booking.status);
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => error,
    };
    match &error.kind {
        ErrorKind::Undecided(booking) => println!("{id} is {} still, to be decided by {}", booking.status, booking.decide_by),
        ErrorKind::Api(problem) => eprintln!("{}: {} (request {})", problem.code, error, error.request_id.as_deref().unwrap_or("-")),
        _ if error.is_retryable() => eprintln!("no answer after {} tries, try later: {error}", error.attempts),
        _ => eprintln!("{error}"),
    }
    Ok(ExitCode::FAILURE)
}
