//! Identity and Access Management, version 2010-05-08: its inputs, outputs and table of actions.
//!
//! Knows names and shapes, not rules. Next: [`user`], [`access_key`], [`policy`], [`certificate`], and [`crate::dispatch`] for
//! what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod access_key;
pub mod certificate;
pub mod policy;
pub mod simulation;
pub mod user;

pub use access_key::*;
pub use certificate::*;
pub use policy::*;
pub use simulation::*;
pub use user::*;

use crate::dispatch::{Api, actions};

actions! {
    Api::Iam;
    AttachUserPolicy => AttachUserPolicyOutput,
    CreateAccessKey => CreateAccessKeyOutput,
    CreatePolicy => CreatePolicyOutput,
    CreatePolicyVersion => CreatePolicyVersionOutput,
    CreateUser => CreateUserOutput,
    DeleteAccessKey => DeleteAccessKeyOutput,
    DeletePolicy => DeletePolicyOutput,
    DeletePolicyVersion => DeletePolicyVersionOutput,
    DeleteServerCertificate => DeleteServerCertificateOutput,
    DeleteUser => DeleteUserOutput,
    DeleteUserPolicy => DeleteUserPolicyOutput,
    DetachUserPolicy => DetachUserPolicyOutput,
    GetAccessKeyLastUsed => GetAccessKeyLastUsedOutput,
    GetPolicy => GetPolicyOutput,
    GetPolicyVersion => GetPolicyVersionOutput,
    GetServerCertificate => GetServerCertificateOutput,
    GetUser => GetUserOutput,
    GetUserPolicy => GetUserPolicyOutput,
    ListAccessKeys => ListAccessKeysOutput,
    ListAttachedUserPolicies => ListAttachedUserPoliciesOutput,
    ListEntitiesForPolicy => ListEntitiesForPolicyOutput,
    ListGroupsForUser => ListGroupsForUserOutput,
    ListPolicies => ListPoliciesOutput,
    ListPolicyTags => ListPolicyTagsOutput,
    ListPolicyVersions => ListPolicyVersionsOutput,
    ListServerCertificates => ListServerCertificatesOutput,
    ListServerCertificateTags => ListServerCertificateTagsOutput,
    ListUserPolicies => ListUserPoliciesOutput,
    ListUsers => ListUsersOutput,
    ListUserTags => ListUserTagsOutput,
    PutUserPolicy => PutUserPolicyOutput,
    SetDefaultPolicyVersion => SetDefaultPolicyVersionOutput,
    SimulateCustomPolicy => SimulateCustomPolicyOutput,
    SimulatePrincipalPolicy => SimulatePrincipalPolicyOutput,
    TagPolicy => TagPolicyOutput,
    TagServerCertificate => TagServerCertificateOutput,
    TagUser => TagUserOutput,
    UntagPolicy => UntagPolicyOutput,
    UntagServerCertificate => UntagServerCertificateOutput,
    UntagUser => UntagUserOutput,
    UpdateAccessKey => UpdateAccessKeyOutput,
    UpdateServerCertificate => UpdateServerCertificateOutput,
    UpdateUser => UpdateUserOutput,
    UploadServerCertificate => UploadServerCertificateOutput,
}
