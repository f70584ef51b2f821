//! From the tree of parameters to values, through serde.
//!
//! A list is numbered children (from 1, gaps allowed); a name with nothing after `=` is an empty list or structure; where
//! a name has a value and children as well, a list takes the children and ignores the value (boto 2 sends both).

use std::collections::{BTreeMap, btree_map};

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::Error;

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub value: Option<&'a str>,
    pub children: BTreeMap<&'a str, Node<'a>>,
}

impl Node<'_> {
    pub fn to<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        T::deserialize(At { node: self, path: path.to_owned() }).map_err(|error| error.below(path))
    }
}

/// A node, and the full name that leads to it.
struct At<'n> {
    node: &'n Node<'n>,
    path: String,
}

impl<'n> At<'n> {
    /// boto 2 writes `InstanceId.1` even where an action takes one (GetConsoleOutput): a list of one is its element.
    fn scalar(&self, wanted: &str) -> Result<&'n str, Error> {
        let only = || match self.node.children.get("1") {
            Some(first) if self.node.children.len() == 1 && first.children.is_empty() => first.value,
            _ => None,
        };
        self.node.value.or_else(only).ok_or_else(|| Error::invalid(&self.path, None, wanted))
    }

    fn parse<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, Error> {
        let text = self.scalar(wanted)?;
        text.parse().map_err(|_| Error::invalid(&self.path, Some(text), wanted))
    }

    /// A value where children are wanted is refused rather than dropped: it may be an id that the caller meant.
    fn no_value(&self, wanted: &str) -> Result<(), Error> {
        match self.node.value {
            Some(text) if !text.is_empty() && self.node.children.is_empty() => {
                Err(Error::invalid(&self.path, Some(text), wanted))
            }
            _ => Ok(()),
        }
    }

    fn elements(&self) -> Result<Vec<(&'n str, &'n Node<'n>)>, Error> {
        let mut found = Vec::with_capacity(self.node.children.len());
        for (name, node) in &self.node.children {
            let index = name.parse::<u32>().ok().filter(|index| *index > 0);
            let Some(index) = index else {
                let wanted = "Elements of a list are numbered from 1.";
                return Err(Error::invalid(&join(&self.path, name), node.value, wanted));
            };
            found.push((index, *name, node));
        }
        found.sort_by_key(|(index, _, _)| *index);
        Ok(found.into_iter().map(|(_, name, node)| (name, node)).collect())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

macro_rules! number {
    ($($method:ident $visit:ident $wanted:literal),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.parse($wanted)?)
        })*
    };
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.children.is_empty() { self.deserialize_str(visitor) } else { self.deserialize_map(visitor) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        const WANTED: &str = "Must be true or false.";
        let text = self.scalar(WANTED)?;
        match text {
            "1" => visitor.visit_bool(true),
            "0" => visitor.visit_bool(false),
            _ if text.eq_ignore_ascii_case("true") => visitor.visit_bool(true),
            _ if text.eq_ignore_ascii_case("false") => visitor.visit_bool(false),
            _ => Err(Error::invalid(&self.path, Some(text), WANTED)),
        }
    }

    number! {
        deserialize_i8 visit_i8 "Must be an integer.",
        deserialize_i16 visit_i16 "Must be an integer.",
        deserialize_i32 visit_i32 "Must be an integer.",
        deserialize_i64 visit_i64 "Must be an integer.",
        deserialize_u8 visit_u8 "Must be an integer.",
        deserialize_u16 visit_u16 "Must be an integer.",
        deserialize_u32 visit_u32 "Must be an integer.",
        deserialize_u64 visit_u64 "Must be an integer.",
        deserialize_f32 visit_f32 "Must be a number.",
        deserialize_f64 visit_f64 "Must be a number.",
        deserialize_char visit_char "Must be one character.",
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.scalar("Must be a single value.")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(self.scalar("Must be a single value.")?.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.no_value("Must be a list: elements are numbered from 1.")?;
        let elements = self.elements()?.into_iter();
        visitor.visit_seq(Elements { path: &self.path, elements })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.no_value("Must be a structure or a list, not a single value.")?;
        let fields = Fields { path: &self.path, fields: self.node.children.iter(), next: None };
        visitor.visit_map(fields).map_err(|error| error.below(&self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: StringDeserializer<Error> = self.scalar("Must be a single value.")?.to_owned().into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Fields<'p, 'n> {
    path: &'p str,
    fields: btree_map::Iter<'n, &'n str, Node<'n>>,
    next: Option<(&'n str, &'n Node<'n>)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next = self.fields.next().map(|(name, node)| (*name, node));
        match self.next {
            None => Ok(None),
            Some((name, _)) => {
                let name: StringDeserializer<Error> = name.to_owned().into_deserializer();
                seed.deserialize(name).map(Some)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((name, node)) = self.next.take() else { return Err(Error::missing(self.path)) };
        child(seed, self.path, name, node)
    }
}

struct Elements<'p, 'n> {
    path: &'p str,
    elements: std::vec::IntoIter<(&'n str, &'n Node<'n>)>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((name, node)) = self.elements.next() else { return Ok(None) };
        child(seed, self.path, name, node).map(Some)
    }
}

fn child<'de, S: DeserializeSeed<'de>>(seed: S, path: &str, name: &str, node: &Node<'_>) -> Result<S::Value, Error> {
    let path = join(path, name);
    seed.deserialize(At { node, path: path.clone() })
        .map_err(|error| if node.children.is_empty() { error.with_value(node.value) } else { error })
        .map_err(|error| error.below(&path))
}
