//! Files that people write, read into what the rest of the house works with.
//!
//! Owns their grammar and the words for what is wrong in them. Must never act on what was read.

pub mod proxy_file;
