//! An account at an ACME server: made at first use, and kept, because the server knows us by its key.
//!
//! Owns the record's shape. Must never hold the key in the clear.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeAccount {
    /// The server's directory, which names the account here.
    pub directory: String,
    /// Its private key (PKCS #8), sealed. Nothing in core opens it.
    pub sealed_key: Arc<str>,
    /// Whom the server writes to, as it was last told: URLs such as `mailto:ops@example.com`.
    pub contact: Vec<String>,
}
