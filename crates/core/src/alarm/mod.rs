//! Alarms: when one is judged, on what, how, and in which words.
//!
//! Owns AWS's rules of evaluation: M of N datapoints, an evaluation range that is longer than N, missing data, percentiles of few
//! samples. Datapoints come in as plain values and what follows goes out as a plain [`Finding`]. Must never know where
//! datapoints are kept, nor what is done about an alarm. Read [`judge`](mod@judge) first, then [`window`] and [`reason`].
//! Source: CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".

pub mod judge;
pub mod reason;
pub mod window;

pub use judge::{Datapoint, Finding, Rule, judge};
pub use window::Window;
