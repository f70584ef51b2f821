//! Policies: their types, making them, setting them on listeners and instance ports, showing them.
//!
//! Owns their form on the wire. What a policy must state is `evenkeel_core::noun::policy`'s to say, where it may be set the
//! World's. Next: [`super::listeners`].

use evenkeel_aws::xml::Members;
use evenkeel_aws::{Error, elb};
use evenkeel_core::change::Change;
use evenkeel_core::name::PolicyName;
use evenkeel_core::noun::policy::Attribute;
use evenkeel_core::noun::tls_policy::PREDEFINED;
use evenkeel_core::noun::{LoadBalancer, Policy, PolicyType};
use evenkeel_core::refusal::Refusal;

use super::{Asked, balancers, refusal, words};
use crate::certificates::is_public_key;

pub(super) async fn create(
    asked: &Asked<'_>,
    input: elb::CreateLoadBalancerPolicy,
) -> Result<elb::CreateLoadBalancerPolicyOutput, Error> {
    let kind = policy_type(&input.policy_type_name)?;
    let stated = input.policy_attributes.into_iter().map(|a| (a.attribute_name, a.attribute_value));
    let stated: Vec<(String, String)> = stated.collect();
    if kind == PolicyType::PublicKey
        && let Ok(policy) = Policy::new(kind, &stated)
        && !policy.public_key().is_some_and(is_public_key)
    {
        let text = "The public key cannot be read: it must be what stands between the lines of a PEM file `PUBLIC KEY`";
        return Err(Error::sender("InvalidConfigurationRequest", text).with_status(409));
    }
    make(asked, &input.load_balancer_name, &input.policy_name, kind, stated).await?;
    Ok(elb::CreateLoadBalancerPolicyOutput {})
}

pub(super) async fn create_app_cookie(
    asked: &Asked<'_>,
    input: elb::CreateAppCookieStickinessPolicy,
) -> Result<elb::CreateAppCookieStickinessPolicyOutput, Error> {
    let stated = vec![("CookieName".to_owned(), input.cookie_name)];
    let kind = PolicyType::AppCookieStickiness;
    make(asked, &input.load_balancer_name, &input.policy_name, kind, stated).await?;
    Ok(elb::CreateAppCookieStickinessPolicyOutput {})
}

pub(super) async fn create_lb_cookie(
    asked: &Asked<'_>,
    input: elb::CreateLBCookieStickinessPolicy,
) -> Result<elb::CreateLBCookieStickinessPolicyOutput, Error> {
    let period = input.cookie_expiration_period.map(|seconds| seconds.to_string());
    let stated = period.map(|seconds| ("CookieExpirationPeriod".to_owned(), seconds)).into_iter().collect();
    let kind = PolicyType::LbCookieStickiness;
    make(asked, &input.load_balancer_name, &input.policy_name, kind, stated).await?;
    Ok(elb::CreateLBCookieStickinessPolicyOutput {})
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &elb::DeleteLoadBalancerPolicy,
) -> Result<elb::DeleteLoadBalancerPolicyOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    match PolicyName::new(&input.policy_name) {
        Ok(policy) => drop(asked.elb(Change::DeletePolicy { name, policy }).await?),
        // What cannot exist is gone already, if only the balancer is there.
        Err(_) => drop(balancers::existing(asked, &input.load_balancer_name)?),
    }
    Ok(elb::DeleteLoadBalancerPolicyOutput {})
}

/// A balancer's own policies; without a balancer the predefined ones.
pub(super) fn describe(
    asked: &Asked<'_>,
    input: &elb::DescribeLoadBalancerPolicies,
) -> Result<elb::DescribeLoadBalancerPoliciesOutput, Error> {
    let balancer = match input.load_balancer_name.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(balancers::existing(asked, name)?),
    };
    let all: Vec<(String, Policy)> = match balancer {
        Some(lb) => lb.policies.iter().map(|(name, policy)| (name.to_string(), policy.clone())).collect(),
        None => {
            let known = PREDEFINED.iter().map(|known| known.name);
            known.filter_map(|name| Some((name.to_owned(), Policy::predefined(name)?))).collect()
        }
    };
    let unknown = |name: &String| !all.iter().any(|(held, _)| held == name);
    if let Some(unknown) = input.policy_names.iter().find(|name| unknown(name)) {
        return Err(not_found(unknown, balancer));
    }
    let wanted = |(name, _): &&(String, Policy)| input.policy_names.is_empty() || input.policy_names.contains(name);
    let shown = all.iter().filter(wanted).map(|(name, policy)| elb::PolicyDescription {
        policy_name: name.clone(),
        policy_type_name: policy.kind.as_str().to_owned(),
        policy_attribute_descriptions: policy
            .described()
            .into_iter()
            .map(|(attribute_name, attribute_value)| elb::PolicyAttribute { attribute_name, attribute_value })
            .collect(),
    });
    Ok(elb::DescribeLoadBalancerPoliciesOutput { policy_descriptions: shown.collect() })
}

