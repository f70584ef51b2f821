//! The tongue: AWS's APIs on the wire, bytes to typed calls and typed answers to bytes, for server and client alike.
//!
//! Pure: no socket, no task, no clock (now is an argument), and nothing known of Evenkeel itself. Nothing that a peer
//! sends may panic here or cost more than a small multiple of its own size.
//!
//! A server goes [`verify`] → [`encoding::inflate`] → [`decode`] → (handler) → [`render()`] or [`render_error`]; a
//! client goes [`client::encode`] → (network) → [`client::parse`].
//!
//! Every API but EC2 may be called in every protocol (query, AWS JSON 1.0 and 1.1, RPC v2 CBOR); one struct is the input
//! in all of them. Which it is, and so the form of every answer, is decided once: [`form()`].
//!
//! # Adding an action
//! 1. Its types: a struct called like the action for the input and one for the output, in the API's folder ([`elb`],
//!    [`ec2`], [`sts`]), with fields named and ordered as in botocore's model of the API. An input's optional
//!    parameter is an `Option`, or a list with `#[serde(default)]`; a list is [`xml::Members`] in query APIs, `Vec` in
//!    EC2's inputs and [`xml::Items`] in its outputs. Structs of outputs carry `#[serde(default)]`, so that
//!    the client reads answers that lack a field.
//! 2. One row in the table of that API (`actions!` in its `mod.rs`).
//! 3. Its handler, in the house: the `match` on the API's `Call` does not compile until it is there.
//!
//! A new API is a folder with a table, and a variant of [`Api`] and [`Call`].

pub mod acm;
pub mod autoscaling;
pub mod blob;
pub mod client;
pub mod cloudwatch;
pub mod dispatch;
pub mod document;
pub mod ec2;
pub mod elb;
pub mod encoding;
pub mod error;
mod exception;
mod form;
pub mod http;
pub mod iam;
pub mod query;
mod render;
pub mod signature;
pub mod sigv2;
pub mod sigv4;
pub mod sns;
pub mod sts;
pub mod time;
pub mod xml;

pub use dispatch::{Action, Api, Call, Decoded, EachAction, Rejected, action_name, decode, each_action, form};
pub use error::{Dialect, Error, Fault};
pub use form::{Form, JsonVersion};
pub use http::{Request, Response};
pub use render::{render, render_error};
pub use signature::{Versions, verify};
pub use sigv4::{AuthError, Credentials, Identity};
pub use time::Time;
