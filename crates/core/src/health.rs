//! Health as a state machine: results of checks in, verdicts out.
//!
//! Owns the thresholds and AWS's rule that one success is enough for a newly registered instance. Must never make a
//! check or read a clock. Who makes checks: the road's `probe`. Who words verdicts: `sightings`.

use serde::{Deserialize, Serialize};

/// What the road last concluded about one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// No verdict yet: registration is still in progress.
    #[default]
    Initial,
    /// May be sent requests.
    InService,
    /// Failed as many checks in a row as its balancer allows.
    Failing,
    /// Succeeds again, but not yet as often in a row as its balancer demands.
    Recovering,
}
