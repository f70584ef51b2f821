//! HTTP/1 on the wire: heads to spans, bodies to pieces, and back.
//!
//! Owns the grammar and the framing policy. Must never do I/O, allocate per field, or let anything ambiguous pass:
//! what has two readings is refused (RFC 9112 §6.3, §11). Read `request.rs`, then `policy.rs`, then `guard.rs`.

pub mod body;
pub mod cookie;
pub mod emit;
pub mod field;
pub mod guard;
pub mod parent;
pub mod policy;
pub mod pp;
pub mod request;
pub mod response;
pub mod scan;
pub mod trace;
pub mod trailers;
pub mod upgrade;

#[cfg(test)]
mod corpus;

pub use body::{BodyReader, Framing, Piece};
pub use request::{Parsed, RequestHead};
pub use response::ResponseHead;
pub use scan::Scanner;
