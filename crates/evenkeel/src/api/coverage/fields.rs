//! What an input reads: the names of its fields, as its own `Deserialize` asks for them.
//!
//! Walks a type as a document would be read into it, lists as their elements, and notes every leaf by its dotted name. Must
//! never know a type. Next: [`super`].

use std::cell::RefCell;

use serde::de::value::{BorrowedStrDeserializer, Error, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// Dotted names of all leaves, in the order of the type's fields.
pub(super) fn of<T: DeserializeOwned>() -> Vec<String> {
    let found = RefCell::default();
    let at = At { path: String::new(), found: &found };
    T::deserialize(at).unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<T>()));
    found.into_inner()
}

#[derive(Clone)]
struct At<'f> {
    path: String,
    found: &'f RefCell<Vec<String>>,
}

impl At<'_> {
    fn is_leaf(&self) {
        self.found.borrow_mut().push(self.path.clone());
    }
}

macro_rules! leaves {
    ($($method:ident => $visit:ident($($value:expr)?)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.is_leaf();
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Error;

    leaves! {
        deserialize_any => visit_str(""),
        deserialize_bool => visit_bool(true),
        deserialize_i8 => visit_i8(1),
        deserialize_i16 => visit_i16(1),
        deserialize_i32 => visit_i32(1),
        deserialize_i64 => visit_i64(1),
        deserialize_u8 => visit_u8(1),
        deserialize_u16 => visit_u16(1),
        deserialize_u32 => visit_u32(1),
        deserialize_u64 => visit_u64(1),
        deserialize_f32 => visit_f32(1.0),
        deserialize_f64 => visit_f64(1.0),
        deserialize_char => visit_char('x'),
        deserialize_str => visit_str(""),
        deserialize_string => visit_str(""),
        deserialize_bytes => visit_bytes(&[]),
        deserialize_byte_buf => visit_bytes(&[]),
        deserialize_unit => visit_unit(),
        deserialize_ignored_any => visit_unit(),
    }

    /// As documents are: lists are lists, bytes are bytes.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    /// The only one on the wire is a time.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(One(Some(self)))
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
        self.is_leaf();
        visitor.visit_map(Fields { names: [].iter(), name: "", of: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { names: names.iter(), name: "", of: self })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.is_leaf();
        let first: StrDeserializer<'_, Error> = variants[0].into_deserializer();
        visitor.visit_enum(first)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }
}

struct Fields<'f> {
    names: std::slice::Iter<'static, &'static str>,
    name: &'static str,
    of: At<'f>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.names.next() else { return Ok(None) };
        self.name = name;
        seed.deserialize(BorrowedStrDeserializer::<Error>::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let above = if self.of.path.is_empty() { String::new() } else { format!("{}.", self.of.path) };
        seed.deserialize(At { path: format!("{above}{}", self.name), found: self.of.found })
    }
}

/// A list, of which one element tells all.
struct One<'f>(Option<At<'f>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|at| seed.deserialize(at)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_aws::{ec2, elb};

    use super::*;

    #[test]
    fn nested_fields_and_elements_of_lists_are_dotted() {
        let attributes = of::<elb::ModifyLoadBalancerAttributes>();
        for name in ["LoadBalancerName", "LoadBalancerAttributes.AccessLog.S3BucketName"] {
            assert!(attributes.iter().any(|read| read == name), "{attributes:?}");
        }
        assert_eq!(of::<ec2::DescribeRegions>(), ["RegionName", "Filter.Name", "Filter.Value", "AllRegions", "DryRun"]);
    }
}
