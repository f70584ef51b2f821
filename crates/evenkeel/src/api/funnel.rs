//! The one way of every request: read → verify → decode → handler → render, top to bottom.
//!
//! Owns the order, and that there is always an answer, in the caller's dialect and with a request id: also to a body too
//! large, a wait too long, a handler that panicked. Must never decide what a call means. Next: the handlers, by noun.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use evenkeel_aws::{
    Action, AuthError, Call, Decoded, Error, Form, Request, Response, Time, acm, cloudwatch, decode, ec2, elb,
    encoding, form, iam, render, render_error, sns, sts, verify,
};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use tokio::time::timeout;

use super::caller::{Directory, stated_token};
use super::rights::{Circumstances, permit};
use super::server::{Limits, is_local};
use super::subscriptions::Agreed;
use super::wants::{Thing, Want, Wants};
use super::{
    Api, Asked, Caller, access_keys, alarms, attributes, balancers, dice, groups, health, identity, images,
    instance_attributes, instance_types, instances, launch, launch_templates, limits, listeners, managed_certificates,
    managed_policies, metadata, metric_data, metric_put, network, places, policies, publish, registration,
    requested_certificates, scaling, server_certificates, simulation, status, subnets, subscriptions, tags, topics,
    user_policies, users, vpcs,
};

/// The most bytes of a request's body.
pub(super) const BODY_BYTES: usize = 1024 * 1024;

/// What of a body too large is still taken in, so that the peer reads our answer rather than a reset.
const DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// The answer to a request, whatever it is.
pub(super) async fn answer(
    api: &Api,
    request: hyper::Request<Incoming>,
    limits: Limits,
    peer: Option<IpAddr>,
) -> hyper::Response<Full<Bytes>> {
    let id = dice::request_id();
    let (mut request, body) = taken_apart(request);
    if is_health_check(&request) {
        return plain(&id);
    }
    // Scrapers sign nothing: whoever is on this machine may read numbers.
    if peer.is_some_and(is_local) && Report::asked_for(&request) == Some(Report::Metrics) {
        let told = Report::Metrics.page(api, &id).await;
        return http(told.unwrap_or_else(|error| render_error(&error, &id, form(&request))), false);
    }
    if metadata::is_asked(&request) {
        let told = contained(async { metadata::answer(api, &request, &id, wall_clock()) }).await;
        return http(told.unwrap_or_else(|| render_error(&internal(&request), &id, form(&request))), false);
    }
    let failed = |error: &Error, request: &Request| render_error(error, &id, form(request));
    if !matches!(request.method.as_str(), "GET" | "POST") {
        let error = decode(&request).err().map_or_else(|| internal(&request), |rejected| rejected.error);
        return http(failed(&error, &request), true);
    }
    match timeout(limits.body, read(body, &mut request.body)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return http(failed(&error, &request), true),
        Err(_) => return http(failed(&too_slow(), &request), true),
    }
    let handled = contained(handle(api, &mut request, &id, peer));
    match timeout(limits.answer, handled).await {
        Ok(Some(response)) => http(response, false),
        Ok(None) => http(failed(&internal(&request), &request), true),
        Err(_) => http(failed(&unfinished(), &request), true),
    }
}

fn internal(request: &Request) -> Error {
    Error::internal(form(request).dialect())
}

