//! What a series is: a namespace, a name, an exact set of dimensions, and a unit.
//!
//! Dimensions have no order: here they are sorted, so that equal sets are equal. Must never judge names: the API's handler does.
//! Next: [`super::catalog`], which numbers series.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A metric, without its unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Metric {
    /// Such as `AWS/ELB`.
    pub namespace: String,
    /// Such as `RequestCount`.
    pub name: String,
    /// Names and values, sorted.
    dimensions: Vec<(String, String)>,
}

impl Metric {
    /// A metric of these dimensions, in whatever order.
    #[must_use]
    pub fn new<N: Into<String>, V: Into<String>>(
        namespace: impl Into<String>,
        name: impl Into<String>,
        dimensions: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut dimensions: Vec<_> = dimensions.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        dimensions.sort_unstable();
        Self { namespace: namespace.into(), name: name.into(), dimensions }
    }

    /// Names and values, sorted.
    #[must_use]
    pub fn dimensions(&self) -> &[(String, String)] {
        &self.dimensions
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.name)?;
        self.dimensions.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

macro_rules! units {
    ($($name:ident $text:literal),* $(,)?) => {
        /// AWS's units; source: `StandardUnit` of CloudWatch's model. No value is ever converted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Unit {
            $($name,)*
            #[default]
            None,
        }

        impl Unit {
            /// As AWS writes it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::None => "None",
                }
            }
        }

        impl FromStr for Unit {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text {
                    $($text => Ok(Self::$name),)*
                    "None" => Ok(Self::None),
                    _ => Err(()),
                }
            }
        }
    };
}

units! {
    Seconds "Seconds", Microseconds "Microseconds", Milliseconds "Milliseconds",
    Bytes "Bytes", Kilobytes "Kilobytes", Megabytes "Megabytes", Gigabytes "Gigabytes", Terabytes "Terabytes",
    Bits "Bits", Kilobits "Kilobits", Megabits "Megabits", Gigabits "Gigabits", Terabits "Terabits",
    Percent "Percent", Count "Count",
    BytesPerSecond "Bytes/Second", KilobytesPerSecond "Kilobytes/Second", MegabytesPerSecond "Megabytes/Second",
    GigabytesPerSecond "Gigabytes/Second", TerabytesPerSecond "Terabytes/Second",
    BitsPerSecond "Bits/Second", KilobitsPerSecond "Kilobits/Second", MegabitsPerSecond "Megabits/Second",
    GigabitsPerSecond "Gigabits/Second", TerabitsPerSecond "Terabits/Second", CountPerSecond "Count/Second",
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is no unit of AWS's")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_dimensions_makes_no_metric() {
        let one = Metric::new("n", "m", [("a", "1"), ("b", "2")]);
        assert_eq!(one, Metric::new("n", "m", [("b", "2"), ("a", "1")]));
        assert_ne!(one, Metric::new("n", "m", [("a", "1")]));
        assert_eq!(one.to_string(), "n m a=1 b=2");
    }

    #[test]
    fn units_are_awss() {
        for text in ["Seconds", "Bytes/Second", "None", "Count/Second", "Terabits"] {
            assert_eq!(text.parse::<Unit>().map(Unit::text), Ok(text));
        }
        assert_eq!("seconds".parse::<Unit>(), Err(()));
    }
}
