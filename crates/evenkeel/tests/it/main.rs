//! The integration tests: the whole product, as people run it.
//!
//! Owns one binary for all of them. Each test has a daemon, a road, instances and addresses of its own (see [`rig`]);
//! they share nothing, bind what is free, and wait for levels with deadlines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acme;
mod alarms;
mod boot;
mod capacity;
mod certificates;
mod clients;
mod clock;
mod contained;
mod crash;
mod delivery;
mod demo;
mod dns;
mod docker;
mod draining;
mod enclosed;
mod faults;
mod fleet;
mod handover;
mod images;
mod keys;
mod lb;
mod life;
mod measured;
mod notices;
mod pebble;
mod pool;
mod refresh;
mod replace;
mod rig;
mod scaling;
mod seen;
mod size;
mod smtp;
mod steady;
mod targets;
mod tidy;
mod zero;
mod zones;
