//! Files that people write, read into what the rest of the house works with.
//!
//! Owns their grammar and the words for what is wrong in them. Must never act on what was read.

pub mod daemon_file;
pub mod proxy_file;

pub use proxy_file::BadFile;

/// The share of requests that have a span where nothing says, in a million.
pub const SPANS_SHARE: u32 = 10_000;

/// A share of requests, 0 to 1, in a million; `None` for what is no such share.
#[must_use]
pub fn per_million(share: f64) -> Option<u32> {
    (0.0..=1.0).contains(&share).then_some((share * 1e6).round() as u32)
}
