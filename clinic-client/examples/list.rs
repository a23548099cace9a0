//! Lists a doctor's bookings of the next week, however many pages they take.
//!
//! `cargo run -p clinic-client --example list -- DOC001`

use chrono::{TimeDelta, Utc};
use clinic_client::Client;
use futures_util::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let doctor = std::env::args().nth(1).ok_or("give the id of a doctor")?;
    let now = Utc::now();
    let mut bookings = Client::from_env()?.bookings().list().doctor(doctor).from(now).to(now + TimeDelta::days(7)).stream();
    // Any crate with streams will do, and so does none: the stream has a try_next() of its own.
    while let Some(booking) = TryStreamExt::try_next(&mut bookings).await? {
        println!("{} {} {}", booking.id, booking.datetime, booking.status);
    }
    Ok(())
}
