//! What must hold for any text that is given to `evenkeel proxy` as its file.
//!
//! Owns that property. Must never know of the fuzzer.

use evenkeel::config::proxy_file::{self, BadFile};

/// A file is read, the same every time, or refused with a line that it has.
pub fn proxy_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match proxy_file::parse(text, 1) {
        Ok(file) => assert_eq!(proxy_file::parse(text, 1).ok().map(|again| again.routes), Some(file.routes)),
        Err(BadFile::Line { line, why }) => {
            assert!(line <= text.lines().count() + 1 && !why.is_empty(), "{line}: {why}")
        }
        Err(BadFile::Io(error)) => panic!("nothing was read from disk: {error}"),
    }
}