pub(super) fn describe_types(
    input: &elb::DescribeLoadBalancerPolicyTypes,
) -> Result<elb::DescribeLoadBalancerPolicyTypesOutput, Error> {
    let kinds: Vec<PolicyType> = if input.policy_type_names.is_empty() {
        PolicyType::ALL.into()
    } else {
        input.policy_type_names.iter().map(|name| policy_type(name)).collect::<Result<_, _>>()?
    };
    let attribute = |attribute: Attribute| elb::PolicyAttributeTypeDescription {
        attribute_name: attribute.name.to_owned(),
        attribute_type: attribute.value.as_str().to_owned(),
        description: None,
        default_value: None,
        cardinality: attribute.cardinality.as_str().to_owned(),
    };
    let shown = kinds.into_iter().map(|kind| elb::PolicyTypeDescription {
        policy_type_name: kind.as_str().to_owned(),
        description: kind.description().to_owned(),
        policy_attribute_type_descriptions: kind.attributes().into_iter().map(attribute).collect(),
    });
    Ok(elb::DescribeLoadBalancerPolicyTypesOutput { policy_type_descriptions: shown.collect() })
}

pub(super) async fn set_on_listener(
    asked: &Asked<'_>,
    input: &elb::SetLoadBalancerPoliciesOfListener,
) -> Result<elb::SetLoadBalancerPoliciesOfListenerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let port = words::port(input.load_balancer_port, "loadBalancerPort")?;
    let policies = names(asked, &input.load_balancer_name, &input.policy_names)?;
    asked.elb(Change::SetListenerPolicies { name, port, policies }).await?;
    Ok(elb::SetLoadBalancerPoliciesOfListenerOutput {})
}

pub(super) async fn set_on_instance_port(
    asked: &Asked<'_>,
    input: &elb::SetLoadBalancerPoliciesForBackendServer,
) -> Result<elb::SetLoadBalancerPoliciesForBackendServerOutput, Error> {
    let name = words::balancer(&input.load_balancer_name)?;
    let instance_port = words::port(input.instance_port, "instancePort")?;
    let policies = names(asked, &input.load_balancer_name, &input.policy_names)?;
    asked.elb(Change::SetBackendPolicies { name, instance_port, policies }).await?;
    Ok(elb::SetLoadBalancerPoliciesForBackendServerOutput {})
}

/// A balancer's policies as DescribeLoadBalancers sorts them.
pub(super) fn sorted(lb: &LoadBalancer) -> elb::Policies {
    let mut policies = elb::Policies::default();
    for (name, policy) in &lb.policies {
        let policy_name = name.to_string();
        match policy.kind {
            PolicyType::AppCookieStickiness => {
                let cookie_name = policy.cookie().unwrap_or_default().to_owned();
                let shown = elb::AppCookieStickinessPolicy { policy_name, cookie_name };
                policies.app_cookie_stickiness_policies.push(shown);
            }
            PolicyType::LbCookieStickiness => {
                let cookie_expiration_period = policy.expiration().and_then(|seconds| i64::try_from(seconds).ok());
                let shown = elb::LbCookieStickinessPolicy { policy_name, cookie_expiration_period };
                policies.lb_cookie_stickiness_policies.push(shown);
            }
            _ => policies.other_policies.push(policy_name),
        }
    }
    policies
}

/// Instance ports that have policies, and which.
pub(super) fn of_instance_ports(lb: &LoadBalancer) -> Members<elb::BackendServerDescription> {
    let shown = |(port, policies): (&evenkeel_core::name::Port, &Vec<PolicyName>)| elb::BackendServerDescription {
        instance_port: port.number().into(),
        policy_names: policies.iter().map(ToString::to_string).collect(),
    };
    lb.backend_policies.iter().map(shown).collect()
}

async fn make(
    asked: &Asked<'_>,
    balancer: &str,
    policy: &str,
    kind: PolicyType,
    attributes: Vec<(String, String)>,
) -> Result<(), Error> {
    let name = words::balancer(balancer)?;
    let policy = PolicyName::new(policy).map_err(|bad| Error::validation(format!("PolicyName {}", bad.rule)))?;
    asked.elb(Change::CreatePolicy { name, policy, kind, attributes }).await.map(drop)
}

fn policy_type(text: &str) -> Result<PolicyType, Error> {
    PolicyType::parse(text).ok_or_else(|| {
        let text = format!("Policy type not found: '{}'", words::quoted(text));
        Error::sender("PolicyTypeNotFound", text)
    })
}

/// Names of policies that are to exist. One that breaks the rules of names cannot.
fn names(asked: &Asked<'_>, balancer: &str, stated: &Members<String>) -> Result<Vec<PolicyName>, Error> {
    let lb = balancers::existing(asked, balancer)?;
    stated.iter().map(|text| PolicyName::new(text).map_err(|_| not_found(text, Some(lb)))).collect()
}

fn not_found(policy: &str, balancer: Option<&LoadBalancer>) -> Error {
    match (PolicyName::new(policy), balancer) {
        (Ok(policy), Some(lb)) => refusal::elb(Refusal::NoSuchPolicy { name: lb.name.clone(), policy }.into()),
        _ => Error::sender("PolicyNotFound", format!("There is no policy with name '{}'", words::quoted(policy))),
    }
}
