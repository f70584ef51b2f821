//! What Changes of launch templates carry.
//!
//! Owns these shapes. Must never judge them: that is [`crate::world::launch_templates`]'s.

use serde::{Deserialize, Serialize};

use crate::name::LaunchTemplateId;
use crate::noun::launch_template::{TemplateRef, VersionRef};
use crate::noun::{LaunchData, LaunchTemplate, LaunchTemplateVersion};

/// What is done to launch templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TemplateChange {
    /// A new one with its first version, which is its default one.
    Create {
        /// The template.
        template: LaunchTemplate,
        /// Its first version.
        version: Box<LaunchTemplateVersion>,
    },
    /// Another version of one.
    CreateVersion(Box<NewTemplateVersion>),
    /// Another version is the default one.
    SetDefault {
        /// Of which template.
        template: TemplateRef,
        /// Which version.
        version: VersionRef,
    },
    /// Its end, and that of its versions. Instances that were launched from it go on.
    Delete {
        /// Which.
        template: LaunchTemplateId,
    },
    /// The end of versions; the default one stays, and those that are not there are told.
    DeleteVersions {
        /// Of which template.
        template: LaunchTemplateId,
        /// Their numbers.
        versions: Vec<u32>,
    },
}

impl TemplateChange {
    /// The Change's name, for audit records and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CreateLaunchTemplate",
            Self::CreateVersion(_) => "CreateLaunchTemplateVersion",
            Self::SetDefault { .. } => "SetDefaultTemplateVersion",
            Self::Delete { .. } => "DeleteLaunchTemplate",
            Self::DeleteVersions { .. } => "DeleteLaunchTemplateVersions",
        }
    }
}

/// A new version of a launch template; its number is the World's to give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTemplateVersion {
    /// Of which template.
    pub template: TemplateRef,
    /// The version that states what this one does not.
    pub source: Option<VersionRef>,
    /// For people, at most 255 characters.
    pub description: Option<String>,
    /// Who makes it, by ARN.
    pub created_by: String,
    /// For idempotence.
    pub client_token: Option<String>,
    /// With a token: a digest of everything that is asked for.
    pub asked_for: Option<String>,
    /// What it states.
    pub data: LaunchData,
}

/// What came of a version that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionFate {
    /// It is gone.
    Deleted,
    /// There was none.
    Missing,
    /// It is the default one, and stays.
    Default,
}
