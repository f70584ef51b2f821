//! The house.

pub mod agent;
pub mod drivers;
pub mod images;
pub mod sample;
pub mod sys;
