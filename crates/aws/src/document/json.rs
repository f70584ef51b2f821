//! AWS JSON: documents as JSON text.
//!
//! Reads through serde_json, whose own limit of levels is above ours. Next: [`super::de`].

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use super::{Document, Room, twice};
use crate::query::Error;

pub(super) fn read(body: &[u8]) -> Result<Document, Error> {
    if body.trim_ascii().is_empty() {
        return Ok(Document::Map(BTreeMap::new()));
    }
    let nodes = Cell::new(0);
    let mut source = serde_json::Deserializer::from_slice(body);
    let document = Room::new(&nodes).deserialize(&mut source).and_then(|document| source.end().map(|()| document));
    document.map_err(|error| Error::malformed(format!("The body is not JSON: {error}")))
}

pub(super) fn write(document: &Document) -> Vec<u8> {
    // Writing to memory cannot fail, nor can a document: its names are texts.
    serde_json::to_vec(&Json(document)).unwrap_or_default()
}

impl<'de> DeserializeSeed<'de> for Room<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        self.take().map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Room<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Int(value))
    }

    #[allow(clippy::cast_precision_loss, reason = "what no i64 holds is no integer of any API here")]
    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(i64::try_from(value).map_or(Document::Float(value as f64), Document::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Document, E> {
        Ok(Document::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Document, A::Error> {
        let room = self.below().map_err(A::Error::custom)?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(room)? {
            list.push(element);
        }
        Ok(Document::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Document, A::Error> {
        let room = self.below().map_err(A::Error::custom)?;
        let mut map = BTreeMap::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(room)?;
            if map.contains_key(name.as_str()) {
                return Err(A::Error::custom(twice(&name)));
            }
            map.insert(Cow::Owned(name), value);
        }
        Ok(Document::Map(map))
    }
}

struct Json<'a>(&'a Document);

impl Serialize for Json<'_> {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of any real time are exact in a double")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Document::Null => serializer.serialize_unit(),
            Document::Bool(value) => serializer.serialize_bool(*value),
            Document::Int(value) => serializer.serialize_i64(*value),
            // JSON has no numbers for these; AWS writes their names.
            Document::Float(value) if value.is_nan() => serializer.serialize_str("NaN"),
            Document::Float(value) if value.is_infinite() => {
                serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Document::Float(value) => serializer.serialize_f64(*value),
            Document::Text(text) => serializer.serialize_str(text),
            Document::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Document::Time(time) if time.0 % 1000 == 0 => serializer.serialize_i64(time.0 / 1000),
            Document::Time(time) => serializer.serialize_f64(time.0 as f64 / 1000.0),
            Document::List(list) => {
                let mut elements = serializer.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|element| elements.serialize_element(&Json(element)))?;
                elements.end()
            }
            Document::Map(map) => {
                let mut fields = serializer.serialize_map(Some(map.len()))?;
                map.iter().try_for_each(|(name, value)| fields.serialize_entry(name, &Json(value)))?;
                fields.end()
            }
        }
    }
}
