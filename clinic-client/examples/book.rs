//! Books tomorrow's visit and waits for the decision, at the clinic that `CLINIC_URL` names (`http://127.0.0.1:8080` without it).
//!
//! `cargo run -p clinic-client --example book`
use chrono::{TimeDelta, Utc};
use clinic_client::{BookRequest, Client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bookings = Client::from_env()?.bookings();
    let request = BookRequest::at(Utc::now() + TimeDelta::days(1)).patient("PAC001").doctor("DOC001");
    let booking = bookings.request(request).send().await?;
    let decided = bookings.wait_until_decided(booking.id).await?;
    println!("{}: {}", decided.status, decided.message);
    Ok(())
}
