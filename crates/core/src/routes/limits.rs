//! How much a load balancer takes at once, where that is less than the road can.
//!
//! Owns the shape; nothing stated means all that the road can take. Must never hold the road's own bounds: the road has.

use serde::{Deserialize, Serialize};

/// Limits of size and number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Requests at once on an HTTP/2 connection of a client, 1–128; 128 where nothing is stated.
    pub streams: Option<u8>,
    /// Bytes of a request's head, from its line to its empty line, 256–65,535; 65,535 where nothing is stated.
    pub max_header_bytes: Option<u16>,
    /// Fields of a request's head, 1–128; 128 where nothing is stated.
    pub max_header_fields: Option<u8>,
}
