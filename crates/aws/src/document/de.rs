//! From documents to typed values, through serde.
//!
//! Types are taken as they are: no number is read out of a text, as AWS reads none. Times are numbers of seconds (or what
//! CBOR's tag made of one), bytes are byte strings or base64.

use std::borrow::Cow;
use std::collections::btree_map;
use std::fmt;

use base64::Engine as _;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::{Document, cbor};
use crate::blob;
use crate::query::Error;
use crate::time;

/// A value, and the way to it.
pub(super) struct At<'s, 'd> {
    document: &'d Document,
    step: Step<'s>,
}

/// The way to a value, as the query protocol would name it: `Listeners.member.1.Protocol`.
#[derive(Clone, Copy)]
enum Step<'s> {
    Root,
    Field(&'s Step<'s>, &'s str),
    Element(&'s Step<'s>, usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Element(parent, index) => write!(f, "{parent}.member.{}", index + 1),
        }
    }
}

impl<'d> At<'_, 'd> {
    pub fn root(document: &'d Document) -> Self {
        Self { document, step: Step::Root }
    }

    fn unfit<T>(&self, wanted: &str) -> Result<T, Error> {
        Err(Error::unfit(&self.step.to_string(), wanted))
    }

    fn text(&self) -> Result<&'d str, Error> {
        match self.document {
            Document::Text(text) => Ok(text),
            _ => self.unfit("must be a text"),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and within bounds")]
    fn integer(&self) -> Result<i64, Error> {
        // Beyond 2^53 a double no longer tells one integer from the next.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.document {
            Document::Int(value) => Ok(*value),
            Document::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => Ok(*value as i64),
            _ => self.unfit("must be an integer"),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a double was asked for")]
    fn float(&self) -> Result<f64, Error> {
        match self.document {
            Document::Int(value) => Ok(*value as f64),
            Document::Float(value) => Ok(*value),
            Document::Text(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
                Ok(text.parse().unwrap_or(f64::NAN))
            }
            _ => self.unfit("must be a number"),
        }
    }

    fn time(&self) -> Result<i64, Error> {
        match self.document {
            Document::Time(time) => Ok(time.0),
            Document::Text(text) => match text.parse::<time::Time>() {
                Ok(time) => Ok(time.0),
                Err(_) => self.unfit("must be a time"),
            },
            document => match cbor::seconds(document) {
                Some(time) => Ok(time.0),
                None => self.unfit("must be a time, in seconds since the epoch"),
            },
        }
    }
}

macro_rules! integer {
    ($($method:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_i64(self.integer()?)
        })*
    };
}

impl<'de> Deserializer<'de> for At<'_, 'de> {
    type Error = Error;

    integer! {
        deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_u8, deserialize_u16,
        deserialize_u32, deserialize_u64,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document {
            Document::Null => visitor.visit_unit(),
            Document::Bool(_) => self.deserialize_bool(visitor),
            Document::Int(_) => self.deserialize_i64(visitor),
            Document::Float(_) => self.deserialize_f64(visitor),
            Document::Text(_) => self.deserialize_str(visitor),
            Document::Bytes(_) => self.deserialize_bytes(visitor),
            Document::Time(time) => visitor.visit_i64(time.0),
            Document::List(_) => self.deserialize_seq(visitor),
            Document::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document {
            Document::Bool(value) => visitor.visit_bool(*value),
            _ => self.unfit("must be true or false"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document {
            Document::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Document::Text(text) => match blob::ENGINE.decode(text) {
                Ok(bytes) => visitor.visit_byte_buf(bytes),
                Err(_) => self.unfit("must be base64"),
            },
            _ => self.unfit("must be bytes"),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document {
            Document::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == time::MILLIS { visitor.visit_i64(self.time()?) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.document {
            Document::List(list) => visitor.visit_seq(Elements { list: list.iter(), index: 0, step: &self.step }),
            _ => self.unfit("must be a list"),
        }
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
        match self.document {
            Document::Map(map) => visitor
                .visit_map(Fields { map: map.iter(), next: None, step: &self.step })
                .map_err(|error| error.below(&self.step.to_string())),
            _ => self.unfit("must be a structure"),
        }
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
        let text: StrDeserializer<'_, Error> = self.text()?.into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Fields<'s, 'd> {
    map: btree_map::Iter<'d, Cow<'static, str>, Document>,
    next: Option<(&'d str, &'d Document)>,
    step: &'s Step<'s>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let present = self.map.find(|(_, value)| **value != Document::Null);
        self.next = present.map(|(name, value)| (name.as_ref(), value));
        let Some((name, _)) = self.next else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::<Error>::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((name, document)) = self.next.take() else { return Err(Error::missing(&self.step.to_string())) };
        child(seed, document, Step::Field(self.step, name))
    }
}

struct Elements<'s, 'd> {
    list: std::slice::Iter<'d, Document>,
    index: usize,
    step: &'s Step<'s>,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(document) = self.list.next() else { return Ok(None) };
        let step = Step::Element(self.step, self.index);
        self.index += 1;
        child(seed, document, step).map(Some)
    }
}

fn child<'de, S: DeserializeSeed<'de>>(seed: S, document: &'de Document, step: Step<'_>) -> Result<S::Value, Error> {
    let at = At { document, step };
    seed.deserialize(at).map_err(|error| {
        let error = match document {
            Document::Text(text) => error.with_value(Some(text)),
            _ => error,
        };
        error.below(&step.to_string())
    })
}
