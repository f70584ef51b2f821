//! AWS's two ways to write a map in the query protocol: `<entry><key>…</key><value>…</value></entry>` repeated, and the same with
//! `Name` and `Value`. In documents both are plain objects.
//!
//! Of a key that comes twice the last value counts. Next: [`super::list`].

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! map {
    ($(#[$doc:meta])* $name:ident, $key:literal, $value:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<V>(
            /// The values by key.
            pub BTreeMap<String, V>,
        );

        impl<V> Default for $name<V> {
            fn default() -> Self {
                Self(BTreeMap::new())
            }
        }

        impl<V> Deref for $name<V> {
            type Target = BTreeMap<String, V>;
            fn deref(&self) -> &BTreeMap<String, V> {
                &self.0
            }
        }

        impl<V> DerefMut for $name<V> {
            fn deref_mut(&mut self) -> &mut BTreeMap<String, V> {
                &mut self.0
            }
        }

        impl<V> From<BTreeMap<String, V>> for $name<V> {
            fn from(values: BTreeMap<String, V>) -> Self {
                Self(values)
            }
        }

        impl<V: Serialize> Serialize for $name<V> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(Serialize)]
                struct Entry<'a, V> {
                    #[serde(rename = $key)]
                    key: &'a str,
                    #[serde(rename = $value)]
                    value: &'a V,
                }
                #[derive(Serialize)]
                struct Wire<'a, V> {
                    entry: Vec<Entry<'a, V>>,
                }
                if serializer.is_human_readable() {
                    let entry = self.0.iter().map(|(key, value)| Entry { key, value }).collect();
                    Wire { entry }.serialize(serializer)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de, V: Deserialize<'de>> Deserialize<'de> for $name<V> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(bound = "V: Deserialize<'de>")]
                struct Entry<V> {
                    #[serde(rename = $key)]
                    key: String,
                    #[serde(rename = $value)]
                    value: V,
                }
                #[derive(Deserialize)]
                #[serde(bound = "V: Deserialize<'de>")]
                struct Wire<V> {
                    #[serde(default = "Vec::new")]
                    entry: Vec<Entry<V>>,
                }
                if deserializer.is_human_readable() {
                    let entries = Wire::deserialize(deserializer)?.entry;
                    Ok(Self(entries.into_iter().map(|entry| (entry.key, entry.value)).collect()))
                } else {
                    BTreeMap::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

map! {
    /// A map whose entries are called `key` and `value`: attributes of topics and subscriptions.
    Entries, "key", "value"
}

map! {
    /// A map whose entries are called `Name` and `Value`: attributes of messages.
    NamedEntries, "Name", "Value"
}
