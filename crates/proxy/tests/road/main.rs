//! The road with real sockets: its workers between small real instances and real clients, all on loopback.
#![allow(missing_docs, clippy::unwrap_used)]

mod balance;
mod bodies;
mod change;
mod choice;
mod ejection;
mod failure;
mod framing;
mod grpc;
mod h2;
mod h2_frames;
mod h2_rig;
mod limits;
mod logged;
mod looked_at;
mod messages;
mod origin;
mod proxy_protocol;
mod queue;
mod rig;
mod spanned;
mod sticky;
mod tcp;
mod testssl;
mod tls;
mod tls_rig;