async fn handle(api: &Api, request: &mut Request, id: &str, peer: Option<IpAddr>) -> Response {
    let now = wall_clock();
    let time = Time(i64::try_from(now.0).unwrap_or(i64::MAX));
    let world = api.keeper.world();
    let directory = Directory { keys: &api.keys, seal: &api.seal, world: &world, token: stated_token(request), now };
    let dialect = form(request).dialect();
    if let Some(response) = unsigned(api, &world, request, id).await {
        return response;
    }
    let identity = match verify(request, api.guard.versions, |key| directory.secret(key), time) {
        Ok(identity) => identity,
        Err(error) => return render_error(&error.to_wire(dialect), id, form(request)),
    };
    // A key can go between the two looks at root's file; the World is the same in both.
    let Some(caller) = directory.caller(&identity.access_key_id) else {
        return render_error(&AuthError::UnknownKey.to_wire(dialect), id, form(request));
    };
    let circumstances =
        Circumstances { from: peer, now, user_agent: request.header("user-agent").map(ToOwned::to_owned) };
    let may = |wants: &[Want], of: Option<evenkeel_aws::Api>| {
        let denied = permit(&api.library, &world, &caller, wants, &circumstances);
        denied.map_err(|denied| denied.to_wire(of, &caller.arn(world.settings())))
    };
    if let Some(report) = Report::asked_for(request) {
        return match may(&[Want::new("evenkeel", report.action(), vec![Thing::any()])], None) {
            Ok(()) => report.page(api, id).await.unwrap_or_else(|error| render_error(&error, id, form(request))),
            Err(error) => render_error(&error, id, form(request)),
        };
    }
    // An instance may have any number of keys.
    let counted = match &caller {
        Caller::Instance(id) => id.as_str(),
        Caller::Root | Caller::User(_) => &identity.access_key_id,
    };
    if let Err(error) = api.guard.admit(counted, dialect) {
        return render_error(&error, id, form(request));
    }
    // Signatures are over the body as sent.
    if let Err(error) = encoding::inflate(request, BODY_BYTES) {
        return render_error(&error, id, form(request));
    }
    let Decoded { call, api: asked_api, form, version, .. } = match decode(request) {
        Ok(decoded) => decoded,
        Err(rejected) => return render_error(&rejected.error, id, rejected.form),
    };
    if !matches!(caller, Caller::Instance(_)) {
        api.guard.note(&identity.access_key_id, asked_api.signing_name(), now);
    }
    if let Err(error) = may(&Wants { world: &world, caller: &caller }.of(&call), Some(asked_api)) {
        return render_error(&error, id, form);
    }
    let asked = Asked {
        api,
        actor: caller.actor(&identity.access_key_id),
        caller,
        world: Arc::clone(&world),
        now,
        host: request.header("host").unwrap_or_default().to_owned(),
    };
    let say = Say { id, form, version: &version };
    match call {
        Call::Elb(call) => elb_call(&asked, call, &say).await,
        Call::Ec2(call) => ec2_call(&asked, call, &say).await,
        Call::Acm(call) => acm_call(&asked, call, &say).await,
        Call::AutoScaling(call) => scaling::calls::answer(&asked, call, &say).await,
        Call::Iam(call) => iam_call(&asked, call, &say).await,
        Call::Sns(call) => sns_call(&asked, call, &say).await,
        Call::Cloudwatch(call) => cloudwatch_call(&asked, call, &say).await,
        Call::Sts(sts::Call::GetCallerIdentity(_)) => say.out::<sts::GetCallerIdentity>(Ok(identity::caller(&asked))),
    }
}

/// The answer to a call that nobody signed, if it is one that needs no signature: the links in SNS's messages. Those who make such
/// calls share one allowance, whoever they are.
async fn unsigned(api: &Api, world: &World, request: &Request, id: &str) -> Option<Response> {
    if is_signed(request) {
        return None;
    }
    let decoded = decode(request).ok().filter(|decoded| decoded.api == evenkeel_aws::Api::Sns)?;
    let say = Say { id, form: decoded.form, version: &decoded.version };
    if let Err(error) = api.guard.admit("nobody", decoded.form.dialect()) {
        return Some(render_error(&error, id, decoded.form));
    }
    Some(match subscriptions::unsigned(api, world, decoded.call).await? {
        Ok(Agreed::Yes(output)) => say.out::<sns::ConfirmSubscription>(Ok(output)),
        Ok(Agreed::No(output)) => say.out::<sns::Unsubscribe>(Ok(output)),
        Err(error) => render_error(&error, id, decoded.form),
    })
}

/// Whether a request says who signed it, in whatever way.
fn is_signed(request: &Request) -> bool {
    let (_, query) = request.path_and_query();
    let stated = ["X-Amz-Algorithm", "X-Amz-Signature", "AWSAccessKeyId", "Signature"];
    let body = std::str::from_utf8(&request.body).unwrap_or_default();
    let mut names = query.split('&').chain(body.split('&')).map(|pair| pair.split('=').next().unwrap_or_default());
    request.header("authorization").is_some() || names.any(|name| stated.contains(&name))
}

