//! The access log: one record for each request (HTTP) or connection (TCP).
//!
//! Owns what a record holds ([`record`]), why a request failed in words ([`cause`]), how a record is written ([`aws`],
//! [`json`]), and the way from a worker to the disk ([`queue`], [`writer`]; [`spool`] for balancers that have a log of their own). Must never make a worker wait: a record for
//! which there is no room is dropped and counted. A road without a log pays one test of a flag for each request.
//!
//! Next: `record.rs` for what is known, then `io/tell.rs` for where it is learned.

pub mod aws;
pub mod cause;
pub(crate) mod files;
pub mod json;
pub(crate) mod queue;
pub mod record;
pub mod said;
pub mod spool;
pub(crate) mod teller;
pub mod text;
pub(crate) mod writer;

use std::path::PathBuf;

pub use record::{Kind, Record, Side};
pub use said::Said;

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The line of AWS's Classic Load Balancer access logs.
    Aws,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// As a setting has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Json => "json",
        }
    }

    /// From a setting.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Aws, Self::Json].into_iter().find(|format| format.as_str() == text)
    }
}

/// Where a log goes and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The file being written; older ones have `.1`, `.2` … after their name, `.1` the newest.
    pub path: PathBuf,
    /// How records are written.
    pub format: Format,
    /// Bytes after which a new file is begun; 0 for never.
    pub rotate_bytes: u64,
    /// Files kept beside the one being written.
    pub keep: u32,
}
