//! Why a request's signature was not believed, and how each API words it.
//!
//! Never tells what the right signature would have been. Next: [`crate::error`].

use crate::error::{Dialect, Error};

/// Why a request cannot be believed. No variant tells more than its sender may know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No signature of any kind.
    #[error("verify the signature: there is none")]
    Missing,
    /// A signature that lacks a part, or of a kind that is not served. The text says which.
    #[error("verify the signature: {0}")]
    Incomplete(String),
    /// Nobody here has this access key.
    #[error("verify the signature: unknown access key")]
    UnknownKey,
    /// The signature is for another request or made with another secret.
    #[error("verify the signature: it does not match")]
    Mismatch,
    /// Signed more than 5 minutes ago, or past the time that a presigned URL states. The text gives the times.
    #[error("verify the signature: {0}")]
    Expired(String),
    /// Past the time that a signature of version 2 states. The text gives it.
    #[error("verify the signature: {0}")]
    Stale(String),
    /// The scope or payload contradicts the request. The text says how.
    #[error("verify the signature: {0}")]
    Contradiction(String),
}

impl AuthError {
    /// The error as the dialect words it. EC2 answers `AuthFailure` 401 to unknown keys and false signatures, and
    /// `RequestExpired` 400 to old ones, where query APIs say `InvalidClientTokenId` and `SignatureDoesNotMatch` 403.
    pub fn to_wire(&self, dialect: Dialect) -> Error {
        match (self, dialect) {
            (Self::Missing, Dialect::Query { .. }) => {
                Error::sender("MissingAuthenticationToken", "Request is missing Authentication Token").with_status(403)
            }
            (Self::Missing, Dialect::Ec2) => Error::sender(
                "MissingAuthenticationToken",
                "The request must contain valid (registered) AWS access key ID or X.509 certificate",
            )
            .with_status(403),
            (Self::Incomplete(text), _) => Error::sender("IncompleteSignature", text.as_str()),
            (Self::Stale(text), _) => Error::sender("RequestExpired", text.as_str()),
            (Self::Expired(_), Dialect::Ec2) => Error::sender("RequestExpired", "Request has expired."),
            (_, Dialect::Ec2) => {
                Error::sender("AuthFailure", "AWS was not able to validate the provided access credentials")
                    .with_status(401)
            }
            (Self::UnknownKey, _) => {
                Error::sender("InvalidClientTokenId", "The security token included in the request is invalid.")
                    .with_status(403)
            }
            (Self::Mismatch, _) => Error::sender(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            )
            .with_status(403),
            (Self::Expired(text) | Self::Contradiction(text), _) => {
                Error::sender("SignatureDoesNotMatch", text.as_str()).with_status(403)
            }
        }
    }
}
