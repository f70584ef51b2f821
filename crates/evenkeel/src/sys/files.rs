//! The limit on open files. Owns raising it for our own processes; must never hand the raised limit to instances, whose
//! programs may count on the usual one (`select` cannot take descriptors beyond 1,023).

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// Raises this process's soft limit to its hard one: connections, probes and watched processes need a descriptor each.
/// Where that is refused the lower limit holds.
pub fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    ORIGINAL.get_or_init(|| limit);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The limit as this process was given it, if it has been raised since.
#[must_use]
pub fn original() -> Option<Rlimit> {
    ORIGINAL.get().copied()
}
