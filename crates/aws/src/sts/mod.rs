//! Security Token Service, version 2011-06-15: who am I.
//!
//! Issues no tokens. Next: [`crate::dispatch`] for what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::dispatch::{Api, actions};

actions! {
    Api::Sts;
    GetCallerIdentity => GetCallerIdentityOutput,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetCallerIdentity {}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetCallerIdentityOutput {
    pub user_id: String,
    pub account: String,
    pub arn: String,
}
