//! The house.

pub mod cli;
