//! What the program in a container and the house outside agree on: where it is, how commands are marked, and how
//! connections travel over one stream ([`frames`]).
//!
//! The program itself (`main.rs`) is compiled without any dependency and linked statically by the house's `build.rs`, so
//! that it runs in any image, an empty one included. Must never use anything but std.

pub mod frames;

/// The folder in every container that is ours and not the image's.
pub const FOLDER: &str = ".evenkeel";
/// The program in every container.
pub const PROGRAM: &str = "/.evenkeel/init";
/// The variable by which a command and all that descends from it are found again.
pub const TAG: &str = "EVENKEEL_COMMAND";
/// What a command's keeper says before its exit status, on a line of standard error.
pub const ENDED: &str = "exit ";
/// Connections at once, all doors of an instance together; further ones are closed at once.
pub const CONNECTIONS: usize = 256;
/// The link-local address at which an instance finds its metadata, as on EC2.
pub const METADATA: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 169, 254);