async fn elb_call(asked: &Asked<'_>, call: elb::Call, say: &Say<'_>) -> Response {
    use elb::Call as C;
    match call {
        C::AddTags(i) => say.out::<elb::AddTags>(tags::add_to_balancer(asked, i).await),
        C::ApplySecurityGroupsToLoadBalancer(i) => {
            say.out::<elb::ApplySecurityGroupsToLoadBalancer>(balancers::apply_groups(asked, i).await)
        }
        C::AttachLoadBalancerToSubnets(i) => {
            say.out::<elb::AttachLoadBalancerToSubnets>(subnets::attach(asked, &i).await)
        }
        C::ConfigureHealthCheck(i) => say.out::<elb::ConfigureHealthCheck>(health::configure(asked, i).await),
        C::CreateAppCookieStickinessPolicy(i) => {
            say.out::<elb::CreateAppCookieStickinessPolicy>(policies::create_app_cookie(asked, i).await)
        }
        C::CreateLBCookieStickinessPolicy(i) => {
            say.out::<elb::CreateLBCookieStickinessPolicy>(policies::create_lb_cookie(asked, i).await)
        }
        C::CreateLoadBalancer(i) => say.out::<elb::CreateLoadBalancer>(balancers::create(asked, i).await),
        C::CreateLoadBalancerListeners(i) => {
            say.out::<elb::CreateLoadBalancerListeners>(listeners::create(asked, i).await)
        }
        C::CreateLoadBalancerPolicy(i) => say.out::<elb::CreateLoadBalancerPolicy>(policies::create(asked, i).await),
        C::DeleteLoadBalancer(i) => say.out::<elb::DeleteLoadBalancer>(balancers::delete(asked, &i).await),
        C::DeleteLoadBalancerListeners(i) => {
            say.out::<elb::DeleteLoadBalancerListeners>(listeners::delete(asked, &i).await)
        }
        C::DeleteLoadBalancerPolicy(i) => say.out::<elb::DeleteLoadBalancerPolicy>(policies::delete(asked, &i).await),
        C::DeregisterInstancesFromLoadBalancer(i) => {
            say.out::<elb::DeregisterInstancesFromLoadBalancer>(registration::deregister(asked, &i).await)
        }
        C::DescribeAccountLimits(i) => say.out::<elb::DescribeAccountLimits>(limits::describe(asked, &i)),
        C::DescribeInstanceHealth(i) => say.out::<elb::DescribeInstanceHealth>(health::describe(asked, &i)),
        C::DescribeLoadBalancerAttributes(i) => {
            say.out::<elb::DescribeLoadBalancerAttributes>(attributes::describe(asked, &i))
        }
        C::DescribeLoadBalancerPolicies(i) => {
            say.out::<elb::DescribeLoadBalancerPolicies>(policies::describe(asked, &i))
        }
        C::DescribeLoadBalancerPolicyTypes(i) => {
            say.out::<elb::DescribeLoadBalancerPolicyTypes>(policies::describe_types(&i))
        }
        C::DescribeLoadBalancers(i) => say.out::<elb::DescribeLoadBalancers>(balancers::describe(asked, &i)),
        C::DescribeTags(i) => say.out::<elb::DescribeTags>(tags::describe_of_balancers(asked, &i)),
        C::DetachLoadBalancerFromSubnets(i) => {
            say.out::<elb::DetachLoadBalancerFromSubnets>(subnets::detach(asked, &i).await)
        }
        C::DisableAvailabilityZonesForLoadBalancer(i) => {
            say.out::<elb::DisableAvailabilityZonesForLoadBalancer>(balancers::disable_zones(asked, &i).await)
        }
        C::EnableAvailabilityZonesForLoadBalancer(i) => {
            say.out::<elb::EnableAvailabilityZonesForLoadBalancer>(balancers::enable_zones(asked, &i).await)
        }
        C::ModifyLoadBalancerAttributes(i) => {
            say.out::<elb::ModifyLoadBalancerAttributes>(attributes::modify(asked, i).await)
        }
        C::RegisterInstancesWithLoadBalancer(i) => {
            say.out::<elb::RegisterInstancesWithLoadBalancer>(registration::register(asked, &i).await)
        }
        C::RemoveTags(i) => say.out::<elb::RemoveTags>(tags::remove_from_balancer(asked, i).await),
        C::SetLoadBalancerListenerSSLCertificate(i) => {
            say.out::<elb::SetLoadBalancerListenerSSLCertificate>(listeners::set_certificate(asked, &i).await)
        }
        C::SetLoadBalancerPoliciesForBackendServer(i) => {
            say.out::<elb::SetLoadBalancerPoliciesForBackendServer>(policies::set_on_instance_port(asked, &i).await)
        }
        C::SetLoadBalancerPoliciesOfListener(i) => {
            say.out::<elb::SetLoadBalancerPoliciesOfListener>(policies::set_on_listener(asked, &i).await)
        }
    }
}

