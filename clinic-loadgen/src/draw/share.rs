use std::str::FromStr;

use thiserror::Error;

/// A share of a whole, in `[0, 1]`; written in percent, as `5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share(pub(crate) f64);

/// Why a text is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a share from 0% to 100%, such as 5%")]
pub struct ShareError;

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let percent: f64 = text.strip_suffix('%').and_then(|number| number.trim().parse().ok()).ok_or(ShareError)?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(ShareError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent() {
        assert_eq!("5%".parse(), Ok(Share(0.05)));
        assert_eq!("0.5 %".parse(), Ok(Share(0.005)));
        for wrong in ["", "5", "%", "-1%", "101%", "NaN%"] {
            assert_eq!(wrong.parse::<Share>(), Err(ShareError), "{wrong}");
        }
    }
}
