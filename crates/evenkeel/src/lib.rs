//! The house.

pub mod drivers;
pub mod images;
