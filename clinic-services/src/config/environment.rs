//! The environment's `CLINIC_*` variables, held against those that there are.

use clap::Command;

/// Set by tests that end the process at a named point; no setting.
const NO_SETTINGS: [&str; 1] = ["CLINIC_CRASH_AT"];

/// A variable that no setting reads, and the nearest that one does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownVariable {
    /// As found.
    pub name: String,
    /// What may have been meant.
    pub nearest: Option<String>,
}

impl std::fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is no setting and was not read", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, ": did you mean {nearest}?"),
            None => f.write_str(": see clinic --help for those there are"),
        }
    }
}

/// Those of `names` that start with `CLINIC_` and are no variable of `command`.
pub(super) fn unknown(command: &Command, names: impl Iterator<Item = String>) -> Vec<UnknownVariable> {
    let known: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    let nearest = |name: &str| {
        let ranked = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known));
        ranked.min().filter(|(distance, _)| *distance <= 5).map(|(_, known)| known.to_owned())
    };
    names
        .filter(|name| name.starts_with("CLINIC_") && !known.contains(&name.as_str()) && !NO_SETTINGS.contains(&name.as_str()))
        .map(|name| UnknownVariable { nearest: nearest(&name), name })
        .collect()
}
