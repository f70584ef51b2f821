//! A list of header fields in one piece of memory.
//!
//! Owns its limit: what is over it is counted and not kept. Must never interpret a field.

/// Bytes of names and values, and 32 for each field (RFC 9113 §6.5.2), that a list may have; the road announces it.
pub const LIST_LIMIT: usize = 64 * 1024;
/// Bytes whose memory is kept for the next list.
const KEPT: usize = 4096;
/// What each field counts beside its bytes.
const FIELD_COST: usize = 32;

/// Header fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    bytes: Vec<u8>,
    /// Where each field's name and value end.
    ends: Vec<(u32, u32)>,
    size: usize,
}

impl List {
    /// Makes room for the next list.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.size = 0;
    }

    /// Gives memory back that a long list took.
    pub fn trim(&mut self) {
        if self.bytes.capacity() > KEPT {
            *self = Self::default();
        }
    }

    /// Appends a field, unless that is too much.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + FIELD_COST);
        if self.is_too_long() {
            return;
        }
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len() as u32));
    }

    /// Whether more was pushed than [`LIST_LIMIT`] allows: then fields are missing.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.size > LIST_LIMIT
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = 0;
        self.ends.iter().map(move |(name_end, end)| {
            let (name, value) = (&self.bytes[from..*name_end as usize], &self.bytes[*name_end as usize..*end as usize]);
            from = *end as usize;
            (name, value)
        })
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for List {
    fn from_iter<T: IntoIterator<Item = (&'a [u8], &'a [u8])>>(fields: T) -> Self {
        let mut list = Self::default();
        fields.into_iter().for_each(|(name, value)| list.push(name, value));
        list
    }
}
