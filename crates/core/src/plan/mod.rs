//! Plans: what is to be done next, from what is intended and what is seen.
//!
//! Owns the pure deciders of the house's loops: [`instances`] (what a driver shall do) and [`expiry`] (what intent
//! lets go of with time). Must never carry anything out.

pub mod expiry;
pub mod instances;

pub use instances::{Condition, Sight, Step};
