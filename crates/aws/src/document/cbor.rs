//! Smithy RPC v2 CBOR: documents as CBOR (RFC 8949), of definite and indefinite length alike.
//!
//! Nothing is set aside for a length that is claimed: values are taken one by one, until they end or the input does.
//! Next: [`super::de`].

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;

use minicbor::data::{IanaTag, Type};
use minicbor::{Decoder, Encoder};

use super::{Document, Room, twice};
use crate::query::Error;
use crate::time::Time;

pub(super) fn read(body: &[u8]) -> Result<Document, Error> {
    if body.is_empty() {
        return Ok(Document::Map(BTreeMap::new()));
    }
    let nodes = Cell::new(0);
    let mut source = Decoder::new(body);
    let document = value(&mut source, Room::new(&nodes)).map_err(Error::malformed)?;
    if source.position() == body.len() {
        Ok(document)
    } else {
        Err(Error::malformed("The body goes on after its end."))
    }
}

fn broken(error: impl Display) -> String {
    format!("The body is not CBOR: {error}")
}

fn value(source: &mut Decoder<'_>, room: Room<'_>) -> Result<Document, String> {
    room.take()?;
    Ok(match source.datatype().map_err(broken)? {
        Type::Null => {
            source.null().map_err(broken)?;
            Document::Null
        }
        Type::Undefined => {
            source.undefined().map_err(broken)?;
            Document::Null
        }
        Type::Bool => Document::Bool(source.bool().map_err(broken)?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let number = i128::from(source.int().map_err(broken)?);
            #[allow(clippy::cast_precision_loss, reason = "what no i64 holds is no integer of any API here")]
            i64::try_from(number).map_or(Document::Float(number as f64), Document::Int)
        }
        Type::F16 => Document::Float(half(source)?),
        Type::F32 => Document::Float(f64::from(source.f32().map_err(broken)?)),
        Type::F64 => Document::Float(source.f64().map_err(broken)?),
        Type::Bytes | Type::BytesIndef => {
            let parts = source.bytes_iter().map_err(broken)?;
            Document::Bytes(parts.collect::<Result<Vec<_>, _>>().map_err(broken)?.concat())
        }
        Type::String | Type::StringIndef => Document::Text(text(source)?),
        Type::Array | Type::ArrayIndef => {
            let room = room.below()?;
            let mut list = Vec::new();
            let count = source.array().map_err(broken)?;
            while more(source, count, list.len())? {
                list.push(value(source, room)?);
            }
            Document::List(list)
        }
        Type::Map | Type::MapIndef => {
            let room = room.below()?;
            let mut map = BTreeMap::new();
            let count = source.map().map_err(broken)?;
            while more(source, count, map.len())? {
                let name = text(source)?;
                let value = value(source, room)?;
                if map.contains_key(name.as_str()) {
                    return Err(twice(&name));
                }
                map.insert(Cow::Owned(name), value);
            }
            Document::Map(map)
        }
        Type::Tag => {
            let tag = source.tag().map_err(broken)?;
            if tag != IanaTag::Timestamp.tag() {
                return Err(format!("The body has a value with tag {}, and only 1 has a meaning.", tag.as_u64()));
            }
            let inside = value(source, room.below()?)?;
            Document::Time(seconds(&inside).ok_or("A time is a number of seconds.")?)
        }
        Type::Simple | Type::Break | Type::Unknown(_) => return Err(broken("a value of an unknown kind")),
    })
}

/// A number of 16 bits (IEEE 754 binary16).
fn half(source: &mut Decoder<'_>) -> Result<f64, String> {
    let at = source.position() + 1;
    let Some(&[high, low]) = source.input().get(at..at + 2) else { return Err(broken("it ends within a number")) };
    source.set_position(at + 2);
    let bits = u16::from_be_bytes([high, low]);
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    Ok(if bits >> 15 == 0 { size } else { -size })
}

fn text(source: &mut Decoder<'_>) -> Result<String, String> {
    match source.datatype().map_err(broken)? {
        Type::String | Type::StringIndef => {
            let parts = source.str_iter().map_err(broken)?;
            Ok(parts.collect::<Result<Vec<_>, _>>().map_err(broken)?.concat())
        }
        _ => Err(broken("a name that is no text")),
    }
}

/// Whether a list or structure goes on; takes in the break at the end of one of indefinite length.
fn more(source: &mut Decoder<'_>, count: Option<u64>, read: usize) -> Result<bool, String> {
    match count {
        Some(count) => Ok((read as u64) < count),
        None if source.datatype().map_err(broken)? == Type::Break => {
            source.set_position(source.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

/// A number of seconds since the epoch, to the millisecond; `None` where it is none that [`Time`] holds.
#[allow(clippy::cast_possible_truncation, reason = "checked to be within bounds")]
pub(super) fn seconds(document: &Document) -> Option<Time> {
    match document {
        Document::Int(seconds) => seconds.checked_mul(1000).map(Time),
        Document::Float(seconds) => {
            let millis = (seconds * 1000.0).round();
            (millis.abs() < 9e18).then_some(Time(millis as i64))
        }
        _ => None,
    }
}

pub(super) fn write(document: &Document) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    // Writing to memory cannot fail.
    let _ = put(document, &mut out);
    out.into_writer()
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

#[allow(clippy::cast_precision_loss, reason = "milliseconds of any real time are exact in a double")]
fn put(document: &Document, out: &mut Encoder<Vec<u8>>) -> Written {
    match document {
        Document::Null => out.null()?,
        Document::Bool(value) => out.bool(*value)?,
        Document::Int(value) => out.i64(*value)?,
        Document::Float(value) => out.f64(*value)?,
        Document::Text(text) => out.str(text)?,
        Document::Bytes(bytes) => out.bytes(bytes)?,
        Document::Time(time) => {
            let out = out.tag(IanaTag::Timestamp)?;
            if time.0 % 1000 == 0 { out.i64(time.0 / 1000)? } else { out.f64(time.0 as f64 / 1000.0)? }
        }
        Document::List(list) => {
            out.array(list.len() as u64)?;
            return list.iter().try_for_each(|element| put(element, out));
        }
        Document::Map(map) => {
            out.map(map.len() as u64)?;
            return map.iter().try_for_each(|(name, value)| {
                out.str(name)?;
                put(value, out)
            });
        }
    };
    Ok(())
}
