//! What the operating system must be asked for below std: sessions, process identities, control groups, namespaces, links, limits, memory, whole lines.
//!
//! The only room where `unsafe` may stand, each with a plea; must never know instances, images or states, only
//! processes, marks and folders. Read [`process`] first.

pub mod cgroup;
pub mod files;
pub mod memory;
pub mod namespaces;
pub mod netlink;
pub mod process;
mod say;
pub mod spawn;
pub mod usage;

pub use say::say;
