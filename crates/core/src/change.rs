//! The write surface on one page: every way in which intent can alter.
//!
//! Owns [`Change`] and what each answers with. Must never hold how a Change is carried out or refused: that is
//! [`crate::world`]'s, a file a noun. Ids and numbers that need dice are given by whoever makes the Change. Next: what Changes
//! of some nouns carry: [`instance`], [`launch_template`], [`alarm`], [`scaling`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lifecycle::Wish;
use crate::name::{
    AccessKeyId, CertificateArn, GroupId, IdentityPolicyName, ImageId, InstanceId, LaunchTemplateVersionId,
    LoadBalancerName, PolicyArn, PolicyName, Port, ReservationId, SubscriptionArn, TopicArn, UserName, ZoneName,
};
use crate::noun::image::Size;
use crate::noun::security_group::{Reach, Rule};
use crate::noun::{
    AccessKey, AcmeAccount, Certificate, DesyncMode, HealthCheck, InstanceState, Listener, ManagedPolicy, Manifest,
    Material, Order, PolicyType, Problem, Scheme, SecurityGroup, Setting, Subscription, Topic, User,
};

mod alarm;
mod instance;
mod launch_template;
mod scaling;

pub use alarm::{AlarmChange, NewAlarm};
pub use instance::{EndedBy, InstanceAttribute, NewInstances, Protection, Seen};
pub use launch_template::{NewTemplateVersion, TemplateChange, VersionFate};
pub use scaling::{
    Answer, GroupPatch, NewGroup, NewMember, NewRefresh, RefreshStep, Retirement, ScalingChange, Trigger, Waiting,
};

