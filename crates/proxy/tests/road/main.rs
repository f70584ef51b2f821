//! The road with real sockets: its workers between small real instances and real clients, all on loopback.
#![allow(missing_docs)]

mod balance;
mod bodies;
mod change;
mod failure;
mod limits;
mod messages;
mod origin;
mod rig;
mod tcp;
