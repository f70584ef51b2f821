//! Launch templates and their versions: making, describing, taking away.
//!
//! Next: [`super::launch_template_data`] for what a version states, [`super::launch`] for what is launched from it.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use super::{Filter, LaunchTemplateData, LaunchTemplateDataShown, TagShown, TagSpecification};
use crate::time::Time;
use crate::xml::Items;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLaunchTemplate {
    pub dry_run: Option<bool>,
    pub client_token: Option<String>,
    pub launch_template_name: Option<String>,
    pub version_description: Option<String>,
    pub launch_template_data: Option<LaunchTemplateData>,
    #[serde(default, rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateLaunchTemplateOutput {
    pub launch_template: LaunchTemplate,
    pub warning: Option<ValidationWarning>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLaunchTemplateVersion {
    pub dry_run: Option<bool>,
    pub client_token: Option<String>,
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
    /// A number, `$Latest` or `$Default`: what it states and this one does not is taken over.
    pub source_version: Option<String>,
    pub version_description: Option<String>,
    pub launch_template_data: Option<LaunchTemplateData>,
    pub resolve_alias: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateLaunchTemplateVersionOutput {
    pub launch_template_version: LaunchTemplateVersion,
    pub warning: Option<ValidationWarning>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLaunchTemplates {
    pub dry_run: Option<bool>,
    #[serde(default, rename = "LaunchTemplateId")]
    pub launch_template_ids: Vec<String>,
    #[serde(default, rename = "LaunchTemplateName")]
    pub launch_template_names: Vec<String>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    pub next_token: Option<String>,
    /// 1 to 200.
    pub max_results: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeLaunchTemplatesOutput {
    pub launch_templates: Items<LaunchTemplate>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeLaunchTemplateVersions {
    pub dry_run: Option<bool>,
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
    #[serde(default, rename = "LaunchTemplateVersion")]
    pub versions: Vec<String>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    pub next_token: Option<String>,
    /// 1 to 200.
    pub max_results: Option<i64>,
    #[serde(default, rename = "Filter")]
    pub filters: Vec<Filter>,
    pub resolve_alias: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DescribeLaunchTemplateVersionsOutput {
    pub launch_template_version_set: Items<LaunchTemplateVersion>,
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyLaunchTemplate {
    pub dry_run: Option<bool>,
    pub client_token: Option<String>,
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
    #[serde(rename = "SetDefaultVersion")]
    pub default_version: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModifyLaunchTemplateOutput {
    pub launch_template: LaunchTemplate,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLaunchTemplate {
    pub dry_run: Option<bool>,
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteLaunchTemplateOutput {
    pub launch_template: LaunchTemplate,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLaunchTemplateVersions {
    pub dry_run: Option<bool>,
    pub launch_template_id: Option<String>,
    pub launch_template_name: Option<String>,
    /// At most 200.
    #[serde(default, rename = "LaunchTemplateVersion")]
    pub versions: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteLaunchTemplateVersionsOutput {
    pub successfully_deleted_launch_template_version_set: Items<DeletedVersion>,
    pub unsuccessfully_deleted_launch_template_version_set: Items<UndeletedVersion>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeletedVersion {
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub version_number: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UndeletedVersion {
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub version_number: i64,
    pub response_error: ResponseError,
}

/// Why a version was not deleted: `launchTemplateVersionDoesNotExist`, `unexpectedError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseError {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetLaunchTemplateData {
    pub dry_run: Option<bool>,
    pub instance_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetLaunchTemplateDataOutput {
    pub launch_template_data: LaunchTemplateDataShown,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchTemplate {
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub create_time: Time,
    /// An ARN.
    pub created_by: String,
    pub default_version_number: i64,
    pub latest_version_number: i64,
    pub tag_set: Items<TagShown>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchTemplateVersion {
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub version_number: i64,
    pub version_description: Option<String>,
    pub create_time: Time,
    /// An ARN.
    pub created_by: String,
    pub default_version: bool,
    pub launch_template_data: LaunchTemplateDataShown,
}

/// What of a template would not be accepted by a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValidationWarning {
    pub error_set: Items<ValidationError>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValidationError {
    pub code: String,
    pub message: String,
}
