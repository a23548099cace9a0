use std::{fmt, ops::BitOr};

/// What a process of the clinic does: a set, never empty. Joined with `|`.
///
/// Relay and deadlines run in every process, so that whoever is alive hands jobs on and ends what is too late.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// Accepts, shows and cancels bookings, and wakes those who wait for a decision.
    pub const API: Self = Self(1);
    /// Decides. Asks the availability.
    pub const WORKER: Self = Self(2);
    /// Tells patients. Uses the channels.
    pub const NOTIFIER: Self = Self(4);
    /// Everything in one process.
    pub const ALL: Self = Self(1 | 2 | 4);

    const NAMED: [(Self, &'static str); 3] = [(Self::API, "api"), (Self::WORKER, "worker"), (Self::NOTIFIER, "notifier")];

    /// Whether all of `roles` are among these.
    #[must_use]
    pub const fn contains(self, roles: Self) -> bool {
        self.0 & roles.0 == roles.0
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::ALL
    }
}

impl BitOr for Roles {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMED.iter().filter(|(role, _)| self.contains(*role)).map(|(_, name)| name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_joined_and_looked_up() {
        let both = Roles::API | Roles::NOTIFIER;
        assert!(both.contains(Roles::API) && both.contains(Roles::NOTIFIER) && both.contains(both));
        assert!(!both.contains(Roles::WORKER) && !both.contains(Roles::ALL));
        assert_eq!(both | Roles::WORKER, Roles::ALL);
        assert_eq!(Roles::default(), Roles::ALL);
        assert_eq!(format!("{both:?}"), r#"{"api", "notifier"}"#);
    }
}