/// One alteration of intent. Serializable, because each is kept in the audit record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A new load balancer; the same again with the same settings is a success that changes nothing.
    CreateLoadBalancer(NewLoadBalancer),
    /// Its end; a missing one is a success.
    DeleteLoadBalancer {
        /// Which.
        name: LoadBalancerName,
    },
    /// More listeners; an identical one that exists is a success.
    CreateListeners {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Which.
        listeners: Vec<Listener>,
    },
    /// Fewer listeners; absent ports are ignored.
    DeleteListeners {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Their ports.
        ports: Vec<Port>,
    },
    /// Another certificate for an HTTPS or SSL listener.
    SetListenerCertificate {
        /// Of which balancer.
        name: LoadBalancerName,
        /// The listener's port.
        port: Port,
        /// The certificate it shows from now on.
        certificate: CertificateArn,
    },
    /// A new policy, in no use yet.
    CreatePolicy {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Its name, unique there.
        policy: PolicyName,
        /// Its type.
        kind: PolicyType,
        /// Its attributes as a caller states them.
        attributes: Vec<(String, String)>,
    },
    /// A policy's end; an absent one is a success, one in use is not.
    DeletePolicy {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Which.
        policy: PolicyName,
    },
    /// The policies of a listener, in place of those it has.
    SetListenerPolicies {
        /// Of which balancer.
        name: LoadBalancerName,
        /// The listener's port.
        port: Port,
        /// Which; predefined ones need not have been created.
        policies: Vec<PolicyName>,
    },
    /// The policies for a port of the instances, in place of those there are.
    SetBackendPolicies {
        /// Of which balancer.
        name: LoadBalancerName,
        /// The port.
        instance_port: Port,
        /// Which.
        policies: Vec<PolicyName>,
    },
    /// The security groups, in place of those there are.
    SetSecurityGroups {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Their ids, at most 5.
        groups: Vec<String>,
    },
    /// Instances behind a balancer; all or none of a call.
    RegisterInstances {
        /// Behind which balancer.
        name: LoadBalancerName,
        /// Which; registered ones are a success.
        instances: Vec<InstanceId>,
    },
    /// Instances away from a balancer, with draining if it is on.
    DeregisterInstances {
        /// From which balancer.
        name: LoadBalancerName,
        /// Which; ones not registered are a success.
        instances: Vec<InstanceId>,
    },
    /// A deregistered instance has finished, or its time is up.
    EndDraining {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Which instance.
        instance: InstanceId,
    },
    /// Zones in which the balancer has a node.
    EnableZones {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Which.
        zones: Vec<ZoneName>,
        /// Whether they are those of subnets, for balancers in a VPC.
        #[serde(default)]
        by_subnet: bool,
    },
    /// Zones in which it shall have none; one must remain.
    DisableZones {
        /// Of which balancer.
        name: LoadBalancerName,
        /// Which.
        zones: Vec<ZoneName>,
        /// Whether they are those of subnets, for balancers in a VPC.
        #[serde(default)]
        by_subnet: bool,
    },
    /// The node of a disabled zone stops listening.
    EndLeaving {
        /// Of which balancer.
        name: LoadBalancerName,
        /// The zone.
        zone: ZoneName,
    },
    /// What instances are asked.
    ConfigureHealthCheck {
        /// By which balancer.
        name: LoadBalancerName,
        /// The new check.
        health_check: HealthCheck,
    },
    /// Attributes; what is absent stays.
    ModifyAttributes {
        /// Of which balancer.
        name: LoadBalancerName,
        /// The new values.
        patch: AttributesPatch,
    },
    /// Tags on balancers, at most 10 each.
    TagLoadBalancers {
        /// Which.
        names: Vec<LoadBalancerName>,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off balancers.
    UntagLoadBalancers {
        /// Which.
        names: Vec<LoadBalancerName>,
        /// Keys.
        keys: Vec<String>,
    },
    /// New instances.
    RunInstances(NewInstances),
    /// Instances' end, in any state; idempotent.
    TerminateInstances {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Instances stopped, to be started again.
    StopInstances {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Stopped instances started.
    StartInstances {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Running instances started anew; they stay `running`.
    RebootInstances {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Another value for an attribute of an instance.
    SetInstanceAttribute {
        /// Which instance.
        instance: InstanceId,
        /// Which attribute, and its value from now on.
        attribute: InstanceAttribute,
    },
    /// What a driver saw of an instance.
    Report {
        /// Which.
        instance: InstanceId,
        /// Of which boot; news of an older one is ignored.
        boot: u32,
        /// What was seen.
        seen: Seen,
    },
    /// The record of a terminated instance goes.
    ForgetInstance {
        /// Which.
        instance: InstanceId,
    },
    /// What is done to launch templates.
    LaunchTemplate(TemplateChange),
    /// A new image.
    RegisterImage(NewImage),
    /// An image's end; instances that run from it go on.
    DeregisterImage {
        /// Which.
        image: ImageId,
    },
    /// A new image from an instance, pending until its files are taken.
    CreateImage(NewCapture),
    /// What came of taking a pending image's files.
    SettleImage {
        /// Which.
        image: ImageId,
        /// The files, or why there are none, for people.
        outcome: Result<Captured, String>,
    },
    /// Tags on instances and images, at most 50 each.
    CreateTags {
        /// Ids of either kind.
        resources: Vec<String>,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off instances and images.
    DeleteTags {
        /// Ids of either kind.
        resources: Vec<String>,
        /// Keys, and the value a tag must have to go; `None` for any. Empty: all tags go.
        tags: Vec<(String, Option<String>)>,
    },
    /// A new security group.
    CreateSecurityGroup(SecurityGroup),
    /// A security group's end; one in use stays.
    DeleteSecurityGroup {
        /// Which.
        group: GroupId,
    },
    /// More rules of a security group; all or none of a call.
    AuthorizeSecurityGroup {
        /// Which.
        group: GroupId,
        /// Whether they are about connections that its members make, rather than take.
        egress: bool,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// Fewer rules of a security group; all or none of a call.
    RevokeSecurityGroup {
        /// Which.
        group: GroupId,
        /// Whether they are about connections that its members make, rather than take.
        egress: bool,
        /// What the rules are about.
        rules: Vec<Reach>,
    },
    /// A new certificate; a request that is made again with its token is a success that changes nothing.
    CreateCertificate(Certificate),
    /// Another certificate and key under the same name: every listener that shows it shows the new one.
    ReplaceCertificate {
        /// Which.
        certificate: CertificateArn,
        /// What it shows from now on.
        material: Material,
    },
    /// Another name or path for an uploaded certificate; listeners follow.
    RenameCertificate {
        /// Which.
        certificate: CertificateArn,
        /// Its ARN from now on.
        to: CertificateArn,
        /// Its name from now on.
        name: String,
        /// Its path from now on.
        path: String,
    },
    /// A certificate's end; one that a listener shows stays.
    DeleteCertificate {
        /// Which.
        certificate: CertificateArn,
    },
    /// An order for a requested certificate: its challenges are answered from now on.
    OrderCertificate {
        /// Which.
        certificate: CertificateArn,
        /// What is under way.
        order: Order,
    },
    /// The end of an order that came to nothing, or of a try to begin one: its challenges are withdrawn, and it is tried
    /// again later.
    FailCertificate {
        /// Which.
        certificate: CertificateArn,
        /// Why.
        problem: Problem,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A requested certificate is wanted anew, now.
    RenewCertificate {
        /// Which.
        certificate: CertificateArn,
    },
    /// The account at an ACME server.
    SetAcmeAccount(AcmeAccount),
    /// Tags on a certificate, at most 50.
    TagCertificate {
        /// Which.
        certificate: CertificateArn,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off a certificate.
    UntagCertificate {
        /// Which.
        certificate: CertificateArn,
        /// Keys, and the value a tag must have to go; `None` for any.
        tags: Vec<(String, Option<String>)>,
    },
    /// A new user.
    CreateUser(User),
    /// Another name or path for a user; its keys follow.
    RenameUser {
        /// Who.
        user: UserName,
        /// The name from now on.
        to: UserName,
        /// The path from now on.
        path: String,
    },
    /// A user's end; one that still has keys or policies stays.
    DeleteUser {
        /// Who.
        user: UserName,
    },
    /// Tags on a user, at most 50.
    TagUser {
        /// Who.
        user: UserName,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off a user.
    UntagUser {
        /// Who.
        user: UserName,
        /// Keys.
        keys: Vec<String>,
    },
    /// A policy of a user's own, in place of one of that name.
    PutUserPolicy {
        /// Whose.
        user: UserName,
        /// Its name.
        policy: IdentityPolicyName,
        /// JSON, checked by the caller.
        document: Arc<str>,
    },
    /// The end of a user's own policy.
    DeleteUserPolicy {
        /// Whose.
        user: UserName,
        /// Which.
        policy: IdentityPolicyName,
    },
    /// A user goes by a policy from now on.
    AttachUserPolicy {
        /// Who.
        user: UserName,
        /// By which.
        policy: PolicyArn,
    },
    /// A user goes by a policy no more.
    DetachUserPolicy {
        /// Who.
        user: UserName,
        /// By which.
        policy: PolicyArn,
    },
    /// A new access key of a user.
    CreateAccessKey(AccessKey),
    /// Whether an access key counts.
    SetAccessKeyActive {
        /// Whose.
        user: UserName,
        /// Which.
        key: AccessKeyId,
        /// Whether it counts from now on.
        active: bool,
    },
    /// An access key's end.
    DeleteAccessKey {
        /// Whose.
        user: UserName,
        /// Which.
        key: AccessKeyId,
    },
    /// A new policy that can be attached to users.
    CreateManagedPolicy(ManagedPolicy),
    /// Another version of a policy.
    CreatePolicyVersion {
        /// Of which.
        policy: PolicyArn,
        /// JSON, checked by the caller.
        document: Arc<str>,
        /// Whether it is the one that counts.
        as_default: bool,
    },
    /// Another version of a policy counts.
    SetDefaultPolicyVersion {
        /// Of which.
        policy: PolicyArn,
        /// Which.
        version: u32,
    },
    /// The end of a version; the one that counts stays.
    DeletePolicyVersion {
        /// Of which policy.
        policy: PolicyArn,
        /// Which.
        version: u32,
    },
    /// A policy's end; one that is attached or has more versions than one stays.
    DeleteManagedPolicy {
        /// Which.
        policy: PolicyArn,
    },
    /// Tags on a policy, at most 50.
    TagManagedPolicy {
        /// Which.
        policy: PolicyArn,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off a policy.
    UntagManagedPolicy {
        /// Which.
        policy: PolicyArn,
        /// Keys.
        keys: Vec<String>,
    },
    /// A new topic; the same again is a success that changes nothing.
    CreateTopic(Topic),
    /// A topic's end, and that of its subscriptions; a missing one is a success.
    DeleteTopic {
        /// Which.
        topic: TopicArn,
    },
    /// Another display name for a topic.
    NameTopic {
        /// Which.
        topic: TopicArn,
        /// Its display name from now on.
        display_name: String,
    },
    /// Tags on a topic, at most 50.
    TagTopic {
        /// Which.
        topic: TopicArn,
        /// Keys and values.
        tags: BTreeMap<String, String>,
    },
    /// Tags off a topic.
    UntagTopic {
        /// Which.
        topic: TopicArn,
        /// Keys.
        keys: Vec<String>,
    },
    /// A new subscription, to be confirmed; one of the same endpoint that waits for that is asked again, with the new token.
    Subscribe(Subscription),
    /// A subscriber agrees.
    ConfirmSubscription {
        /// To which topic.
        topic: TopicArn,
        /// The digest of the token that was sent to the subscriber.
        token_digest: String,
        /// Whether only somebody who may is to end it.
        guarded: bool,
        /// Whether somebody who may says so, rather than whoever has the token.
        by_caller: bool,
    },
    /// A subscription's end; a missing one is a success.
    Unsubscribe {
        /// Which.
        subscription: SubscriptionArn,
    },
    /// Whether messages are sent as they are.
    SetRawDelivery {
        /// To which subscription.
        subscription: SubscriptionArn,
        /// Whether they are from now on.
        raw: bool,
    },
    /// What auto scaling intends.
    Scale(ScalingChange),
    /// Something about alarms.
    Alarm(AlarmChange),
}

/// What [`Change::CreateLoadBalancer`] wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewLoadBalancer {
    /// Its name.
    pub name: LoadBalancerName,
    /// Who it is meant for.
    pub scheme: Scheme,
    /// At least one.
    pub listeners: Vec<Listener>,
    /// At least one.
    pub zones: Vec<ZoneName>,
    /// Whether it is made for subnets rather than zones.
    #[serde(default)]
    pub in_vpc: bool,
    /// Ids, at most 5.
    pub security_groups: Vec<String>,
    /// At most 10.
    pub tags: BTreeMap<String, String>,
    /// The digits in its DNS name; random.
    pub dns_number: u32,
}

/// What [`Change::ModifyAttributes`] sets; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributesPatch {
    /// Cross-zone balancing.
    pub cross_zone: Option<bool>,
    /// Connection draining.
    pub draining: Option<bool>,
    /// Its longest wait, 1–3600 s.
    pub draining_timeout: Option<Duration>,
    /// 1–4000 s.
    pub idle_timeout: Option<Duration>,
    /// Framing strictness.
    pub desync: Option<DesyncMode>,
    /// How instances are chosen, in the order in which it is set.
    #[serde(default)]
    pub balancing: Vec<Setting>,
    /// Where the access log goes.
    #[serde(default)]
    pub access_log: Option<LogPatch>,
}

/// What of a balancer's access log is set; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPatch {
    /// Whether it is written.
    pub enabled: bool,
    /// Where to.
    pub bucket: Option<String>,
    /// Under which prefix.
    pub prefix: Option<String>,
    /// Minutes that an object covers.
    pub interval: Option<u16>,
}

/// What [`Change::CreateImage`] wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCapture {
    /// Random.
    pub id: ImageId,
    /// One image a name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whose files.
    pub instance: InstanceId,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
}

/// Files that were taken from an instance; they are in the image store already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// SHA-256 of them, in hex.
    pub digest: String,
    /// How large they are.
    pub size: Size,
}

/// What [`Change::RegisterImage`] wants; its files are in the image store already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewImage {
    /// Random.
    pub id: ImageId,
    /// One image a name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it runs.
    pub manifest: Manifest,
    /// Where it came from.
    pub location: String,
    /// SHA-256 of its files, in hex.
    pub digest: String,
    /// How large it is.
    #[serde(default)]
    pub size: Option<Size>,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
}

/// What an accepted Change answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// Nothing was changed, because it was so already.
    Unchanged,
    /// The DNS name of a new (or the same) load balancer.
    DnsName(String),
    /// The instances now registered.
    Instances(Vec<InstanceId>),
    /// The zones now enabled.
    Zones(Vec<ZoneName>),
    /// The reservation that was made, or the one made before with the same token.
    Reservation(ReservationId),
    /// The certificate that was requested before with the same token.
    Certificate(CertificateArn),
    /// Instances' states before and after.
    Transitions(Vec<Transition>),
    /// Instances of the call were protected, of which this is the first: they and all others of their zones are as they were,
    /// and those of other zones were done with as was asked (AWS).
    Protected {
        /// The instance.
        instance: InstanceId,
        /// What was asked.
        wish: Wish,
        /// What protects it.
        by: Protection,
    },
    /// The number of a new version of a policy.
    PolicyVersion(u32),
    /// A subscription, and whether it is confirmed.
    Subscription {
        /// Which.
        arn: SubscriptionArn,
        /// Whether it is confirmed.
        confirmed: bool,
    },
    /// The image that is pending now.
    Image(ImageId),
    /// The version of a launch template that was made, or the one made before with the same token.
    TemplateVersion(LaunchTemplateVersionId),
    /// What came of each version that was to be deleted.
    VersionsDeleted(Vec<(u32, VersionFate)>),
}

/// One instance's state before and after a Change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which.
    pub instance: InstanceId,
    /// Before.
    pub from: InstanceState,
    /// After.
    pub to: InstanceState,
}

impl Change {
    /// The Change's name, for audit records and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateLoadBalancer(_) => "CreateLoadBalancer",
            Self::DeleteLoadBalancer { .. } => "DeleteLoadBalancer",
            Self::CreateListeners { .. } => "CreateListeners",
            Self::DeleteListeners { .. } => "DeleteListeners",
            Self::SetListenerCertificate { .. } => "SetListenerCertificate",
            Self::CreatePolicy { .. } => "CreatePolicy",
            Self::DeletePolicy { .. } => "DeletePolicy",
            Self::SetListenerPolicies { .. } => "SetListenerPolicies",
            Self::SetBackendPolicies { .. } => "SetBackendPolicies",
            Self::SetSecurityGroups { .. } => "SetSecurityGroups",
            Self::RegisterInstances { .. } => "RegisterInstances",
            Self::DeregisterInstances { .. } => "DeregisterInstances",
            Self::EndDraining { .. } => "EndDraining",
            Self::EnableZones { .. } => "EnableZones",
            Self::DisableZones { .. } => "DisableZones",
            Self::EndLeaving { .. } => "EndLeaving",
            Self::ConfigureHealthCheck { .. } => "ConfigureHealthCheck",
            Self::ModifyAttributes { .. } => "ModifyAttributes",
            Self::TagLoadBalancers { .. } => "TagLoadBalancers",
            Self::UntagLoadBalancers { .. } => "UntagLoadBalancers",
            Self::RunInstances(_) => "RunInstances",
            Self::TerminateInstances { .. } => "TerminateInstances",
            Self::StopInstances { .. } => "StopInstances",
            Self::StartInstances { .. } => "StartInstances",
            Self::RebootInstances { .. } => "RebootInstances",
            Self::SetInstanceAttribute { .. } => "SetInstanceAttribute",
            Self::Report { .. } => "Report",
            Self::ForgetInstance { .. } => "ForgetInstance",
            Self::LaunchTemplate(change) => change.name(),
            Self::RegisterImage(_) => "RegisterImage",
            Self::DeregisterImage { .. } => "DeregisterImage",
            Self::CreateImage(_) => "CreateImage",
            Self::SettleImage { .. } => "SettleImage",
            Self::CreateTags { .. } => "CreateTags",
            Self::DeleteTags { .. } => "DeleteTags",
            Self::CreateSecurityGroup(_) => "CreateSecurityGroup",
            Self::DeleteSecurityGroup { .. } => "DeleteSecurityGroup",
            Self::AuthorizeSecurityGroup { .. } => "AuthorizeSecurityGroup",
            Self::RevokeSecurityGroup { .. } => "RevokeSecurityGroup",
            Self::CreateCertificate(_) => "CreateCertificate",
            Self::ReplaceCertificate { .. } => "ReplaceCertificate",
            Self::RenameCertificate { .. } => "RenameCertificate",
            Self::DeleteCertificate { .. } => "DeleteCertificate",
            Self::OrderCertificate { .. } => "OrderCertificate",
            Self::FailCertificate { .. } => "FailCertificate",
            Self::RenewCertificate { .. } => "RenewCertificate",
            Self::SetAcmeAccount(_) => "SetAcmeAccount",
            Self::TagCertificate { .. } => "TagCertificate",
            Self::UntagCertificate { .. } => "UntagCertificate",
            Self::CreateUser(_) => "CreateUser",
            Self::RenameUser { .. } => "RenameUser",
            Self::DeleteUser { .. } => "DeleteUser",
            Self::TagUser { .. } => "TagUser",
            Self::UntagUser { .. } => "UntagUser",
            Self::PutUserPolicy { .. } => "PutUserPolicy",
            Self::DeleteUserPolicy { .. } => "DeleteUserPolicy",
            Self::AttachUserPolicy { .. } => "AttachUserPolicy",
            Self::DetachUserPolicy { .. } => "DetachUserPolicy",
            Self::CreateAccessKey(_) => "CreateAccessKey",
            Self::SetAccessKeyActive { .. } => "SetAccessKeyActive",
            Self::DeleteAccessKey { .. } => "DeleteAccessKey",
            Self::CreateManagedPolicy(_) => "CreateManagedPolicy",
            Self::CreatePolicyVersion { .. } => "CreatePolicyVersion",
            Self::SetDefaultPolicyVersion { .. } => "SetDefaultPolicyVersion",
            Self::DeletePolicyVersion { .. } => "DeletePolicyVersion",
            Self::DeleteManagedPolicy { .. } => "DeleteManagedPolicy",
            Self::TagManagedPolicy { .. } => "TagManagedPolicy",
            Self::UntagManagedPolicy { .. } => "UntagManagedPolicy",
            Self::CreateTopic(_) => "CreateTopic",
            Self::DeleteTopic { .. } => "DeleteTopic",
            Self::NameTopic { .. } => "NameTopic",
            Self::TagTopic { .. } => "TagTopic",
            Self::UntagTopic { .. } => "UntagTopic",
            Self::Subscribe(_) => "Subscribe",
            Self::ConfirmSubscription { .. } => "ConfirmSubscription",
            Self::Unsubscribe { .. } => "Unsubscribe",
            Self::SetRawDelivery { .. } => "SetRawDelivery",
            Self::Scale(change) => change.name(),
            Self::Alarm(change) => change.name(),
        }
    }
}
