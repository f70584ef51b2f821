//! AWS's two ways to write a list: `<X><member>…</member></X>` and `<X><item>…</item></X>`.
//!
//! The same types stand in inputs, where `Members` is `X.member.N` on the wire; in documents both are plain lists. Next: [`mod@super::write`].

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! list {
    ($(#[$doc:meta])* $name:ident, $element:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<T>(
            /// The elements, in wire order.
            pub Vec<T>,
        );

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(Vec::new())
            }
        }

        impl<T> Deref for $name<T> {
            type Target = Vec<T>;
            fn deref(&self) -> &Vec<T> {
                &self.0
            }
        }

        impl<T> DerefMut for $name<T> {
            fn deref_mut(&mut self) -> &mut Vec<T> {
                &mut self.0
            }
        }

        impl<T> From<Vec<T>> for $name<T> {
            fn from(elements: Vec<T>) -> Self {
                Self(elements)
            }
        }

        impl<T> FromIterator<T> for $name<T> {
            fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
                Self(elements.into_iter().collect())
            }
        }

        impl<T> IntoIterator for $name<T> {
            type Item = T;
            type IntoIter = std::vec::IntoIter<T>;
            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<'a, T> IntoIterator for &'a $name<T> {
            type Item = &'a T;
            type IntoIter = std::slice::Iter<'a, T>;
            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }

        impl<T: Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(Serialize)]
                struct Wire<'a, T> {
                    $element: &'a [T],
                }
                if serializer.is_human_readable() {
                    Wire { $element: &self.0 }.serialize(serializer)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(bound = "T: Deserialize<'de>")]
                struct Wire<T> {
                    #[serde(default = "Vec::new")]
                    $element: Vec<T>,
                }
                if deserializer.is_human_readable() {
                    Ok(Self(Wire::deserialize(deserializer)?.$element))
                } else {
                    Vec::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

list! {
    /// A list whose elements are called `member`: ELB, STS and every other query API.
    Members, member
}

list! {
    /// A list whose elements are called `item`: EC2's answers. (EC2's requests number them without a name: plain `Vec`.)
    Items, item
}
