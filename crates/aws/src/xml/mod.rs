//! XML as AWS writes it: envelopes of answers and errors, and reading them back.
//!
//! Outputs are plain serde structs, used by the server to write and by the client to read. Next: [`mod@write`] (values to
//! elements), [`list`] (the two kinds of list), [`entries`] (the two kinds of map).

pub mod entries;
pub mod list;
pub mod write;

pub use entries::{Entries, NamedEntries};
pub use list::{Items, Members};

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Dialect, Error, Fault};
use write::WriteError;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The document that answers `action` with `output`.
///
/// # Errors
/// Only for types that no output uses: maps, tuples, enums with content, bytes.
pub fn answer<T: Serialize>(
    action: &str,
    output: &T,
    request_id: &str,
    dialect: Dialect,
    version: &str,
) -> Result<String, WriteError> {
    let mut out = String::from(DECLARATION);
    match dialect {
        Dialect::Ec2 => {
            let root = format!("{action}Response");
            let namespace = format!("http://ec2.amazonaws.com/doc/{version}/");
            write::open(&mut out, &root, Some(&namespace));
            write::text_element(&mut out, "requestId", request_id);
            write::fields(&mut out, output)?;
            write::close(&mut out, &root);
        }
        Dialect::Query { namespace } => {
            let root = format!("{action}Response");
            write::open(&mut out, &root, Some(namespace));
            write::element(&mut out, &format!("{action}Result"), output)?;
            write::open(&mut out, "ResponseMetadata", None);
            write::text_element(&mut out, "RequestId", request_id);
            write::close(&mut out, "ResponseMetadata");
            write::close(&mut out, &root);
        }
    }
    Ok(out)
}

/// The document that tells an error.
pub fn error(error: &Error, request_id: &str, dialect: Dialect) -> String {
    let mut out = String::from(DECLARATION);
    match dialect {
        Dialect::Ec2 => {
            out.push_str("<Response><Errors><Error>");
            write::text_element(&mut out, "Code", &error.code);
            write::text_element(&mut out, "Message", &error.message);
            out.push_str("</Error></Errors>");
            write::text_element(&mut out, "RequestID", request_id);
            out.push_str("</Response>");
        }
        Dialect::Query { namespace } => {
            write::open(&mut out, "ErrorResponse", Some(namespace));
            out.push_str("<Error>");
            let fault = if error.fault == Fault::Sender { "Sender" } else { "Receiver" };
            write::text_element(&mut out, "Type", fault);
            write::text_element(&mut out, "Code", &error.code);
            write::text_element(&mut out, "Message", &error.message);
            out.push_str("</Error>");
            write::text_element(&mut out, "RequestId", request_id);
            write::close(&mut out, "ErrorResponse");
        }
    }
    out
}

/// Reads the output out of the document that answers `action`.
///
/// # Errors
/// A fragment that completes "failed to …", naming what is not as it should be.
pub fn read_answer<T: DeserializeOwned>(action: &str, document: &str, dialect: Dialect) -> Result<T, String> {
    let root = format!("{action}Response");
    let answer = element(document, &[root.as_str()]).ok_or(format!("read the answer: no `{root}` in it"))?;
    let part = match dialect {
        Dialect::Ec2 => answer,
        Dialect::Query { .. } => {
            let result = format!("{action}Result");
            element(document, &[root.as_str(), result.as_str()])
                .ok_or(format!("read the answer: no `{result}` in it"))?
        }
    };
    quick_xml::de::from_str(&part).map_err(|error| format!("read the answer to {action}: {error}"))
}

/// Reads an error document of either dialect: code and message. `None` if it is no such document.
pub fn read_error(document: &str) -> Option<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Told {
        code: String,
        #[serde(default)]
        message: String,
    }
    let told = element(document, &["ErrorResponse", "Error"])
        .or_else(|| element(document, &["Response", "Errors", "Error"]))?;
    let told: Told = quick_xml::de::from_str(&told).ok()?;
    Some((told.code, told.message))
}

/// The first element at `path`, tags and all.
fn element<'a>(document: &'a str, path: &[&str]) -> Option<Cow<'a, str>> {
    let mut reader = Reader::from_str(document);
    let mut found = 0;
    let mut depth = 0;
    loop {
        let start = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                let wanted = depth == found && path.get(found).is_some_and(|name| tag.name().as_ref() == *name);
                depth += 1;
                if !wanted {
                    continue;
                }
                found += 1;
                if found == path.len() {
                    let name = tag.name();
                    reader.read_to_end(name).ok()?;
                    let end = usize::try_from(reader.buffer_position()).ok()?;
                    return document.get(start..end).map(Cow::Borrowed);
                }
            }
            Event::Empty(tag) => {
                let wanted = depth == found && path.get(found).is_some_and(|name| tag.name().as_ref() == *name);
                if wanted && found + 1 == path.len() {
                    return Some(Cow::Owned(format!("<{0}></{0}>", path[found])));
                }
            }
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                if depth < found {
                    return None;
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}
