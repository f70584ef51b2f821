//! Sticky sessions: what makes a client come back to the same instance.
//!
//! Owns their shape in Routes. Must never say how a cookie is spelled: the road does.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the clients of an HTTP listener stick to an instance (Elastic Load Balancing user guide, "Configure sticky sessions
/// for your Classic Load Balancer").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stickiness {
    /// By the balancer's own cookie, which browsers keep for this long; without it until they close.
    Duration(Option<Duration>),
    /// For as long as the client keeps the application's cookie of this name.
    Application(Arc<str>),
}
