//! The law of Evenkeel: what may be intended, what follows from it, and why.
//!
//! Owns the words of the domain ([`noun`]), the one write surface ([`change`]), the whole intended state ([`world`]),
//! what was last seen ([`sightings`]) and the pure decisions made from both: [`routes`], [`balance`], [`health`],
//! [`alarm`], [`lifecycle`], [`plan`], [`scaling`], [`rights`]. Must never do I/O, read a clock or roll dice: time and random ids are arguments.
//! Read [`change`] first, then [`world`].
#![forbid(unsafe_code)]

pub mod alarm;
pub mod balance;
pub mod change;
pub mod health;
pub mod lifecycle;
pub mod name;
pub mod noun;
pub mod plan;
pub mod refusal;
pub mod rights;
pub mod routes;
pub mod scaling;
pub mod sightings;
pub mod time;
pub mod world;
