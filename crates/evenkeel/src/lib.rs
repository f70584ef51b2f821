//! The house: Evenkeel as one process tree.
//!
//! Owns everything that touches the world outside: the API's socket, the Store, the drivers, the loops, the command
//! line. Who may know whom is in ARCHITECTURE.md and held by a test; only `run` knows everyone.
#![deny(unsafe_code)]

pub mod api;
pub mod keeper;
