//! How large a request's head may be, where its balancer allows less than the road can read.
//!
//! Owns the bound. Must never let it be above what [`crate::proto`] reads: there the list of fields and the width of spans end.

use evenkeel_core::routes::Limits;

use super::Session;
use crate::proto::RequestHead;
use crate::proto::field::FIELD_LIMIT;
use crate::proto::scan::HEAD_LIMIT;

/// What a head may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, its empty line included.
    bytes: u16,
    fields: u8,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: HEAD_LIMIT as u16, fields: FIELD_LIMIT as u8 }
    }
}

impl Bounds {
    /// What a balancer states, or else the most.
    #[must_use]
    pub fn of(said: &Limits) -> Self {
        let most = Self::default();
        let bytes = said.max_header_bytes.map_or(most.bytes, |bytes| bytes.min(most.bytes));
        let fields = said.max_header_fields.map_or(most.fields, |fields| fields.min(most.fields));
        Self { bytes, fields }
    }

    /// Whether a head of so many bytes is too long. An empty line before it does not count.
    fn are_passed(self, bytes: &[u8], len: usize) -> bool {
        let before = if bytes.first() == Some(&b'\r') { 2 } else { 0 };
        len > usize::from(self.bytes) + before
    }
}

impl Session {
    /// Sets how large heads may be, from the next request on.
    pub fn bound_by(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Whether a head that is not whole yet is too large already.
    pub(super) fn overflows(&self, bytes: &[u8]) -> bool {
        self.bounds.are_passed(bytes, bytes.len())
    }

    /// Whether a head is too large.
    pub(super) fn is_oversized(&self, bytes: &[u8], head: &RequestHead) -> bool {
        self.bounds.are_passed(bytes, head.len) || head.fields.count() > usize::from(self.bounds.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_above_what_can_be_read_is_allowed() {
        assert_eq!(Bounds::of(&Limits::default()), Bounds::default());
        assert_eq!(
            (usize::from(Bounds::default().bytes), usize::from(Bounds::default().fields)),
            (HEAD_LIMIT, FIELD_LIMIT)
        );
        let stated = Limits { max_header_bytes: Some(300), max_header_fields: Some(255), ..Limits::default() };
        assert_eq!(Bounds::of(&stated), Bounds { bytes: 300, fields: FIELD_LIMIT as u8 });
    }
}
