//! A clinic with its own calendar and its own way to tell patients.
//!
//! `cargo run -p clinic-core --features sqlite,embedded --example own_calendar`

use std::time::Duration;

use async_trait::async_trait;
use chrono::{Timelike, Utc};
use clinic_core::{
    api::BookRequest,
    clinic::Clinic,
    notification::Notice,
    ports::{Availability, AvailabilityError, Channel, ChannelError, Receipt, Request, Verdict},
};

/// The hospital is open in the morning.
struct Mornings;

#[async_trait]
impl Availability for Mornings {
    async fn check(&self, request: &Request) -> Result<Verdict, AvailabilityError> {
        let hour = request.appointment.slot.start().hour();
        Ok(if (8..14).contains(&hour) { Verdict::Available } else { Verdict::Unavailable })
    }

    fn reserves(&self) -> bool {
        false
    }
}

/// Reads notices out loud.
struct Loudspeaker;

#[async_trait]
impl Channel for Loudspeaker {
    fn name(&self) -> &str {
        "loudspeaker"
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        println!("{}", notice.text().body);
        Ok(Receipt::none())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let clinic = Clinic::builder()
        .store(format!("sqlite:{}", folder.path().join("clinic.db").display()))
        .availability(Mornings)
        .channel(Loudspeaker)
        .start()
        .await?;
    let tomorrow = Utc::now().date_naive().succ_opt().ok_or("the calendar ends")?;
    for hour in [9, 16] {
        let request = BookRequest {
            patient_id: Some("PAC001".into()),
            doctor_id: Some("DOC001".into()),
            datetime: Some(format!("{tomorrow}T{hour:02}:00:00Z")),
            language: Some("en".into()),
            ..BookRequest::default()
        };
        let booking = clinic.book(&request).await?;
        let decided = clinic.wait_until_decided(booking.id, Duration::from_secs(30)).await?.ok_or("booked, so it is there")?;
        println!("{hour}:00 is {}", decided.booking.status);
    }
    clinic.shutdown().await?;
    Ok(())
}
