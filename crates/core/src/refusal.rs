//! Every reason to say no to a Change, in the words of the domain.
//!
//! Owns the reasons and their texts (AWS's where they were seen live). Must never name an HTTP status or an AWS error
//! code: those are in the house's `api/refusal`, one exhaustive table.

mod scaling;

use thiserror::Error;

pub use scaling::BadScaling;

use crate::change::Protection;
use crate::lifecycle::Wish;
use crate::name::{
    AccessKeyId, AlarmName, CertificateArn, GroupId, IdentityPolicyName, ImageId, InstanceId, LaunchTemplateId,
    LaunchTemplateName, LoadBalancerName, PolicyArn, PolicyName, Port, UserName, ZoneName,
};
use crate::noun::alarm::BadAlarm;
use crate::noun::health_check::BadHealthCheck;
use crate::noun::image::BadManifest;
use crate::noun::launch_template::{TemplateRef, VersionRef};
use crate::noun::policy::BadPolicy;
use crate::noun::security_group::Reach;
use crate::noun::{InstanceState, Protocol};

/// Why a Change was not made. Nothing of a refused Change has happened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A Change of auto scaling.
    #[error(transparent)]
    Scaling(#[from] BadScaling),
    /// No balancer of that name.
    #[error("There is no ACTIVE Load Balancer named '{0}'")]
    NoSuchLoadBalancer(LoadBalancerName),
    /// The name is taken by one with other settings.
    #[error("Load Balancer named '{name}' already exists and it is configured with different {what}.", what = if *.only_tags { "tags" } else { "parameters" })]
    LoadBalancerTaken {
        /// The name.
        name: LoadBalancerName,
        /// Whether only the tags differ.
        only_tags: bool,
    },
    /// The quota of balancers is used up.
    #[error("Exceeded quota of account: {limit} load balancers")]
    TooManyLoadBalancers {
        /// The quota.
        limit: usize,
    },
    /// A balancer without listeners.
    #[error("Listeners cannot be empty")]
    NoListeners,
    /// More listeners than a balancer may have.
    #[error("a load balancer may have at most {limit} listeners")]
    TooManyListeners {
        /// The quota.
        limit: usize,
    },
    /// The port has another listener.
    #[error(
        "A listener already exists for {name} with LoadBalancerPort {port}, but with a different InstancePort, Protocol, or SSLCertificateId"
    )]
    ListenerConflict {
        /// The balancer.
        name: LoadBalancerName,
        /// The port.
        port: Port,
    },
    /// Requests on one side, bytes on the other.
    #[error(
        "Listener protocol {front} cannot be paired with InstanceProtocol {back}: HTTP and HTTPS go with each other, and so do TCP and SSL"
    )]
    LayerMismatch {
        /// To clients.
        front: Protocol,
        /// To instances.
        back: Protocol,
    },
    /// One instance port spoken to both inside and outside TLS.
    #[error("listeners that share InstancePort {port} must all be secure to the instance, or none")]
    InstancePortConflict {
        /// The instance port.
        port: Port,
    },
    /// HTTPS or SSL without a certificate.
    #[error("Secure Listeners need to specify a SSLCertificateId")]
    CertificateNeeded,
    /// A certificate nobody uploaded.
    #[error("Server Certificate not found for the key: {0}")]
    NoSuchCertificate(CertificateArn),
    /// A certificate that was not issued yet.
    #[error("The certificate '{0}' is not issued yet")]
    CertificatePending(CertificateArn),
    /// A certificate for a listener that needs none.
    #[error("A SSLCertificateId goes with HTTPS and SSL listeners only, and this one is {0}")]
    CertificateNotWanted(Protocol),
    /// A listener shows it.
    #[error("Certificate: {certificate} is currently in use by {user}")]
    CertificateInUse {
        /// Which.
        certificate: String,
        /// By which balancer.
        user: LoadBalancerName,
    },
    /// A server certificate of that name exists.
    #[error("The Server Certificate with name {0} already exists.")]
    CertificateTaken(String),
    /// More certificates than may be kept.
    #[error("Cannot exceed quota for ServerCertificatesPerAccount: {limit}")]
    TooManyCertificates {
        /// The quota.
        limit: usize,
    },
    /// A certificate that came from elsewhere.
    #[error("The certificate '{0}' was not requested here")]
    NotRequested(CertificateArn),
    /// More challenges than balancers are given at once.
    #[error("No more than {limit} names can be proved at once")]
    TooManyChallenges {
        /// The limit.
        limit: usize,
    },
    /// No such security group.
    #[error("The security group '{0}' does not exist")]
    NoSuchGroup(GroupId),
    /// A security group of that name exists.
    #[error("The security group '{0}' already exists")]
    GroupTaken(String),
    /// Something is in it, or a rule of another names it.
    #[error("resource {0} has a dependent object")]
    GroupInUse(GroupId),
    /// The default group stays.
    #[error("the specified group: \"{0}\" name: \"default\" cannot be deleted by a user")]
    DefaultGroup(GroupId),
    /// The group has that rule.
    #[error("the specified rule \"{0}\" already exists")]
    RuleTaken(Reach),
    /// The group does not have that rule.
    #[error("The specified rule does not exist in this security group.")]
    NoSuchRule,
    /// More rules than a group may have.
    #[error("The maximum number of rules per security group has been reached: {limit}")]
    TooManyRules {
        /// The limit.
        limit: usize,
    },
    /// More groups than there may be.
    #[error("The maximum number of security groups has been reached: {limit}")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// No listener on that port.
    #[error("There is no listener on port {port} of load balancer '{name}'")]
    NoSuchListener {
        /// The balancer.
        name: LoadBalancerName,
        /// The port.
        port: Port,
    },
    /// No policy of that name.
    #[error("There is no policy with name '{policy}' for load balancer '{name}'")]
    NoSuchPolicy {
        /// The balancer.
        name: LoadBalancerName,
        /// The policy.
        policy: PolicyName,
    },
    /// The balancer has a policy of that name.
    #[error("Policy with name '{policy}' already exists for load balancer '{name}'")]
    PolicyTaken {
        /// The balancer.
        name: LoadBalancerName,
        /// The policy.
        policy: PolicyName,
    },
    /// A name that only predefined policies have.
    #[error("policy names that begin with ELBSecurityPolicy- or ELBSample- are reserved")]
    PolicyNameReserved,
    /// More policies than a balancer may have.
    #[error("a load balancer may have at most {limit} policies")]
    TooManyPolicies {
        /// The quota.
        limit: usize,
    },
    /// What was stated makes no policy.
    #[error("{0}")]
    BadPolicy(#[from] BadPolicy),
    /// Something goes by it.
    #[error("You cannot delete policy '{policy}' because it is in use by {user}")]
    PolicyInUse {
        /// Which.
        policy: PolicyName,
        /// By what, in words.
        user: String,
    },
    /// A policy where its type does not belong.
    #[error("policy '{policy}' cannot be set here: {why}")]
    PolicyMisplaced {
        /// Which.
        policy: PolicyName,
        /// Why not.
        why: &'static str,
    },
    /// No listener speaks to instances on that port.
    #[error("no listener of load balancer '{name}' has the instance port {port}")]
    NoSuchInstancePort {
        /// The balancer.
        name: LoadBalancerName,
        /// The port.
        port: Port,
    },
    /// Zones of a balancer with subnets, or subnets of one with zones.
    #[error("load balancer '{name}' was made for {}", if *.in_vpc { "subnets: attach and detach those" } else { "availability zones: enable and disable those" })]
    WrongNetwork {
        /// The balancer.
        name: LoadBalancerName,
        /// Whether it was made for subnets.
        in_vpc: bool,
    },
    /// A port below 1024 that this process may not bind.
    #[error(
        "port {port} needs a privilege that this node lacks: grant it with `setcap cap_net_bind_service=+ep` on the binary or `sysctl net.ipv4.ip_unprivileged_port_start=0`, or start with `--port-shift 8000`"
    )]
    PortNeedsPrivilege {
        /// The port.
        port: Port,
    },
    /// No such zone here.
    #[error("Invalid availability zone: {0}")]
    NoSuchZone(ZoneName),
    /// A balancer without zones.
    #[error("Either AvailabilityZones or SubnetIds must be specified")]
    NoZones,
    /// Disabling would leave none.
    #[error("a load balancer must keep at least one availability zone")]
    LastZone,
    /// The pool that addresses come from is used up.
    #[error("no free address is left in the pool {pool}")]
    PoolExhausted {
        /// The pool.
        pool: String,
    },
    /// Unknown instances.
    #[error("{text}", text = no_such_instances(.0))]
    NoSuchInstances(Vec<InstanceId>),
    /// A terminated instance cannot be registered.
    #[error("Instance {0} is in terminated state and cannot be registered.")]
    InstanceTerminated(InstanceId),
    /// More instances than a balancer may have.
    #[error("a load balancer may have at most {limit} registered instances")]
    TooManyRegistered {
        /// The quota.
        limit: usize,
    },
    /// A health check outside its limits.
    #[error(transparent)]
    BadHealthCheck(#[from] BadHealthCheck),
    /// A number outside its range.
    #[error("{what} must be from {low} to {high}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The lowest allowed.
        low: u64,
        /// The highest allowed.
        high: u64,
    },
    /// A value that goes only with another.
    #[error("{0}")]
    BadCombination(&'static str),
    /// Too many tags on one thing.
    #[error("at most {limit} tags may be set on one resource")]
    TooManyTags {
        /// The limit.
        limit: usize,
    },
    /// A tag key or value outside its length.
    #[error("tag {what} must be {low} to {high} characters")]
    TagLength {
        /// `key` or `value`.
        what: &'static str,
        /// The lowest allowed.
        low: usize,
        /// The highest allowed.
        high: usize,
    },
    /// `aws:` is not for people.
    #[error("Tag keys starting with 'aws:' are reserved for internal use")]
    TagReserved,
    /// Unknown thing to tag.
    #[error("The ID '{0}' does not exist")]
    NoSuchResource(String),
    /// Unknown image.
    #[error("The image id '[{0}]' does not exist")]
    NoSuchImage(ImageId),
    /// An image that is pending, or has failed.
    #[error("The image id '[{0}]' is not available")]
    ImageUnavailable(ImageId),
    /// Unknown launch template.
    #[error("The specified launch template, with template {0}, does not exist.")]
    NoSuchTemplate(TemplateRef),
    /// A version that the launch template does not have.
    #[error("Could not find the specified version {version} for the launch template with ID {template}.")]
    NoSuchTemplateVersion {
        /// Which template.
        template: LaunchTemplateId,
        /// The version as it was stated.
        version: VersionRef,
    },
    /// The launch template's name is taken.
    #[error("Launch template name already in use.")]
    TemplateNameTaken(LaunchTemplateName),
    /// More launch templates, or versions, than there may be.
    #[error("You have reached the maximum number of {what}: {limit}")]
    TooManyTemplates {
        /// Of what.
        what: &'static str,
        /// The quota.
        limit: usize,
    },
    /// Neither a call nor its launch template states it.
    #[error("The request must contain the parameter {0}")]
    Missing(&'static str),
    /// No security group of that name.
    #[error("The security group '{0}' does not exist")]
    NoSuchGroupNamed(String),
    /// The image name is taken.
    #[error("AMI name {name} is already in use by AMI {image}")]
    ImageNameTaken {
        /// The name.
        name: String,
        /// Who has it.
        image: ImageId,
    },
    /// A manifest that breaks its rules.
    #[error(transparent)]
    BadManifest(#[from] BadManifest),
    /// More instances than this node runs.
    #[error(
        "You have requested more instances ({wanted}) than your current instance limit of {limit} allows: {running} are there already"
    )]
    InstanceLimit {
        /// How many were wanted.
        wanted: usize,
        /// How many there are.
        running: usize,
        /// The limit.
        limit: usize,
    },
    /// A zone has no room for them.
    #[error("{text}", text = no_capacity(instance_type, zone.as_ref(), others))]
    NoCapacity {
        /// Of which type.
        instance_type: String,
        /// The zone that was wanted, if any was.
        zone: Option<ZoneName>,
        /// Zones that have room.
        others: Vec<ZoneName>,
    },
    /// A type without limits, in zones that count what their instances may use.
    #[error("{text}", text = not_offered(instance_type, zone.as_ref(), others))]
    TypeNotOffered {
        /// Which.
        instance_type: String,
        /// The zone that was wanted, if any was.
        zone: Option<ZoneName>,
        /// Zones that offer it.
        others: Vec<ZoneName>,
    },
    /// A type that gives less than the image needs.
    #[error(
        "The instance type '{instance_type}' gives {gives} {what}, and the image needs {needs}. Specify an instance type that gives as much, and try again."
    )]
    TypeTooSmall {
        /// The type.
        instance_type: String,
        /// The unit and of what.
        what: &'static str,
        /// What the image needs.
        needs: u32,
        /// What the type gives.
        gives: u32,
    },
    /// The state does not allow it.
    #[error("The instance '{instance}' is not in a state from which it can be {wanted}; it is {}", .state.as_str())]
    WrongState {
        /// Which.
        instance: InstanceId,
        /// Its state.
        state: InstanceState,
        /// `started`, `stopped`, `rebooted`, `imaged`, `modified`.
        wanted: &'static str,
    },
    /// Protected against it.
    #[error(
        "The instance '{instance}' may not be {}. Modify its '{}' instance attribute and try again.",
        .wish.fulfilled(), .by.as_str()
    )]
    Protected {
        /// Which.
        instance: InstanceId,
        /// What was asked.
        wish: Wish,
        /// What protects it.
        by: Protection,
    },
    /// Something that is changed only while an instance is stopped.
    #[error("The instance '{0}' is not in the 'stopped' state.")]
    NotStopped(InstanceId),
    /// A token used before with other parameters.
    #[error("The client token '{0}' was used before with different parameters")]
    TokenReused(String),
    /// No such user.
    #[error("The user with name {0} cannot be found.")]
    NoSuchUser(UserName),
    /// A user of that name exists.
    #[error("User with name {0} already exists.")]
    UserTaken(UserName),
    /// The user has no such access key.
    #[error("The Access Key with id {0} cannot be found.")]
    NoSuchAccessKey(AccessKeyId),
    /// The user has no such policy of its own.
    #[error("The user policy with name {0} cannot be found.")]
    NoSuchUserPolicy(IdentityPolicyName),
    /// No such policy, or it is not attached.
    #[error("Policy {0} was not found.")]
    NoSuchManagedPolicy(PolicyArn),
    /// A policy of that name exists.
    #[error("A policy called {0} already exists. Duplicate names are not allowed.")]
    ManagedPolicyTaken(IdentityPolicyName),
    /// The policy has no such version.
    #[error("Policy {policy} version v{version} does not exist or is not attachable.")]
    NoSuchPolicyVersion {
        /// Which.
        policy: PolicyArn,
        /// Its version.
        version: u32,
    },
    /// The version that counts stays.
    #[error("Cannot delete the default version of a policy.")]
    DefaultVersion,
    /// Somebody goes by it.
    #[error("Cannot delete a policy attached to entities.")]
    PolicyAttached,
    /// It has more than one version.
    #[error(
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."
    )]
    StillVersions,
    /// A predefined policy stays as it is.
    #[error("Policy {0} is predefined and cannot be changed.")]
    PolicyPredefined(PolicyArn),
    /// A user who still has something.
    #[error("Cannot delete entity, must {0} first.")]
    StillNeeded(&'static str),
    /// Policies longer than they may be.
    #[error("Maximum policy size of {limit} bytes exceeded for {what}")]
    PolicyTooLong {
        /// `user` or `policy`.
        what: &'static str,
        /// In characters, white space not counted.
        limit: usize,
    },
    /// More users, keys or policies than there may be.
    #[error("Cannot exceed quota for {what}: {limit}")]
    Quota {
        /// AWS's name of the quota.
        what: &'static str,
        /// The quota.
        limit: usize,
    },
    /// No such topic.
    #[error("Topic does not exist")]
    NoSuchTopic,
    /// A topic of that name is otherwise.
    #[error("Topic already exists with different {0}")]
    TopicDiffers(&'static str),
    /// More topics than there may be.
    #[error("Topic Limit Exceeded: {limit}")]
    TooManyTopics {
        /// The quota.
        limit: usize,
    },
    /// No such subscription.
    #[error("Subscription does not exist")]
    NoSuchSubscription,
    /// The endpoint is subscribed otherwise.
    #[error("Subscription already exists with different attributes")]
    SubscriptionDiffers,
    /// More subscriptions than a topic may have.
    #[error("Subscription Limit Exceeded: {limit} of a topic")]
    TooManySubscriptions {
        /// The quota.
        limit: usize,
    },
    /// A token that nobody was sent, or that counts no more.
    #[error("Token")]
    BadToken,
    /// Messages as they are to somebody who is not told by POST.
    #[error("Attributes Reason: Delivery protocol does not support raw message delivery.")]
    NoRawDelivery,
    /// No alarms of these names.
    #[error("{text}", text = no_such_alarms(.0))]
    NoSuchAlarms(Vec<AlarmName>),
    /// More alarms than there may be.
    #[error("The maximum number of alarms has been reached: {limit}")]
    TooManyAlarms {
        /// The quota.
        limit: usize,
    },
    /// What was stated makes no alarm.
    #[error(transparent)]
    BadAlarm(#[from] BadAlarm),
    /// An id that exists already: whoever threw the dice shall throw again.
    #[error("the id `{0}` is taken")]
    IdTaken(String),
}

fn no_capacity(instance_type: &str, zone: Option<&ZoneName>, others: &[ZoneName]) -> String {
    let Some(zone) = zone else {
        return format!("We currently do not have sufficient {instance_type} capacity in any Availability Zone.");
    };
    let text = format!(
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone})."
    );
    if others.is_empty() {
        return text;
    }
    let others = list(others);
    format!(
        "{text} You can currently get {instance_type} capacity by not specifying an Availability Zone in your request or choosing {others}."
    )
}

fn not_offered(instance_type: &str, zone: Option<&ZoneName>, others: &[ZoneName]) -> String {
    let Some(zone) = zone else {
        return format!(
            "Your requested instance type ({instance_type}) is not supported in any Availability Zone: all of them count what their instances may use, and that of this type is not known."
        );
    };
    let text = format!(
        "Your requested instance type ({instance_type}) is not supported in your requested Availability Zone ({zone})."
    );
    if others.is_empty() {
        return text;
    }
    let others = list(others);
    format!("{text} Please retry your request by not specifying an Availability Zone or choosing {others}.")
}

fn list(zones: &[ZoneName]) -> String {
    zones.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(", ")
}

fn no_such_instances(ids: &[InstanceId]) -> String {
    let list = ids.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(", ");
    if ids.len() == 1 {
        format!("The instance ID '{list}' does not exist")
    } else {
        format!("The instance IDs '{list}' do not exist")
    }
}

fn no_such_alarms(names: &[AlarmName]) -> String {
    let list = names.iter().map(AlarmName::as_str).collect::<Vec<_>>().join(", ");
    if names.len() == 1 {
        format!("The alarm '{list}' does not exist")
    } else {
        format!("The alarms '{list}' do not exist")
    }
}
