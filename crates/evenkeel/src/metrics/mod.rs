//! Metrics: the store, what is read out of it, and expressions over that.
//!
//! Owns every file below `metrics/` in the data directory. Must never know who measures or who asks: namespaces, names and
//! dimensions are text to it. A sample goes [`handle`] → [`store`] → `journal` and memory → blocks; a question goes to
//! [`read`] and comes back as [`bucket`]s, of which [`statistic`] makes numbers; [`query`] does all that for several at once.

mod block;
pub mod bucket;
pub mod catalog;
mod codec;
mod frames;
pub mod handle;
mod head;
pub mod history;
pub mod identity;
mod jobs;
pub mod math;
pub mod query;
pub mod read;
pub mod readings;
mod sketch;
pub mod statistic;
pub mod store;
mod tally;
pub mod watched;

pub use bucket::Bucket;
pub use handle::{Metrics, Overrun};
pub use identity::{Metric, Unit};
pub use read::{Filter, Range, Reader};
pub use statistic::Statistic;
pub use store::{Limits, Sample, Store};
pub use tally::Counts;

#[cfg(test)]
mod store_tests;