async fn ec2_call(asked: &Asked<'_>, call: ec2::Call, say: &Say<'_>) -> Response {
    use ec2::Call as C;
    match call {
        C::AuthorizeSecurityGroupEgress(i) => {
            say.out::<ec2::AuthorizeSecurityGroupEgress>(groups::authorize(asked, i.0, true).await)
        }
        C::AuthorizeSecurityGroupIngress(i) => {
            say.out::<ec2::AuthorizeSecurityGroupIngress>(groups::authorize(asked, i.0, false).await)
        }
        C::CreateSecurityGroup(i) => say.out::<ec2::CreateSecurityGroup>(groups::create(asked, i).await),
        C::CreateLaunchTemplate(i) => say.out::<ec2::CreateLaunchTemplate>(launch_templates::create(asked, i).await),
        C::CreateLaunchTemplateVersion(i) => {
            say.out::<ec2::CreateLaunchTemplateVersion>(launch_templates::create_version(asked, i).await)
        }
        C::DeleteLaunchTemplate(i) => say.out::<ec2::DeleteLaunchTemplate>(launch_templates::delete(asked, &i).await),
        C::DeleteLaunchTemplateVersions(i) => {
            say.out::<ec2::DeleteLaunchTemplateVersions>(launch_templates::delete_versions(asked, &i).await)
        }
        C::DescribeLaunchTemplates(i) => say.out::<ec2::DescribeLaunchTemplates>(launch_templates::describe(asked, &i)),
        C::DescribeLaunchTemplateVersions(i) => {
            say.out::<ec2::DescribeLaunchTemplateVersions>(launch_templates::describe_versions(asked, &i))
        }
        C::GetLaunchTemplateData(i) => {
            say.out::<ec2::GetLaunchTemplateData>(launch_templates::data_of_instance(asked, &i))
        }
        C::ModifyLaunchTemplate(i) => say.out::<ec2::ModifyLaunchTemplate>(launch_templates::modify(asked, &i).await),
        C::CreateTags(i) => say.out::<ec2::CreateTags>(tags::create(asked, i).await),
        C::DeleteSecurityGroup(i) => say.out::<ec2::DeleteSecurityGroup>(groups::delete(asked, &i).await),
        C::DeleteTags(i) => say.out::<ec2::DeleteTags>(tags::delete(asked, i).await),
        C::CreateImage(i) => say.out::<ec2::CreateImage>(images::create(asked, i).await),
        C::DeregisterImage(i) => say.out::<ec2::DeregisterImage>(images::deregister(asked, &i).await),
        C::DescribeAccountAttributes(i) => say.out::<ec2::DescribeAccountAttributes>(vpcs::account(asked, &i)),
        C::DescribeAvailabilityZones(i) => say.out::<ec2::DescribeAvailabilityZones>(places::zones(asked, &i)),
        C::DescribeImages(i) => say.out::<ec2::DescribeImages>(images::describe(asked, &i)),
        C::DescribeInstanceAttribute(i) => {
            say.out::<ec2::DescribeInstanceAttribute>(instance_attributes::describe(asked, &i))
        }
        C::DescribeInstanceTypeOfferings(i) => {
            say.out::<ec2::DescribeInstanceTypeOfferings>(instance_types::offerings(asked, &i))
        }
        C::DescribeInstanceTypes(i) => say.out::<ec2::DescribeInstanceTypes>(instance_types::describe(asked, &i)),
        C::DescribeInstances(i) => say.out::<ec2::DescribeInstances>(instances::describe(asked, &i)),
        C::DescribeInstanceStatus(i) => say.out::<ec2::DescribeInstanceStatus>(status::describe(asked, &i)),
        C::DescribeKeyPairs(i) => say.out::<ec2::DescribeKeyPairs>(network::key_pairs(&i)),
        C::DescribeNetworkInterfaces(i) => say.out::<ec2::DescribeNetworkInterfaces>(network::interfaces(asked, &i)),
        C::DescribeRegions(i) => say.out::<ec2::DescribeRegions>(places::regions(asked, &i)),
        C::DescribeSecurityGroups(i) => say.out::<ec2::DescribeSecurityGroups>(groups::describe(asked, &i)),
        C::DescribeSecurityGroupRules(i) => {
            say.out::<ec2::DescribeSecurityGroupRules>(groups::describe_rules(asked, &i))
        }
        C::DescribeSubnets(i) => say.out::<ec2::DescribeSubnets>(vpcs::subnets(asked, &i)),
        C::DescribeTags(i) => say.out::<ec2::DescribeTags>(tags::describe(asked, &i)),
        C::DescribeVpcAttribute(i) => say.out::<ec2::DescribeVpcAttribute>(vpcs::attribute(asked, &i)),
        C::DescribeVpcs(i) => say.out::<ec2::DescribeVpcs>(vpcs::describe(asked, &i)),
        C::GetConsoleOutput(i) => say.out::<ec2::GetConsoleOutput>(status::console(asked, &i).await),
        C::ModifyInstanceAttribute(i) => {
            say.out::<ec2::ModifyInstanceAttribute>(instance_attributes::modify(asked, i).await)
        }
        C::RebootInstances(i) => say.out::<ec2::RebootInstances>(instances::reboot(asked, &i).await),
        C::RegisterImage(i) => say.out::<ec2::RegisterImage>(images::register(asked, i).await),
        C::ResetInstanceAttribute(i) => {
            say.out::<ec2::ResetInstanceAttribute>(instance_attributes::reset(asked, &i).await)
        }
        C::RevokeSecurityGroupEgress(i) => {
            say.out::<ec2::RevokeSecurityGroupEgress>(groups::revoke(asked, i.0, true).await)
        }
        C::RevokeSecurityGroupIngress(i) => {
            say.out::<ec2::RevokeSecurityGroupIngress>(groups::revoke(asked, i.0, false).await)
        }
        C::RunInstances(i) => say.out::<ec2::RunInstances>(launch::run(asked, i).await),
        C::StartInstances(i) => say.out::<ec2::StartInstances>(instances::start(asked, &i).await),
        C::StopInstances(i) => say.out::<ec2::StopInstances>(instances::stop(asked, &i).await),
        C::TerminateInstances(i) => say.out::<ec2::TerminateInstances>(instances::terminate(asked, &i).await),
    }
}

