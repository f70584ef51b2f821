//! Plans: what is to be done next, from what is intended and what is seen.
//!
//! Owns the pure deciders of the house's loops: [`instances`] (what a driver shall do), [`expiry`] (what intent
//! lets go of with time), [`groups`] (what auto scaling groups do, and [`zero`] when they
//! are woken and emptied), [`certificates`] (what is to be warned of) and [`requests`] (which are to be ordered and
//! renewed). Must never carry anything out.

pub mod certificates;
pub mod expiry;
pub mod groups;
pub mod instances;
pub mod requests;
pub mod zero;

pub use instances::{Condition, Sight, Step};
