//! Rights: whether a caller may do what a call wants.
//!
//! Owns what is known of a request when policies are judged, what instances may do, and the words of a denial. A policy that
//! cannot be read denies everything: it may have been a denial. Must never decide by itself what an action wants
//! ([`super::wants`]) or what a policy means (`evenkeel_core::rights`). Source: IAM User Guide, "Policy evaluation logic" and
//! "AWS global condition context keys".

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_aws::{Api, Dialect, Error};
use evenkeel_core::rights::{Context, Document, Request, Verdict, Written, judge};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;

use super::caller::Caller;
use super::wants::{Want, instance_arn};
use super::words::wire_time;

/// What an instance may do: take itself in and out of service, and look.
const OF_INSTANCES: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Itself",
      "Effect": "Allow",
      "Action": [
        "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer"
      ],
      "Resource": "*",
      "Condition": {
        "ForAllValues:ArnEquals": {"evenkeel:InstanceArn": "${ec2:SourceInstanceARN}"},
        "Null": {"evenkeel:InstanceArn": "false"}
      }
    },
    {
      "Sid": "Look",
      "Effect": "Allow",
      "Action": [
        "elasticloadbalancing:Describe*",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeRegions",
        "ec2:DescribeTags"
      ],
      "Resource": "*"
    }
  ]
}"#;

/// The most characters of a resource or a condition key's value that policies are held against (AWS: 2,048 of an ARN). What is
/// longer names nothing that can be, and comparing it would take as long as whoever sent it likes.
const MOST_CHARACTERS: usize = 2048;

/// Policies that are kept read; past it all are read anew.
const KEPT: usize = 1024;

/// Policies by their texts, read once each; `None` for what cannot be read.
#[derive(Default)]
pub(super) struct Library(Mutex<HashMap<Box<str>, Option<Arc<Document>>>>);

impl Library {
    fn read(&self, text: &str) -> Option<Arc<Document>> {
        // A panic elsewhere cannot leave half a change here: each is one insertion.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(text) {
            return known.clone();
        }
        let document = read(text).ok().map(Arc::new);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(text.into(), document.clone());
        document
    }
}

/// What is known of a request before it is read.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    /// Where it came from.
    pub from: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// The action that was denied first.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Whether a statement says so, rather than none allowing it.
    pub is_explicit: bool,
}

/// Whether a caller may have all that is wanted.
///
/// # Errors
/// What is denied first.
pub(super) fn permit(
    library: &Library,
    world: &World,
    caller: &Caller,
    wants: &[Want],
    circumstances: &Circumstances,
) -> Result<(), Denied> {
    let policies = match caller {
        Caller::Root => return Ok(()),
        Caller::User(user) => world.policies_of(user).map(|(_, text)| library.read(text)).collect::<Option<Vec<_>>>(),
        Caller::Instance(_) => library.read(OF_INSTANCES).map(|policy| vec![policy]),
    };
    let context = context(world, caller, circumstances);
    for want in wants {
        for thing in &want.on {
            let denied =
                |is_explicit| Denied { action: want.action.clone(), resource: cut(&thing.arn).to_owned(), is_explicit };
            let Some(policies) = &policies else { return Err(denied(true)) };
            let mut context = context.clone();
            want.keys.iter().for_each(|(key, value)| context.add(key, cut(value)));
            let service = want.action.split(':').next().unwrap_or_default();
            for (key, value) in &thing.tags {
                context.add(&format!("aws:ResourceTag/{key}"), value.as_str());
                context.add(&format!("{service}:ResourceTag/{key}"), value.as_str());
            }
            let request = Request { action: &want.action, resource: cut(&thing.arn), context: &context };
            match judge(policies.iter().map(AsRef::as_ref), request) {
                Verdict::Allowed(_) => {}
                Verdict::ExplicitlyDenied(_) => return Err(denied(true)),
                Verdict::ImplicitlyDenied => return Err(denied(false)),
            }
        }
    }
    Ok(())
}

/// A text as far as it is compared.
fn cut(text: &str) -> &str {
    text.char_indices().nth(MOST_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

/// Reads a policy's text.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(super) fn read(text: &str) -> Result<Document, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| format!("Syntax errors in policy. {error}."))?;
    Document::read(&written).map_err(|bad| bad.to_string())
}

/// The condition keys that every request has.
pub(super) fn context(world: &World, caller: &Caller, circumstances: &Circumstances) -> Context {
    let settings = world.settings();
    let mut context = Context::default();
    let seconds = circumstances.now.0 / 1000;
    context.add("aws:CurrentTime", wire_time(circumstances.now).to_string());
    context.add("aws:EpochTime", seconds.to_string());
    context.add("aws:SecureTransport", "false");
    context.add("aws:RequestedRegion", settings.region.as_str());
    context.add("aws:PrincipalAccount", settings.account.as_str());
    context.add("aws:PrincipalArn", caller.arn(settings));
    context.add("aws:userid", caller.id(settings));
    if let Some(from) = circumstances.from {
        context.add("aws:SourceIp", from.to_canonical().to_string());
    }
    if let Some(agent) = &circumstances.user_agent {
        context.add("aws:UserAgent", cut(agent));
    }
    match caller {
        Caller::Root => context.add("aws:PrincipalType", "Account"),
        Caller::User(user) => {
            context.add("aws:PrincipalType", "User");
            context.add("aws:username", user.name.as_str());
            for (key, value) in &user.tags {
                context.add(&format!("aws:PrincipalTag/{key}"), value.as_str());
            }
        }
        Caller::Instance(id) => {
            context.add("aws:PrincipalType", "AssumedRole");
            context.add("ec2:SourceInstanceARN", instance_arn(settings, id.as_str()));
        }
    }
    context
}

impl Denied {
    /// As an API words it; `None` for what is no API's.
    pub fn to_wire(&self, api: Option<Api>, caller: &str) -> Error {
        let Self { action, resource, is_explicit } = self;
        let why = if *is_explicit {
            "with an explicit deny in an identity-based policy".to_owned()
        } else {
            format!("because no identity-based policy allows the {action} action")
        };
        let text = format!("User: {caller} is not authorized to perform: {action} on resource: {resource} {why}");
        match api {
            Some(Api::Acm) => Error::sender("AccessDeniedException", text),
            Some(Api::Sns) => Error::sender("AuthorizationError", text).with_status(403),
            Some(api) if api.dialect() == Dialect::Ec2 => {
                let text = format!("You are not authorized to perform this operation. {text}");
                Error::sender("UnauthorizedOperation", text).with_status(403)
            }
            _ => Error::sender("AccessDenied", text).with_status(403),
        }
    }
}