async fn iam_call(asked: &Asked<'_>, call: iam::Call, say: &Say<'_>) -> Response {
    use iam::Call as C;
    use {managed_policies as managed, server_certificates as certificates};
    match call {
        C::AttachUserPolicy(i) => say.out::<iam::AttachUserPolicy>(user_policies::attach(asked, &i).await),
        C::CreateAccessKey(i) => say.out::<iam::CreateAccessKey>(access_keys::create(asked, &i).await),
        C::CreatePolicy(i) => say.out::<iam::CreatePolicy>(managed::create(asked, &i).await),
        C::CreatePolicyVersion(i) => say.out::<iam::CreatePolicyVersion>(managed::create_version(asked, &i).await),
        C::CreateUser(i) => say.out::<iam::CreateUser>(users::create(asked, i).await),
        C::DeleteAccessKey(i) => say.out::<iam::DeleteAccessKey>(access_keys::delete(asked, &i).await),
        C::DeletePolicy(i) => say.out::<iam::DeletePolicy>(managed::delete(asked, &i).await),
        C::DeletePolicyVersion(i) => say.out::<iam::DeletePolicyVersion>(managed::delete_version(asked, &i).await),
        C::DeleteServerCertificate(i) => say.out::<iam::DeleteServerCertificate>(certificates::delete(asked, &i).await),
        C::DeleteUser(i) => say.out::<iam::DeleteUser>(users::delete(asked, &i).await),
        C::DeleteUserPolicy(i) => say.out::<iam::DeleteUserPolicy>(user_policies::delete(asked, &i).await),
        C::DetachUserPolicy(i) => say.out::<iam::DetachUserPolicy>(user_policies::detach(asked, &i).await),
        C::GetAccessKeyLastUsed(i) => say.out::<iam::GetAccessKeyLastUsed>(access_keys::last_used(asked, &i)),
        C::GetPolicy(i) => say.out::<iam::GetPolicy>(managed::get(asked, &i)),
        C::GetPolicyVersion(i) => say.out::<iam::GetPolicyVersion>(managed::get_version(asked, &i)),
        C::GetServerCertificate(i) => say.out::<iam::GetServerCertificate>(certificates::get(asked, &i)),
        C::GetUser(i) => say.out::<iam::GetUser>(users::get(asked, &i)),
        C::GetUserPolicy(i) => say.out::<iam::GetUserPolicy>(user_policies::get(asked, &i)),
        C::ListAccessKeys(i) => say.out::<iam::ListAccessKeys>(access_keys::list(asked, &i)),
        C::ListAttachedUserPolicies(i) => {
            say.out::<iam::ListAttachedUserPolicies>(user_policies::list_attached(asked, &i))
        }
        C::ListEntitiesForPolicy(i) => say.out::<iam::ListEntitiesForPolicy>(managed::list_entities(asked, &i)),
        C::ListGroupsForUser(i) => say.out::<iam::ListGroupsForUser>(users::list_groups(asked, &i)),
        C::ListPolicies(i) => say.out::<iam::ListPolicies>(managed::list(asked, &i)),
        C::ListPolicyTags(i) => say.out::<iam::ListPolicyTags>(managed::list_tags(asked, &i)),
        C::ListPolicyVersions(i) => say.out::<iam::ListPolicyVersions>(managed::list_versions(asked, &i)),
        C::ListServerCertificates(i) => say.out::<iam::ListServerCertificates>(certificates::list(asked, &i)),
        C::ListServerCertificateTags(i) => {
            say.out::<iam::ListServerCertificateTags>(certificates::list_tags(asked, &i))
        }
        C::ListUserPolicies(i) => say.out::<iam::ListUserPolicies>(user_policies::list(asked, &i)),
        C::ListUsers(i) => say.out::<iam::ListUsers>(users::list(asked, &i)),
        C::ListUserTags(i) => say.out::<iam::ListUserTags>(users::list_tags(asked, &i)),
        C::PutUserPolicy(i) => say.out::<iam::PutUserPolicy>(user_policies::put(asked, &i).await),
        C::SetDefaultPolicyVersion(i) => {
            say.out::<iam::SetDefaultPolicyVersion>(managed::set_default_version(asked, &i).await)
        }
        C::SimulateCustomPolicy(i) => say.out::<iam::SimulateCustomPolicy>(simulation::of_text(i).await),
        C::SimulatePrincipalPolicy(i) => {
            say.out::<iam::SimulatePrincipalPolicy>(simulation::of_principal(asked, i).await)
        }
        C::TagPolicy(i) => say.out::<iam::TagPolicy>(managed::tag(asked, &i).await),
        C::TagServerCertificate(i) => say.out::<iam::TagServerCertificate>(certificates::tag(asked, &i).await),
        C::TagUser(i) => say.out::<iam::TagUser>(users::tag(asked, &i).await),
        C::UntagPolicy(i) => say.out::<iam::UntagPolicy>(managed::untag(asked, &i).await),
        C::UntagServerCertificate(i) => say.out::<iam::UntagServerCertificate>(certificates::untag(asked, &i).await),
        C::UntagUser(i) => say.out::<iam::UntagUser>(users::untag(asked, &i).await),
        C::UpdateAccessKey(i) => say.out::<iam::UpdateAccessKey>(access_keys::update(asked, &i).await),
        C::UpdateServerCertificate(i) => say.out::<iam::UpdateServerCertificate>(certificates::update(asked, &i).await),
        C::UpdateUser(i) => say.out::<iam::UpdateUser>(users::update(asked, &i).await),
        C::UploadServerCertificate(i) => say.out::<iam::UploadServerCertificate>(certificates::upload(asked, i).await),
    }
}

