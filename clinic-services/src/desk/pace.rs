use std::{str::FromStr, time::Duration};

use thiserror::Error;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often something is done at most: `50/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

/// Why a text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write a number above 0 and at most 10000 a second, such as 50/s or 0.5/s")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let number: f64 = text.strip_suffix("/s").unwrap_or(text).parse().map_err(|_| BadRate)?;
        if (0.001..=10_000.0).contains(&number) { Ok(Self(number)) } else { Err(BadRate) }
    }
}

impl Rate {
    /// Ticks at this rate, from now on; what was missed is not made up for.
    pub(super) fn ticks(self) -> Interval {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / self.0));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_second() {
        assert_eq!("50/s".parse(), Ok(Rate(50.0)));
        assert_eq!("0.5".parse(), Ok(Rate(0.5)));
        for wrong in ["", "0", "-1/s", "50/m", "NaN", "inf", "10001/s"] {
            assert_eq!(wrong.parse::<Rate>(), Err(BadRate), "{wrong}");
        }
    }
}
