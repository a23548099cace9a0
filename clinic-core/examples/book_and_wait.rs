//! Booking and waiting in one process, with everything simulated.
//!
//! `cargo run -p clinic-core --features sqlite,embedded,simulated,log-channel --example book_and_wait`

use std::time::Duration;

use chrono::Utc;
use clinic_core::{api::BookRequest, clinic::Clinic, retry::RetryPolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let clinic = Clinic::builder()
        .store(format!("sqlite:{}", folder.path().join("clinic.db").display()))
        .broker("embedded")
        .retry(RetryPolicy::default())
        .start()
        .await?;
    let request = BookRequest {
        patient_name: Some("Juan Pérez".into()),
        time_slot: Some((Utc::now() + chrono::Duration::days(1)).to_rfc3339()),
        ..BookRequest::default()
    };
    let booking = clinic.book(&request).await?;
    println!("{} is {}", booking.id, booking.status);
    let decided = clinic.wait_until_decided(booking.id, Duration::from_secs(120)).await?.ok_or("booked, so it is there")?;
    println!("{} is {}", booking.id, decided.booking.status);
    for entry in clinic.handle().timeline(booking.id).await?.unwrap_or_default() {
        println!("  {} {} {}", entry.seq, entry.kind, entry.code.unwrap_or_default());
    }
    clinic.shutdown().await?;
    Ok(())
}