async fn acm_call(asked: &Asked<'_>, call: acm::Call, say: &Say<'_>) -> Response {
    use acm::Call as C;
    use managed_certificates as managed;
    use requested_certificates as requested;
    match call {
        C::AddTagsToCertificate(i) => say.out::<acm::AddTagsToCertificate>(managed::add_tags(asked, &i).await),
        C::DeleteCertificate(i) => say.out::<acm::DeleteCertificate>(managed::delete(asked, &i).await),
        C::DescribeCertificate(i) => say.out::<acm::DescribeCertificate>(managed::describe(asked, &i)),
        C::GetCertificate(i) => say.out::<acm::GetCertificate>(managed::get(asked, &i)),
        C::ImportCertificate(i) => say.out::<acm::ImportCertificate>(managed::import(asked, i).await),
        C::ListCertificates(i) => say.out::<acm::ListCertificates>(managed::list(asked, &i)),
        C::ListTagsForCertificate(i) => say.out::<acm::ListTagsForCertificate>(managed::list_tags(asked, &i)),
        C::RemoveTagsFromCertificate(i) => {
            say.out::<acm::RemoveTagsFromCertificate>(managed::remove_tags(asked, &i).await)
        }
        C::RenewCertificate(i) => say.out::<acm::RenewCertificate>(requested::renew(asked, &i).await),
        C::RequestCertificate(i) => say.out::<acm::RequestCertificate>(requested::request(asked, i).await),
    }
}

