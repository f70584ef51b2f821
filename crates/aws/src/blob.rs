//! Bytes that travel as base64: user data, console output.
//!
//! Never looks into them and never bounds them: the handler does. Next: [`crate::ec2`], where they stand.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes, base64 on the wire. Line breaks and missing padding are accepted when reading, as EC2 and boto do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blob(
    /// The bytes themselves, decoded.
    pub Vec<u8>,
);

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&ENGINE.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        text.retain(|c| !c.is_ascii_whitespace());
        ENGINE.decode(&text).map(Self).map_err(|_| de::Error::custom("Invalid BASE64 encoding"))
    }
}
