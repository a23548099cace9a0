//! P7: no patient data where none belongs.

use super::Breach;

/// Looks for patients' strings in texts that must not hold any, each with the name of its place. A breach does not
/// repeat the string: it names its number.
#[must_use]
pub fn leaks(patients: &[&str], texts: &[(&str, &str)]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (place, text) in texts {
        for (number, patient) in patients.iter().enumerate() {
            if text.contains(patient) {
                breaches.push(Breach::PatientDataLeak((*place).to_owned(), number));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_and_not_repeated() {
        let found = leaks(&["PAC-1", "Juan"], &[("stderr", "booked for Juan"), ("metrics", "clinic_x 1")]);
        assert_eq!(found, [Breach::PatientDataLeak("stderr".into(), 1)]);
        assert!(!found[0].to_string().contains("Juan"));
    }
}