async fn sns_call(asked: &Asked<'_>, call: sns::Call, say: &Say<'_>) -> Response {
    use sns::Call as C;
    match call {
        C::ConfirmSubscription(i) => say.out::<sns::ConfirmSubscription>(subscriptions::confirm(asked, &i).await),
        C::CreateTopic(i) => say.out::<sns::CreateTopic>(topics::create(asked, i).await),
        C::DeleteTopic(i) => say.out::<sns::DeleteTopic>(topics::delete(asked, &i).await),
        C::GetSubscriptionAttributes(i) => say.out::<sns::GetSubscriptionAttributes>(subscriptions::get(asked, &i)),
        C::GetTopicAttributes(i) => say.out::<sns::GetTopicAttributes>(topics::get(asked, &i)),
        C::ListSubscriptions(i) => say.out::<sns::ListSubscriptions>(subscriptions::list(asked, &i)),
        C::ListSubscriptionsByTopic(i) => {
            say.out::<sns::ListSubscriptionsByTopic>(subscriptions::list_by_topic(asked, &i))
        }
        C::ListTagsForResource(i) => say.out::<sns::ListTagsForResource>(topics::list_tags(asked, &i)),
        C::ListTopics(i) => say.out::<sns::ListTopics>(topics::list(asked, &i)),
        C::Publish(i) => say.out::<sns::Publish>(publish::publish(asked, i).await),
        C::SetSubscriptionAttributes(i) => {
            say.out::<sns::SetSubscriptionAttributes>(subscriptions::set(asked, &i).await)
        }
        C::SetTopicAttributes(i) => say.out::<sns::SetTopicAttributes>(topics::set(asked, &i).await),
        C::Subscribe(i) => say.out::<sns::Subscribe>(subscriptions::subscribe(asked, i).await),
        C::TagResource(i) => say.out::<sns::TagResource>(topics::tag(asked, &i).await),
        C::Unsubscribe(i) => say.out::<sns::Unsubscribe>(subscriptions::unsubscribe(asked, &i).await),
        C::UntagResource(i) => say.out::<sns::UntagResource>(topics::untag(asked, &i).await),
    }
}

async fn cloudwatch_call(asked: &Asked<'_>, call: cloudwatch::Call, say: &Say<'_>) -> Response {
    use cloudwatch::Call as C;
    match call {
        C::GetMetricData(i) => say.out::<cloudwatch::GetMetricData>(metric_data::data(asked, i).await),
        C::GetMetricStatistics(i) => {
            say.out::<cloudwatch::GetMetricStatistics>(metric_data::statistics(asked, i).await)
        }
        C::ListMetrics(i) => say.out::<cloudwatch::ListMetrics>(metric_data::list(asked, &i)),
        C::PutMetricData(i) => say.out::<cloudwatch::PutMetricData>(metric_put::put(asked, i).await),
        C::DeleteAlarms(i) => say.out::<cloudwatch::DeleteAlarms>(alarms::delete(asked, &i).await),
        C::DescribeAlarmHistory(i) => say.out::<cloudwatch::DescribeAlarmHistory>(alarms::history::describe(asked, &i)),
        C::DescribeAlarms(i) => say.out::<cloudwatch::DescribeAlarms>(alarms::shown::describe(asked, &i)),
        C::DescribeAlarmsForMetric(i) => {
            say.out::<cloudwatch::DescribeAlarmsForMetric>(alarms::shown::for_metric(asked, &i))
        }
        C::DisableAlarmActions(i) => {
            say.out::<cloudwatch::DisableAlarmActions>(alarms::switch(asked, &i.alarm_names, false).await)
        }
        C::EnableAlarmActions(i) => {
            say.out::<cloudwatch::EnableAlarmActions>(alarms::switch(asked, &i.alarm_names, true).await)
        }
        C::ListTagsForResource(i) => say.out::<cloudwatch::ListTagsForResource>(alarms::list_tags(asked, &i)),
        C::PutMetricAlarm(i) => say.out::<cloudwatch::PutMetricAlarm>(alarms::put::put(asked, i).await),
        C::SetAlarmState(i) => say.out::<cloudwatch::SetAlarmState>(alarms::set_state(asked, i).await),
        C::TagResource(i) => say.out::<cloudwatch::TagResource>(alarms::tag(asked, &i).await),
        C::UntagResource(i) => say.out::<cloudwatch::UntagResource>(alarms::untag(asked, &i).await),
    }
}

/// What an answer carries besides its output.
pub(super) struct Say<'a> {
    id: &'a str,
    form: Form,
    version: &'a str,
}

impl Say<'_> {
    pub(super) fn out<A: Action>(&self, result: Result<A::Output, Error>) -> Response {
        match result {
            Ok(output) => render::<A>(&output, self.id, self.form, self.version),
            Err(error) => render_error(&error, self.id, self.form),
        }
    }
}

