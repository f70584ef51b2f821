//! Parameters as text: split, percent-decoded, counted; and the tree that their dotted names make.
//!
//! Never reads more than the stated limits. Next: [`super::de`].

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::Error;
use super::de::Node;

/// Most parameters a request may have, query string and body together.
pub const MAX_PARAMS: usize = 10_000;

/// Most parts a parameter's name may have; the deepest that AWS uses is 8.
pub const MAX_DEPTH: usize = 16;

/// Everything but RFC 3986's unreserved characters, as SigV4 wants it.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Named texts in the order sent; a name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Adds what a query string or form body holds. What was read before an error stays.
    ///
    /// # Errors
    /// More than [`MAX_PARAMS`] in total, or text that is not UTF-8.
    pub fn read(&mut self, text: &[u8]) -> Result<(), Error> {
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if self.0.len() == MAX_PARAMS {
                return Err(Error::malformed(format!("The request has more than {MAX_PARAMS} parameters.")));
            }
            let split = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let value = pair.get(split + 1..).unwrap_or_default();
            self.0.push((decode(&pair[..split])?, decode(value)?));
        }
        Ok(())
    }

    /// Adds one parameter at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value under `name`.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text of a form body, percent-encoded as SigV4 wants it.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.iter() {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(utf8_percent_encode(name, RESERVED));
            text.push('=');
            text.extend(utf8_percent_encode(value, RESERVED));
        }
        text
    }

    /// The same parameters by the parts of their names.
    ///
    /// # Errors
    /// A name with more than [`MAX_DEPTH`] parts.
    pub fn tree(&self) -> Result<Tree<'_>, Error> {
        let mut root = Node::default();
        for (name, value) in self.iter() {
            if name.split('.').count() > MAX_DEPTH {
                let wanted = format!("Names have at most {MAX_DEPTH} parts.");
                return Err(Error::invalid(name, Some(value), &wanted));
            }
            let leaf = name.split('.').fold(&mut root, |node, part| node.children.entry(part).or_default());
            leaf.value.get_or_insert(value);
        }
        Ok(Tree(root))
    }
}

/// Parameters by the parts of their names, ready to become a value.
#[derive(Debug)]
pub struct Tree<'a>(Node<'a>);

impl Default for Tree<'_> {
    fn default() -> Self {
        Self(Node { value: None, children: BTreeMap::new() })
    }
}

impl Tree<'_> {
    /// Reads a typed input. Unknown parameters are ignored.
    ///
    /// # Errors
    /// The first parameter that is missing or cannot be read.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.0.to("")
    }
}

/// `+` is a space; a `%` that starts no escape stands for itself.
fn decode(text: &[u8]) -> Result<String, Error> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map_err(|_| Error::malformed("The parameters are not valid UTF-8."))
}
