use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process open as many files as it may: each connection is one, and the usual soft limit of 1,024 is there for programs that
/// use `select(2)`, which this one does not. Where it is refused, the limit stays as it is.
pub(super) fn open_as_many_as_allowed() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays at its soft value: raise it (ulimit -n) for many connections");
    }
}