fn taken_apart(request: hyper::Request<Incoming>) -> (Request, Incoming) {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let request = Request {
        method: head.method.as_str().to_owned(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    (request, body)
}

/// Reads a body to its end, or says why it cannot be.
async fn read(mut body: Incoming, into: &mut Vec<u8>) -> Result<(), Error> {
    let too_large = || {
        let text = format!("The request's body is larger than {BODY_BYTES} bytes.");
        Err(Error::sender("RequestEntityTooLarge", text).with_status(413))
    };
    if body.size_hint().lower() > DRAINED_BYTES as u64 {
        return too_large();
    }
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Error::sender("IncompleteBody", "The request's body ended before it was complete."));
        };
        let Some(bytes) = frame.data_ref() else { continue };
        length = length.saturating_add(bytes.len());
        if length > DRAINED_BYTES {
            break;
        }
        let room = BODY_BYTES - into.len();
        into.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    if length > BODY_BYTES { too_large() } else { Ok(()) }
}

fn too_slow() -> Error {
    Error::sender("RequestTimeout", "The request's body did not arrive within the timeout period.").with_status(408)
}

fn unfinished() -> Error {
    Error::receiver("ServiceUnavailable", "The request could not be finished in time. It may still take effect.")
        .with_status(503)
}

/// A handler's answer; `None` if it panicked, which ends nothing but this request.
async fn contained<T>(handled: impl Future<Output = T>) -> Option<T> {
    let mut handled = pin!(handled);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => {
            eprintln!("api: a panic while handling a request");
            Poll::Ready(None)
        }
    })
    .await
}

fn http(response: Response, last: bool) -> hyper::Response<Full<Bytes>> {
    let mut http = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *http.status_mut() =
        hyper::StatusCode::from_u16(response.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    http.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    if let Ok(id) = HeaderValue::from_str(&response.request_id) {
        http.headers_mut().insert("x-amzn-requestid", id);
    }
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            http.headers_mut().insert(name, value);
        }
    }
    if last {
        http.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    http
}

fn is_health_check(request: &Request) -> bool {
    request.method == "GET" && request.path_and_query().0 == "/health"
}

/// What the daemon says and does of itself outside of AWS's APIs.
#[derive(Clone, PartialEq, Eq)]
enum Report {
    Status,
    Metrics,
    /// Why the group of this name is as it is.
    Explain(String),
    Collect {
        dry: bool,
    },
}

impl Report {
    fn asked_for(request: &Request) -> Option<Self> {
        match (request.method.as_str(), request.path_and_query()) {
            ("GET", ("/status", "")) => Some(Self::Status),
            ("GET", ("/metrics", _)) => Some(Self::Metrics),
            ("GET", ("/explain", group)) => {
                let name = percent_encoding::percent_decode_str(group).decode_utf8_lossy();
                Some(Self::Explain(name.into_owned()))
            }
            ("POST", ("/images/collect", "")) => Some(Self::Collect { dry: false }),
            ("POST", ("/images/collect", "dry-run")) => Some(Self::Collect { dry: true }),
            _ => None,
        }
    }

    /// What policies call the right to it.
    fn action(&self) -> &'static str {
        match self {
            Self::Status => "GetStatus",
            Self::Metrics => "GetMetrics",
            Self::Explain(_) => "ExplainAutoScalingGroup",
            Self::Collect { .. } => "CollectImages",
        }
    }

    async fn page(self, api: &Api, id: &str) -> Result<Response, Error> {
        let (body, kind) = match self {
            Self::Status => ((api.reports.status)(), "application/json"),
            Self::Metrics => ((api.reports.metrics)(), "text/plain; version=0.0.4; charset=utf-8"),
            Self::Explain(group) => (scaling::explain::page(api, &group, wall_clock()).await?, "application/json"),
            Self::Collect { dry } => (images::collect(api, dry).await?, "application/json"),
        };
        Ok(Response { body, ..page(kind, id) })
    }
}

fn page(content_type: &'static str, id: &str) -> Response {
    Response { status: 200, content_type, headers: Vec::new(), request_id: id.to_owned(), body: Vec::new() }
}

/// For people and supervisors: this process answers.
fn plain(id: &str) -> hyper::Response<Full<Bytes>> {
    http(Response { body: b"ok\n".into(), ..page("text/plain;charset=UTF-8", id) }, false)
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_contained() {
        let panics = async {
            if std::hint::black_box(true) {
                panic!("on purpose");
            }
        };
        assert_eq!(contained(panics).await, None);
        assert_eq!(contained(async { 1 }).await, Some(1));
    }
}
