//! Policies tried out: what they would say to actions on resources, without any being taken.
//!
//! Owns the two calls' form on the wire. They judge as real calls are judged ([`super::rights`]), but know of a request only what
//! the caller states. Source: IAM API 2010-05-08, SimulatePrincipalPolicy.

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, iam};
use evenkeel_core::name::UserName;
use evenkeel_core::rights::{Context, Decider, Document, Request, Verdict, judge};

use super::page::Page;
use super::user_policies::MOST_CHARACTERS;
use super::{Asked, blocking, rights, words};

const BOUNDARIES: &str = "Permissions boundaries";
const RESOURCE_POLICIES: &str = "Policies of resources";
const OTHER_CALLERS: &str = "Other callers than the user itself";

/// The most actions times resources of one call.
const MOST_PAIRS: usize = 10_000;
/// The most characters of an action and of a resource (AWS).
const ACTION_CHARACTERS: usize = 128;
const RESOURCE_CHARACTERS: usize = 2048;

/// What is judged, and by what.
struct Trial {
    /// The policies, and where each is from.
    policies: Vec<(Document, iam::Statement)>,
    actions: Members<String>,
    resources: Members<String>,
    entries: Members<iam::ContextEntry>,
    page: Page,
}

pub(super) async fn of_principal(
    asked: &Asked<'_>,
    input: iam::SimulatePrincipalPolicy,
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
    let (actions, resources, entries) = (input.action_names, input.resource_arns, input.context_entries);
    let (evaluation_results, is_truncated, marker) =
        Trial { policies, actions, resources, entries, page }.judged().await?;
    Ok(iam::SimulatePrincipalPolicyOutput { evaluation_results, is_truncated, marker })
}

pub(super) async fn of_text(input: iam::SimulateCustomPolicy) -> Result<iam::SimulateCustomPolicyOutput, Error> {
    unsupported([
        (!input.permissions_boundary_policy_input_list.is_empty(), BOUNDARIES),
        (!input.ordered_organization_policy_input_list.is_empty(), "Policies of organizations"),
        (input.resource_policy.is_some(), RESOURCE_POLICIES),
        (input.caller_arn.is_some(), OTHER_CALLERS),
    ])?;
    let page = Page::iam("simulation", input.max_items, input.marker.as_deref())?;
    let policies = stated(&input.policy_input_list)?;
    let (actions, resources, entries) = (input.action_names, input.resource_arns, input.context_entries);
    let (evaluation_results, is_truncated, marker) =
        Trial { policies, actions, resources, entries, page }.judged().await?;
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
    let document = match text.chars().count() {
        0..=MOST_CHARACTERS => rights::read(text),
        _ => Err(format!("A policy has at most {MOST_CHARACTERS} characters.")),
    };
    let document = document.map_err(|why| Error::sender("InvalidInput", format!("{id}: {why}")))?;
    Ok((document, iam::Statement { source_policy_id: id, source_policy_type: kind.to_owned() }))
}

type Results = (Members<iam::EvaluationResult>, bool, Option<String>);

impl Trial {
    /// Judges what is on the page; on a thread that may take its time, for the caller brings policies and number.
    async fn judged(mut self) -> Result<Results, Error> {
        if self.resources.is_empty() {
            self.resources.push("*".to_owned());
        }
        self.check()?;
        blocking(move || self.results()).await
    }

    fn check(&self) -> Result<(), Error> {
        let out_of_bounds = |value: &str, place: &str, rule: &str| {
            Err(words::out_of_bounds(value, place, &format!("Member must have length {rule}")))
        };
        if self.actions.is_empty() {
            return out_of_bounds("[]", "actionNames", "greater than or equal to 1");
        }
        for action in &self.actions {
            if action.chars().count() > ACTION_CHARACTERS {
                return out_of_bounds(action, "actionNames", "less than or equal to 128");
            }
            if !action.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) {
                let text = format!("Invalid action: {}: it must be service:Action.", words::quoted(action));
                return Err(Error::sender("InvalidInput", text));
            }
        }
        if let Some(long) = self.resources.iter().find(|arn| arn.chars().count() > RESOURCE_CHARACTERS) {
            return out_of_bounds(long, "resourceArns", "less than or equal to 2048");
        }
        if self.pairs() > MOST_PAIRS {
            let text = format!("At most {MOST_PAIRS} actions times resources can be tried out in one call.");
            return Err(Error::sender("InvalidInput", text));
        }
        Ok(())
    }

    fn pairs(&self) -> usize {
        self.actions.len().saturating_mul(self.resources.len())
    }

    fn results(&self) -> Results {
        let mut context = Context::default();
        for entry in &self.entries {
            entry.context_key_values.iter().for_each(|value| context.add(&entry.context_key_name, value.as_str()));
        }
        let (shown, marker) = self.page.cut(0..self.pairs(), |number| format!("{number:010}"));
        let per_action = self.resources.len();
        let result = |number: usize| {
            self.result(&self.actions[number / per_action], &self.resources[number % per_action], &context)
        };
        let results: Vec<_> = shown.into_iter().map(result).collect();
        (results.into(), marker.is_some(), marker)
    }

    fn result(&self, action: &str, resource: &str, context: &Context) -> iam::EvaluationResult {
        let request = Request { action, resource, context };
        let from = |decider: &Decider| self.policies.get(decider.policy).map(|(_, from)| from.clone());
        let (decision, matched) = match &judge(self.policies.iter().map(|(document, _)| document), request) {
            Verdict::Allowed(by) => ("allowed", from(by)),
            Verdict::ExplicitlyDenied(by) => ("explicitDeny", from(by)),
            Verdict::ImplicitlyDenied => ("implicitDeny", None),
        };
        iam::EvaluationResult {
            eval_action_name: action.to_owned(),
            eval_resource_name: resource.to_owned(),
            eval_decision: decision.into(),
            matched_statements: matched.into_iter().collect(),
            missing_context_values: Members::default(),
        }
    }
}
