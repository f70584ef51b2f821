//! Values as AWS JSON and Smithy RPC v2 CBOR carry them: one tree for both, to and from the same typed inputs and outputs
//! as the query protocol's.
//!
//! Knows no action and no rule. Bounded: at most [`MAX_DEPTH`] levels and [`MAX_NODES`] values, whatever lengths a peer
//! claims. Next: `json` and `cbor` (bytes), `de` (to values), `ser` (from values).

mod cbor;
mod de;
mod json;
mod ser;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::query::Error;
use crate::time::Time;

/// Most levels of lists and structures; the deepest that AWS uses is 8.
pub const MAX_DEPTH: usize = 32;

/// Most values in one document, all levels together: a value costs more memory than it takes on the wire.
pub const MAX_NODES: usize = 100_000;

/// A value. What is `null` on the wire is absent in structures.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Nothing: only in lists, where AWS has none.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text. In JSON also bytes, as base64.
    Text(String),
    /// Bytes: only in CBOR, and on the way out.
    Bytes(Vec<u8>),
    /// A point in time: only in CBOR, and on the way out. JSON has seconds since the epoch.
    Time(Time),
    /// A list.
    List(Vec<Document>),
    /// A structure: each name once.
    Map(BTreeMap<Cow<'static, str>, Document>),
}

impl Document {
    /// Reads the body of an AWS JSON request; an empty one is an empty structure.
    ///
    /// # Errors
    /// What is no structure in JSON, a name that comes twice, more than [`MAX_DEPTH`] levels or [`MAX_NODES`] values.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        json::read(body)?.structure()
    }

    /// Reads the body of an RPC v2 CBOR request; an empty one is an empty structure.
    ///
    /// # Errors
    /// As [`Self::from_json`], and a tag other than 1 (a time).
    pub fn from_cbor(body: &[u8]) -> Result<Self, Error> {
        cbor::read(body)?.structure()
    }

    /// As JSON: times are seconds since the epoch, bytes are base64.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }

    /// As CBOR: times have tag 1.
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::write(self)
    }

    /// The document of a typed value.
    ///
    /// # Errors
    /// Only for types that no input or output uses: maps, tuples, enums with content.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        value.serialize(ser::To)
    }

    /// Reads a typed value. Unknown fields are ignored.
    ///
    /// # Errors
    /// The first field that is missing or of another type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(de::At::root(self)).map_err(|error| error.below(""))
    }

    fn structure(self) -> Result<Self, Error> {
        match self {
            Self::Map(_) => Ok(self),
            _ => Err(Error::malformed("The body must be a structure.")),
        }
    }
}

/// What is left of the limits while a document is read.
#[derive(Clone, Copy)]
struct Room<'a> {
    nodes: &'a std::cell::Cell<usize>,
    levels: usize,
}

impl<'a> Room<'a> {
    fn new(nodes: &'a std::cell::Cell<usize>) -> Self {
        nodes.set(MAX_NODES);
        Self { nodes, levels: MAX_DEPTH }
    }

    /// Room for one value more.
    fn take(self) -> Result<(), String> {
        let left = self.nodes.get().checked_sub(1);
        self.nodes.set(left.ok_or_else(|| format!("The body has more than {MAX_NODES} values."))?);
        Ok(())
    }

    /// Room for what is inside of it.
    fn below(self) -> Result<Self, String> {
        let levels = self.levels.checked_sub(1);
        Ok(Self { levels: levels.ok_or_else(|| format!("The body has more than {MAX_DEPTH} levels."))?, ..self })
    }
}

fn twice(name: &str) -> String {
    format!("The name '{}' comes twice.", name.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests;
