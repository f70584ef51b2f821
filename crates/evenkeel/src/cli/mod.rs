//! The command line: one file a command.
//!
//! Owns arguments, output and exit codes. Must never reach past an API or a library's front door.

pub mod proxy;
