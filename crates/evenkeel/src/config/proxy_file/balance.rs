//! What the proxy's file says of the choice of a target.
//!
//! Owns the table `balance`, whose keys and rules are [`Setting`]'s: the same as the attributes of the APIs. Must never
//! have a rule of its own.

use std::collections::BTreeMap;

use evenkeel_core::noun::{Balancing, Setting};
use toml::{Spanned, Value};

use super::{Wrong, wrong};

pub(super) fn balancing(entries: &BTreeMap<String, Spanned<Value>>) -> Result<Balancing, Wrong> {
    let mut balancing = Balancing::default();
    for (key, at) in entries {
        let said = match at.get_ref() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let setting = Setting::parse(key, &said).map_err(|rule| wrong(at, &format!("balance.{key}"), rule))?;
        balancing.set(&setting);
    }
    Ok(balancing)
}
