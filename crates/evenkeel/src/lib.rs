//! The house: Evenkeel as one process tree.
//!
//! Owns everything that touches the world outside: the API's socket, the Store, the drivers, the loops, the command
//! line. Who may know whom is in ARCHITECTURE.md and held by a test; only `run` knows everyone.
#![deny(unsafe_code)]

pub mod acme;
pub mod agent;
pub mod api;
pub mod authorities;
pub mod boot;
pub mod buckets;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dice;
pub mod dns;
pub mod drivers;
pub mod enclosures;
pub mod images;
pub mod keeper;
pub mod link;
pub mod lock;
pub mod loops;
pub mod mail;
pub mod metrics;
pub mod notices;
pub mod run;
pub mod sample;
pub mod seal;
pub mod sys;
pub mod time_zones;
pub mod traffic;
