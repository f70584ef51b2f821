//! The query protocol's parameters: `Listeners.member.1.Protocol=http`, `InstanceId.1=i-1`, to and from typed inputs.
//!
//! Knows no action and no rule. Bounded: at most [`MAX_PARAMS`] parameters, names at most [`MAX_DEPTH`] deep. Next:
//! [`params`] (text), [`de`] (to values), [`ser`] (from values), [`error`].

mod de;
mod error;
mod params;
mod ser;

pub use error::Error;
pub(crate) use params::RESERVED;
pub use params::{MAX_DEPTH, MAX_PARAMS, Params, Tree};
pub use ser::to_params;
