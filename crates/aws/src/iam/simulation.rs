//! Trying out policies: what they would say to a call.
//!
//! Next: [`super::policy`] for what they are.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

use serde::{Deserialize, Serialize};

use crate::xml::Members;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SimulatePrincipalPolicy {
    pub policy_source_arn: String,
    #[serde(default)]
    pub policy_input_list: Members<String>,
    #[serde(default)]
    pub permissions_boundary_policy_input_list: Members<String>,
    #[serde(default)]
    pub policy_exclusion_list: Members<PolicyIdentifier>,
    pub action_names: Members<String>,
    #[serde(default)]
    pub resource_arns: Members<String>,
    pub resource_policy: Option<String>,
    pub caller_arn: Option<String>,
    #[serde(default)]
    pub context_entries: Members<ContextEntry>,
    /// 1 to 1000; 100 when not stated.
    pub max_items: Option<i64>,
    pub marker: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyIdentifier {
    pub policy_type: Option<String>,
    pub policy_arn: Option<String>,
    pub inline_policy_identifier: Option<InlinePolicyIdentifier>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InlinePolicyIdentifier {
    pub policy_name: String,
    pub attachment_type: String,
    pub attachment_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContextEntry {
    pub context_key_name: String,
    pub context_key_values: Members<String>,
    pub context_key_type: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SimulatePrincipalPolicyOutput {
    pub evaluation_results: Members<EvaluationResult>,
    pub is_truncated: bool,
    /// Absent on the last page.
    pub marker: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EvaluationResult {
    pub eval_action_name: String,
    pub eval_resource_name: String,
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub eval_decision: String,
    pub matched_statements: Members<Statement>,
    pub missing_context_values: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Statement {
    pub source_policy_id: String,
    /// `user` or `user-managed`, `aws-managed`.
    pub source_policy_type: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SimulateCustomPolicy {
    pub policy_input_list: Members<String>,
    #[serde(default)]
    pub permissions_boundary_policy_input_list: Members<String>,
    #[serde(default)]
    pub ordered_organization_policy_input_list: Members<OrganizationPolicies>,
    pub action_names: Members<String>,
    #[serde(default)]
    pub resource_arns: Members<String>,
    pub resource_policy: Option<String>,
    pub caller_arn: Option<String>,
    #[serde(default)]
    pub context_entries: Members<ContextEntry>,
    /// 1 to 1000; 100 when not stated.
    pub max_items: Option<i64>,
    pub marker: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OrganizationPolicies {
    pub service_control_policy_input_list: Members<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SimulateCustomPolicyOutput {
    pub evaluation_results: Members<EvaluationResult>,
    pub is_truncated: bool,
    /// Absent on the last page.
    pub marker: Option<String>,
}
