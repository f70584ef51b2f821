//! The things people name: load balancers, listeners, health checks, instances, images, zones.
//!
//! Owns their shape and the rules that hold for one thing alone. Must never hold a rule that needs a second thing
//! (a name already taken, an instance that does not exist): those are in [`crate::world`].

pub mod health_check;
pub mod listener;

pub use health_check::{CheckProtocol, HealthCheck, HealthTarget};
pub use listener::{Listener, Protocol};
