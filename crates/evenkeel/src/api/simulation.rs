//! Policies tried out: what they would say to actions on resources, without any being taken.
//!
//! Owns the two calls' form on the wire. They judge as real calls are judged ([`super::rights`]), but know of a request only what
//! the caller states. Source: IAM API 2010-05-08, SimulatePrincipalPolicy.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, iam};
use evenkeel_core::name::UserName;
use evenkeel_core::rights::{Context, Decider, Document, Request, Verdict, judge};

use super::page::Page;
use super::{Asked, rights, words};

const BOUNDARIES: &str = "Permissions boundaries";
const RESOURCE_POLICIES: &str = "Policies of resources";
const OTHER_CALLERS: &str = "Other callers than the user itself";

/// What is judged, and by what.
struct Trial<'a> {
    /// The policies, and where each is from.
    policies: Vec<(Document, iam::Statement)>,
    actions: &'a [String],
    resources: &'a [String],
    entries: &'a [iam::ContextEntry],
}

pub(super) fn of_principal(
    asked: &Asked<'_>,
    input: &iam::SimulatePrincipalPolicy,
) -> Result<iam::SimulatePrincipalPolicyOutput, Error> {
    unsupported([
        (!input.permissions_boundary_policy_input_list.is_empty(), BOUNDARIES),
        (!input.policy_exclusion_list.is_empty(), "Exclusions of policies"),
        (input.resource_policy.is_some(), RESOURCE_POLICIES),
        (input.caller_arn.is_some(), OTHER_CALLERS),
    ])?;
    let page = Page::iam("simulation", input.max_items, input.marker.as_deref())?;
    let source = &input.policy_source_arn;
    let account = &asked.world.settings().account;
    let name = source.rsplit('/').next().and_then(|name| UserName::new(name).ok());
    let user = name.and_then(|name| asked.world.user(&name)).filter(|user| user.arn(account) == *source);
    let user = user.ok_or_else(|| {
        let text = format!("The entity {} cannot be found: it must be the ARN of a user.", words::quoted(source));
        Error::sender("NoSuchEntity", text).with_status(404)
    })?;
    let mut policies = Vec::new();
    for (id, text) in asked.world.policies_of(user) {
        let kind = match id.strip_prefix("arn:aws:iam::") {
            None => "user",
            Some(rest) if rest.starts_with("aws:") => "aws-managed",
            Some(_) => "user-managed",
        };
        policies.push(policy(text, id, kind)?);
    }
    policies.extend(stated(&input.policy_input_list)?);
    let trial = Trial {
        policies,
        actions: &input.action_names,
        resources: &input.resource_arns,
        entries: &input.context_entries,
    };
    let (evaluation_results, is_truncated, marker) = results(&trial, &page)?;
    Ok(iam::SimulatePrincipalPolicyOutput { evaluation_results, is_truncated, marker })
}

pub(super) fn of_text(input: &iam::SimulateCustomPolicy) -> Result<iam::SimulateCustomPolicyOutput, Error> {
    unsupported([
        (!input.permissions_boundary_policy_input_list.is_empty(), BOUNDARIES),
        (!input.ordered_organization_policy_input_list.is_empty(), "Policies of organizations"),
        (input.resource_policy.is_some(), RESOURCE_POLICIES),
        (input.caller_arn.is_some(), OTHER_CALLERS),
    ])?;
    let page = Page::iam("simulation", input.max_items, input.marker.as_deref())?;
    let policies = stated(&input.policy_input_list)?;
    let trial = Trial {
        policies,
        actions: &input.action_names,
        resources: &input.resource_arns,
        entries: &input.context_entries,
    };
    let (evaluation_results, is_truncated, marker) = results(&trial, &page)?;
    Ok(iam::SimulateCustomPolicyOutput { evaluation_results, is_truncated, marker })
}

/// Refuses what would make another verdict and is not here, by whether it is stated.
fn unsupported(stated: [(bool, &str); 4]) -> Result<(), Error> {
    match stated.iter().find(|(is_stated, _)| *is_stated) {
        Some((_, what)) => Err(Error::sender("InvalidInput", format!("{what} are not supported."))),
        None => Ok(()),
    }
}

fn stated(texts: &Members<String>) -> Result<Vec<(Document, iam::Statement)>, Error> {
    let numbered = (1..).zip(texts.iter());
    numbered.map(|(number, text)| policy(text, format!("PolicyInputList.{number}"), "none")).collect()
}

fn policy(text: &str, id: String, kind: &str) -> Result<(Document, iam::Statement), Error> {
    let document = rights::read(text).map_err(|why| Error::sender("InvalidInput", format!("{id}: {why}")))?;
    Ok((document, iam::Statement { source_policy_id: id, source_policy_type: kind.to_owned() }))
}

type Results = (Members<iam::EvaluationResult>, bool, Option<String>);

fn results(trial: &Trial<'_>, page: &Page) -> Result<Results, Error> {
    if trial.actions.is_empty() {
        return Err(words::out_of_bounds("[]", "actionNames", "Member must have length greater than or equal to 1"));
    }
    let mut context = Context::default();
    for entry in trial.entries {
        entry.context_key_values.iter().for_each(|value| context.add(&entry.context_key_name, value.as_str()));
    }
    let any = ["*".to_owned()];
    let resources = if trial.resources.is_empty() { &any[..] } else { trial.resources };
    let asked = trial.actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
    let mut numbered = Vec::new();
    for (number, (action, resource)) in asked.enumerate() {
        if !action.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) {
            let text = format!("Invalid action: {}: it must be service:Action.", words::quoted(action));
            return Err(Error::sender("InvalidInput", text));
        }
        let request = Request { action, resource, context: &context };
        let verdict = judge(trial.policies.iter().map(|(document, _)| document), request);
        let from = |decider: &Decider| trial.policies.get(decider.policy).map(|(_, from)| from.clone());
        let (decision, matched) = match &verdict {
            Verdict::Allowed(by) => ("allowed", from(by)),
            Verdict::ExplicitlyDenied(by) => ("explicitDeny", from(by)),
            Verdict::ImplicitlyDenied => ("implicitDeny", None),
        };
        let result = iam::EvaluationResult {
            eval_action_name: action.clone(),
            eval_resource_name: resource.clone(),
            eval_decision: decision.into(),
            matched_statements: matched.into_iter().collect(),
            missing_context_values: Members::default(),
        };
        numbered.push((format!("{number:010}"), result));
    }
    let (shown, marker) = page.cut(numbered, |(number, _)| number.clone());
    let shown: Vec<_> = shown.into_iter().map(|(_, result)| result).collect();
    Ok((shown.into(), marker.is_some(), marker))
}
