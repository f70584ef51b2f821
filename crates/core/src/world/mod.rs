//! The World: the whole intended state, in memory, one value.
//!
//! Owns what is intended and the rules between things. [`World::decide`] judges a [`Change`] and says which rows it
//! would write; [`World::absorb`] takes rows in. They are apart so that the Keeper can commit rows to the Store between
//! them, and so that loading from the Store and living through the Changes end in the same World (the replay law).
//! Must never do I/O. The rules themselves are a file a noun: [`balancers`], [`policies`], [`certificates`], [`requests`], [`groups`],
//! [`identities`],
//! [`instances`], [`capacity`], [`launch_templates`], [`images`], [`topics`], [`alarms`], [`scaling`], [`tags`].

pub mod alarms;
mod balancers;
mod capacity;
mod certificates;
mod groups;
pub mod identities;
mod images;
mod instances;
mod invariants;
pub mod launch_templates;
pub mod policies;
mod pool;
pub mod requests;
pub mod scaling;
pub mod tags;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use pool::Pool;

use crate::change::{Change, Reply};
use crate::name::{
    AccessKeyId, ActivityId, AlarmName, AutoScalingGroupName, CertificateArn, GroupId, ImageId, InstanceId,
    LaunchConfigurationName, LaunchTemplateId, LaunchTemplateVersionId, LoadBalancerName, PolicyArn, SubscriptionArn,
    TopicArn, UserName, ZoneName,
};
use crate::noun::{
    AccessKey, AcmeAccount, Activity, Alarm, AutoScalingGroup, Capacity, Certificate, HistoryItem, Image, Instance,
    InstanceState, LaunchConfiguration, LaunchTemplate, LaunchTemplateVersion, LoadBalancer, ManagedPolicy,
    SecurityGroup, Subscription, Topic, User,
};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What is configured at start rather than changed by Changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The region's name, such as `us-east-1`.
    pub region: String,
    /// The zones there are, in order.
    pub zones: Vec<ZoneName>,
    /// How much zones have for their instances; one that is not here has as much as is asked of it.
    pub capacity: BTreeMap<ZoneName, Capacity>,
    /// The owner's account id: 12 digits.
    pub account: String,
    /// What balancers' DNS names end in, such as `elb.evenkeel.test`.
    pub dns_domain: String,
    /// Where balancers' node addresses come from.
    pub node_pool: Pool,
    /// Where instances' private addresses come from.
    pub instance_pool: Pool,
    /// Where those in zones with a pool of their own come from.
    pub instance_pools: BTreeMap<ZoneName, Pool>,
    /// The lowest port this process may bind; 0 for any.
    pub lowest_port: u16,
    /// Added to ports below `lowest_port` when they are bound; 0 for none, and then such listeners are refused.
    pub port_shift: u16,
    /// Quotas.
    pub limits: Limits,
}

impl Settings {
    /// Where private addresses of instances in this zone come from.
    #[must_use]
    pub fn instance_pool_of(&self, zone: &ZoneName) -> Pool {
        self.instance_pools.get(zone).copied().unwrap_or(self.instance_pool)
    }
}

/// Quotas; AWS's defaults where AWS has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Load balancers (AWS: 20).
    pub load_balancers: usize,
    /// Listeners of one (AWS: 100).
    pub listeners: usize,
    /// Registered instances of one (AWS: 1000).
    pub registered: usize,
    /// Instances that are not terminated.
    pub instances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { load_balancers: 500, listeners: 100, registered: 1000, instances: 10_000 }
    }
}

/// The whole intended state. Cloning shares every record, so a snapshot costs pointers, not copies.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    settings: Arc<Settings>,
    generation: u64,
    load_balancers: BTreeMap<LoadBalancerName, Arc<LoadBalancer>>,
    instances: BTreeMap<InstanceId, Arc<Instance>>,
    images: BTreeMap<ImageId, Arc<Image>>,
    launch_templates: BTreeMap<LaunchTemplateId, Arc<LaunchTemplate>>,
    template_versions: BTreeMap<LaunchTemplateVersionId, Arc<LaunchTemplateVersion>>,
    certificates: BTreeMap<CertificateArn, Arc<Certificate>>,
    acme_accounts: BTreeMap<String, Arc<AcmeAccount>>,
    security_groups: BTreeMap<GroupId, Arc<SecurityGroup>>,
    users: BTreeMap<UserName, Arc<User>>,
    access_keys: BTreeMap<AccessKeyId, Arc<AccessKey>>,
    managed_policies: BTreeMap<PolicyArn, Arc<ManagedPolicy>>,
    topics: BTreeMap<TopicArn, Arc<Topic>>,
    subscriptions: BTreeMap<SubscriptionArn, Arc<Subscription>>,
    launch_configurations: BTreeMap<LaunchConfigurationName, Arc<LaunchConfiguration>>,
    scaling_groups: BTreeMap<AutoScalingGroupName, Arc<AutoScalingGroup>>,
    members: scaling::Members,
    told: BTreeMap<String, scaling::Told>,
    activities: BTreeMap<ActivityId, Arc<Activity>>,
    alarms: BTreeMap<AlarmName, Arc<Alarm>>,
    alarm_pasts: BTreeMap<AlarmName, Arc<alarms::past::Past>>,
}

/// One record as the Store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Row {
    /// A load balancer.
    LoadBalancer(LoadBalancer),
    /// An instance.
    Instance(Instance),
    /// An image.
    Image(Image),
    /// A certificate.
    Certificate(Certificate),
    /// An account at an ACME server.
    AcmeAccount(AcmeAccount),
    /// A security group.
    SecurityGroup(SecurityGroup),
    /// A user.
    User(User),
    /// A user's access key.
    AccessKey(AccessKey),
    /// A policy that can be attached to users.
    ManagedPolicy(ManagedPolicy),
    /// A topic.
    Topic(Topic),
    /// A subscription.
    Subscription(Subscription),
    /// A launch configuration.
    LaunchConfiguration(LaunchConfiguration),
    /// An auto scaling group.
    AutoScalingGroup(AutoScalingGroup),
    /// A scaling activity.
    Activity(Activity),
    /// An alarm.
    Alarm(Alarm),
    /// Something in an alarm's life.
    AlarmHistory(HistoryItem),
    /// A launch template.
    LaunchTemplate(LaunchTemplate),
    /// A version of a launch template.
    LaunchTemplateVersion(LaunchTemplateVersion),
}

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A load balancer by name.
    LoadBalancer(LoadBalancerName),
    /// An instance by id.
    Instance(InstanceId),
    /// An image by id.
    Image(ImageId),
    /// A certificate by ARN.
    Certificate(CertificateArn),
    /// An account at an ACME server by its directory.
    AcmeAccount(String),
    /// A security group by id.
    SecurityGroup(GroupId),
    /// A user by name.
    User(UserName),
    /// An access key by id.
    AccessKey(AccessKeyId),
    /// A policy by ARN.
    ManagedPolicy(PolicyArn),
    /// A topic by ARN.
    Topic(TopicArn),
    /// A subscription by ARN.
    Subscription(SubscriptionArn),
    /// A launch configuration by name.
    LaunchConfiguration(LaunchConfigurationName),
    /// An auto scaling group by name.
    AutoScalingGroup(AutoScalingGroupName),
    /// A scaling activity by id.
    Activity(ActivityId),
    /// An alarm by name.
    Alarm(AlarmName),
    /// Something in an alarm's life, by alarm and id.
    AlarmHistory(AlarmName, String),
    /// A launch template by id.
    LaunchTemplate(LaunchTemplateId),
    /// A version of a launch template.
    LaunchTemplateVersion(LaunchTemplateVersionId),
}

/// One row to write.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every write is a put; a box would only add an allocation")]
pub enum Write {
    /// Insert or replace.
    Put(Row),
    /// Remove.
    Remove(Key),
}

/// An accepted Change: what it answers, and what it writes. No writes: it was so already.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The answer.
    pub reply: Reply,
    /// The rows, in no particular order, each key at most once.
    pub writes: Vec<Write>,
}

impl Row {
    /// Which record this is.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::LoadBalancer(lb) => Key::LoadBalancer(lb.name.clone()),
            Self::Instance(instance) => Key::Instance(instance.id.clone()),
            Self::Image(image) => Key::Image(image.id.clone()),
            Self::Certificate(certificate) => Key::Certificate(certificate.arn.clone()),
            Self::AcmeAccount(account) => Key::AcmeAccount(account.directory.clone()),
            Self::SecurityGroup(group) => Key::SecurityGroup(group.id.clone()),
            Self::User(user) => Key::User(user.name.clone()),
            Self::AccessKey(key) => Key::AccessKey(key.id.clone()),
            Self::ManagedPolicy(policy) => Key::ManagedPolicy(policy.arn.clone()),
            Self::Topic(topic) => Key::Topic(topic.arn.clone()),
            Self::Subscription(subscription) => Key::Subscription(subscription.arn.clone()),
            Self::LaunchConfiguration(held) => Key::LaunchConfiguration(held.name.clone()),
            Self::AutoScalingGroup(group) => Key::AutoScalingGroup(group.name.clone()),
            Self::Activity(activity) => Key::Activity(activity.id.clone()),
            Self::Alarm(alarm) => Key::Alarm(alarm.name.clone()),
            Self::AlarmHistory(item) => Key::AlarmHistory(item.alarm.clone(), item.id.clone()),
            Self::LaunchTemplate(template) => Key::LaunchTemplate(template.id.clone()),
            Self::LaunchTemplateVersion(version) => Key::LaunchTemplateVersion(version.id.clone()),
        }
    }
}

impl Key {
    /// The kind, as the Store names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LoadBalancer(_) => "load_balancer",
            Self::Instance(_) => "instance",
            Self::Image(_) => "image",
            Self::Certificate(_) => "certificate",
            Self::AcmeAccount(_) => "acme_account",
            Self::SecurityGroup(_) => "security_group",
            Self::User(_) => "user",
            Self::AccessKey(_) => "access_key",
            Self::ManagedPolicy(_) => "managed_policy",
            Self::Topic(_) => "topic",
            Self::Subscription(_) => "subscription",
            Self::LaunchConfiguration(_) => "launch_configuration",
            Self::AutoScalingGroup(_) => "auto_scaling_group",
            Self::Activity(_) => "scaling_activity",
            Self::Alarm(_) => "alarm",
            Self::AlarmHistory(..) => "alarm_history",
            Self::LaunchTemplate(_) => "launch_template",
            Self::LaunchTemplateVersion(_) => "launch_template_version",
        }
    }

    /// The name within the kind.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::LoadBalancer(name) => name.as_str(),
            Self::Instance(id) => id.as_str(),
            Self::Image(id) => id.as_str(),
            Self::Certificate(arn) => arn.as_str(),
            Self::AcmeAccount(directory) => directory,
            Self::SecurityGroup(id) => id.as_str(),
            Self::User(name) => name.as_str(),
            Self::AccessKey(id) => id.as_str(),
            Self::ManagedPolicy(arn) => arn.as_str(),
            Self::Topic(arn) => arn.as_str(),
            Self::Subscription(arn) => arn.as_str(),
            Self::LaunchConfiguration(name) => name.as_str(),
            Self::AutoScalingGroup(name) => name.as_str(),
            Self::Activity(id) => id.as_str(),
            Self::Alarm(name) => name.as_str(),
            Self::AlarmHistory(_, id) => id,
            Self::LaunchTemplate(id) => id.as_str(),
            Self::LaunchTemplateVersion(id) => id.as_str(),
        }
    }
}

impl World {
    /// A World with nothing in it.
    #[must_use]
    pub fn empty(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            generation: 0,
            load_balancers: BTreeMap::new(),
            instances: BTreeMap::new(),
            images: BTreeMap::new(),
            launch_templates: BTreeMap::new(),
            template_versions: BTreeMap::new(),
            certificates: BTreeMap::new(),
            acme_accounts: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            users: BTreeMap::new(),
            access_keys: BTreeMap::new(),
            managed_policies: BTreeMap::new(),
            topics: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            launch_configurations: BTreeMap::new(),
            scaling_groups: BTreeMap::new(),
            members: Default::default(),
            told: BTreeMap::new(),
            activities: BTreeMap::new(),
            alarms: BTreeMap::new(),
            alarm_pasts: BTreeMap::new(),
        }
    }

    /// The World that rows from a Store make.
    #[must_use]
    pub fn load(settings: Settings, generation: u64, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut world = Self::empty(settings);
        for row in rows {
            world.put(row);
        }
        world.generation = generation;
        world
    }

    /// Judges a Change: what it answers and writes, or why it is refused. Changes nothing.
    pub fn decide(&self, change: &Change, now: Timestamp) -> Result<Decision, Refusal> {
        match change {
            Change::CreateLoadBalancer(new) => self.create_load_balancer(new, now),
            Change::DeleteLoadBalancer { name } => Ok(self.delete_load_balancer(name)),
            Change::CreateListeners { name, listeners } => self.create_listeners(name, listeners),
            Change::DeleteListeners { name, ports } => self.delete_listeners(name, ports),
            Change::SetListenerCertificate { name, port, certificate } => {
                self.set_listener_certificate(name, *port, certificate)
            }
            Change::CreatePolicy { name, policy, kind, attributes } => {
                self.create_policy(name, policy, *kind, attributes)
            }
            Change::DeletePolicy { name, policy } => self.delete_policy(name, policy),
            Change::SetListenerPolicies { name, port, policies } => self.set_listener_policies(name, *port, policies),
            Change::SetBackendPolicies { name, instance_port, policies } => {
                self.set_backend_policies(name, *instance_port, policies)
            }
            Change::SetSecurityGroups { name, groups } => self.set_security_groups(name, groups),
            Change::RegisterInstances { name, instances } => self.register_instances(name, instances),
            Change::DeregisterInstances { name, instances } => self.deregister_instances(name, instances, now),
            Change::EndDraining { name, instance } => self.end_draining(name, instance),
            Change::EnableZones { name, zones, by_subnet } => self.enable_zones(name, zones, *by_subnet),
            Change::DisableZones { name, zones, by_subnet } => self.disable_zones(name, zones, *by_subnet, now),
            Change::EndLeaving { name, zone } => self.end_leaving(name, zone),
            Change::ConfigureHealthCheck { name, health_check } => self.configure_health_check(name, health_check),
            Change::ModifyAttributes { name, patch } => self.modify_attributes(name, patch),
            Change::TagLoadBalancers { names, tags } => self.tag_load_balancers(names, tags),
            Change::UntagLoadBalancers { names, keys } => self.untag_load_balancers(names, keys),
            Change::RunInstances(new) => self.run_instances(new, now),
            Change::TerminateInstances { instances } => self.terminate_instances(instances, now),
            Change::StopInstances { instances } => self.stop_instances(instances, now),
            Change::StartInstances { instances } => self.start_instances(instances, now),
            Change::RebootInstances { instances } => self.reboot_instances(instances, now),
            Change::SetInstanceAttribute { instance, attribute } => self.set_instance_attribute(instance, attribute),
            Change::Report { instance, boot, seen } => Ok(self.report(instance, *boot, seen, now)),
            Change::ForgetInstance { instance } => Ok(self.forget_instance(instance)),
            Change::LaunchTemplate(change) => self.change_template(change, now),
            Change::RegisterImage(new) => self.register_image(new, now),
            Change::DeregisterImage { image } => self.deregister_image(image),
            Change::CreateImage(new) => self.create_image(new, now),
            Change::SettleImage { image, outcome } => self.settle_image(image, outcome),
            Change::CreateTags { resources, tags } => self.create_tags(resources, tags),
            Change::DeleteTags { resources, tags } => self.delete_tags(resources, tags),
            Change::CreateSecurityGroup(new) => self.create_security_group(new),
            Change::DeleteSecurityGroup { group } => self.delete_security_group(group),
            Change::AuthorizeSecurityGroup { group, egress, rules } => self.authorize(group, *egress, rules),
            Change::RevokeSecurityGroup { group, egress, rules } => self.revoke(group, *egress, rules),
            Change::CreateCertificate(new) => self.create_certificate(new, now),
            Change::ReplaceCertificate { certificate, material } => {
                self.replace_certificate(certificate, material, now)
            }
            Change::RenameCertificate { certificate, to, name, path } => {
                self.rename_certificate(certificate, to, name, path)
            }
            Change::DeleteCertificate { certificate } => self.delete_certificate(certificate),
            Change::OrderCertificate { certificate, order } => self.order_certificate(certificate, order),
            Change::FailCertificate { certificate, problem, retry_after } => {
                self.fail_certificate(certificate, problem, *retry_after, now)
            }
            Change::RenewCertificate { certificate } => self.renew_certificate(certificate, now),
            Change::SetAcmeAccount(account) => Ok(self.set_acme_account(account)),
            Change::TagCertificate { certificate, tags } => self.tag_certificate(certificate, tags),
            Change::UntagCertificate { certificate, tags } => self.untag_certificate(certificate, tags),
            Change::CreateUser(new) => self.create_user(new),
            Change::RenameUser { user, to, path } => self.rename_user(user, to, path),
            Change::DeleteUser { user } => self.delete_user(user),
            Change::TagUser { user, tags } => self.tag_user(user, tags),
            Change::UntagUser { user, keys } => self.untag_user(user, keys),
            Change::PutUserPolicy { user, policy, document } => self.put_user_policy(user, policy, document),
            Change::DeleteUserPolicy { user, policy } => self.delete_user_policy(user, policy),
            Change::AttachUserPolicy { user, policy } => self.attach_user_policy(user, policy),
            Change::DetachUserPolicy { user, policy } => self.detach_user_policy(user, policy),
            Change::CreateAccessKey(new) => self.create_access_key(new),
            Change::SetAccessKeyActive { user, key, active } => self.set_access_key_active(user, key, *active),
            Change::DeleteAccessKey { user, key } => self.delete_access_key(user, key),
            Change::CreateManagedPolicy(new) => self.create_managed_policy(new),
            Change::CreatePolicyVersion { policy, document, as_default } => {
                self.create_policy_version(policy, document, *as_default, now)
            }
            Change::SetDefaultPolicyVersion { policy, version } => {
                self.set_default_policy_version(policy, *version, now)
            }
            Change::DeletePolicyVersion { policy, version } => self.delete_policy_version(policy, *version, now),
            Change::DeleteManagedPolicy { policy } => self.delete_managed_policy(policy),
            Change::TagManagedPolicy { policy, tags } => self.tag_managed_policy(policy, tags),
            Change::UntagManagedPolicy { policy, keys } => self.untag_managed_policy(policy, keys),
            Change::CreateTopic(new) => self.create_topic(new),
            Change::DeleteTopic { topic } => Ok(self.delete_topic(topic)),
            Change::NameTopic { topic, display_name } => self.name_topic(topic, display_name),
            Change::TagTopic { topic, tags } => self.tag_topic(topic, tags),
            Change::UntagTopic { topic, keys } => self.untag_topic(topic, keys),
            Change::Subscribe(new) => self.subscribe(new),
            Change::ConfirmSubscription { topic, token_digest, guarded, by_caller } => {
                self.confirm_subscription(topic, token_digest, *guarded, *by_caller, now)
            }
            Change::Unsubscribe { subscription } => Ok(self.unsubscribe(subscription)),
            Change::SetRawDelivery { subscription, raw } => self.set_raw_delivery(subscription, *raw),
            Change::Scale(change) => self.scale(change, now),
            Change::Alarm(change) => self.change_alarms(change, now),
        }
    }

    /// Takes in the writes of one accepted Change; the generation grows by one if there are any.
    pub fn absorb(&mut self, writes: &[Write]) {
        if writes.is_empty() {
            return;
        }
        self.generation += 1;
        for write in writes {
            match write {
                Write::Put(row) => self.put(row.clone()),
                Write::Remove(Key::LoadBalancer(name)) => drop(self.load_balancers.remove(name)),
                Write::Remove(Key::Instance(id)) => drop(self.instances.remove(id)),
                Write::Remove(Key::Image(id)) => drop(self.images.remove(id)),
                Write::Remove(Key::Certificate(arn)) => drop(self.certificates.remove(arn)),
                Write::Remove(Key::AcmeAccount(directory)) => drop(self.acme_accounts.remove(directory)),
                Write::Remove(Key::SecurityGroup(id)) => drop(self.security_groups.remove(id)),
                Write::Remove(Key::User(name)) => drop(self.users.remove(name)),
                Write::Remove(Key::AccessKey(id)) => drop(self.access_keys.remove(id)),
                Write::Remove(Key::ManagedPolicy(arn)) => drop(self.managed_policies.remove(arn)),
                Write::Remove(Key::Topic(arn)) => drop(self.topics.remove(arn)),
                Write::Remove(Key::Subscription(arn)) => drop(self.subscriptions.remove(arn)),
                Write::Remove(Key::LaunchConfiguration(name)) => drop(self.launch_configurations.remove(name)),
                Write::Remove(Key::AutoScalingGroup(name)) => self.drop_group(name),
                Write::Remove(Key::Activity(id)) => self.remove_activity(id),
                Write::Remove(Key::Alarm(name)) => drop(self.alarms.remove(name)),
                Write::Remove(Key::AlarmHistory(alarm, id)) => self.remove_history(alarm, id),
                Write::Remove(Key::LaunchTemplate(id)) => drop(self.launch_templates.remove(id)),
                Write::Remove(Key::LaunchTemplateVersion(id)) => drop(self.template_versions.remove(id)),
            }
        }
    }

    /// Judges a Change and takes it in: what tests, replays and simulations use, where no Store stands between.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Reply, Refusal> {
        let decision = self.decide(change, now)?;
        self.absorb(&decision.writes);
        Ok(decision.reply)
    }

    /// What is configured.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many writing Changes made this World.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A load balancer by its exact name.
    #[must_use]
    pub fn load_balancer(&self, name: &LoadBalancerName) -> Option<&Arc<LoadBalancer>> {
        self.load_balancers.get(name)
    }

    /// All load balancers, by name.
    pub fn load_balancers(&self) -> impl Iterator<Item = &Arc<LoadBalancer>> {
        self.load_balancers.values()
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> Option<&Arc<Instance>> {
        self.instances.get(id)
    }

    /// All instances, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.values()
    }

    /// An image.
    #[must_use]
    pub fn image(&self, id: &ImageId) -> Option<&Arc<Image>> {
        self.images.get(id)
    }

    /// All images, by id.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// A certificate.
    #[must_use]
    pub fn certificate(&self, arn: &CertificateArn) -> Option<&Arc<Certificate>> {
        self.certificates.get(arn)
    }

    /// All certificates, by ARN.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.values()
    }

    /// The account at the ACME server of a directory.
    #[must_use]
    pub fn acme_account(&self, directory: &str) -> Option<&Arc<AcmeAccount>> {
        self.acme_accounts.get(directory)
    }

    /// A security group.
    #[must_use]
    pub fn security_group(&self, id: &GroupId) -> Option<&Arc<SecurityGroup>> {
        self.security_groups.get(id)
    }

    /// All security groups, by id.
    pub fn security_groups(&self) -> impl Iterator<Item = &Arc<SecurityGroup>> {
        self.security_groups.values()
    }

    /// A topic.
    #[must_use]
    pub fn topic(&self, arn: &TopicArn) -> Option<&Arc<Topic>> {
        self.topics.get(arn)
    }

    /// All topics, by ARN.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// A subscription.
    #[must_use]
    pub fn subscription(&self, arn: &SubscriptionArn) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(arn)
    }

    /// All subscriptions, by ARN.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions.values()
    }

    /// A topic's subscriptions, by ARN.
    pub fn subscriptions_of<'w>(&'w self, topic: &'w TopicArn) -> impl Iterator<Item = &'w Arc<Subscription>> + 'w {
        self.subscriptions.values().filter(move |held| held.topic == *topic)
    }

    /// A launch configuration.
    #[must_use]
    pub fn launch_configuration(&self, name: &LaunchConfigurationName) -> Option<&Arc<LaunchConfiguration>> {
        self.launch_configurations.get(name)
    }

    /// All launch configurations, by name.
    pub fn launch_configurations(&self) -> impl Iterator<Item = &Arc<LaunchConfiguration>> {
        self.launch_configurations.values()
    }

    /// An auto scaling group.
    #[must_use]
    pub fn scaling_group(&self, name: &AutoScalingGroupName) -> Option<&Arc<AutoScalingGroup>> {
        self.scaling_groups.get(name)
    }

    /// All auto scaling groups, by name.
    pub fn scaling_groups(&self) -> impl Iterator<Item = &Arc<AutoScalingGroup>> {
        self.scaling_groups.values()
    }

    /// A scaling activity.
    #[must_use]
    pub fn activity(&self, id: &ActivityId) -> Option<&Arc<Activity>> {
        self.activities.get(id)
    }

    /// All scaling activities, in no order.
    pub fn activities(&self) -> impl Iterator<Item = &Arc<Activity>> {
        self.activities.values()
    }

    /// An alarm.
    #[must_use]
    pub fn alarm(&self, name: &AlarmName) -> Option<&Arc<Alarm>> {
        self.alarms.get(name)
    }

    /// All alarms, by name.
    pub fn alarms(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        self.alarms.values()
    }

    /// Every record as a row: what a Store that lived through the same Changes holds.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let load_balancers = self.load_balancers.values().map(|lb| Row::LoadBalancer(lb.as_ref().clone()));
        let instances = self.instances.values().map(|i| Row::Instance(i.as_ref().clone()));
        let images = self.images.values().map(|i| Row::Image(i.as_ref().clone()));
        let certificates = self.certificates.values().map(|c| Row::Certificate(c.as_ref().clone()));
        let accounts = self.acme_accounts.values().map(|a| Row::AcmeAccount(a.as_ref().clone()));
        let groups = self.security_groups.values().map(|g| Row::SecurityGroup(g.as_ref().clone()));
        let users = self.users.values().map(|u| Row::User(u.as_ref().clone()));
        let keys = self.access_keys.values().map(|k| Row::AccessKey(k.as_ref().clone()));
        let policies = self.managed_policies.values().map(|p| Row::ManagedPolicy(p.as_ref().clone()));
        let acting = load_balancers.chain(instances).chain(images).chain(certificates).chain(accounts).chain(groups);
        let topics = self.topics.values().map(|t| Row::Topic(t.as_ref().clone()));
        let subscriptions = self.subscriptions.values().map(|s| Row::Subscription(s.as_ref().clone()));
        let configurations = self.launch_configurations.values();
        let configurations = configurations.map(|c| Row::LaunchConfiguration(c.as_ref().clone()));
        let scaled = self.scaling_groups.values().map(|g| Row::AutoScalingGroup(g.as_ref().clone()));
        let activities = self.activities.values().map(|a| Row::Activity(a.as_ref().clone()));
        let scaling = configurations.chain(scaled).chain(activities);
        let alarms = self.alarms.values().map(|a| Row::Alarm(a.as_ref().clone()));
        let pasts = self.alarm_pasts.values().flat_map(|past| past.values());
        let pasts = pasts.map(|item| Row::AlarmHistory(item.as_ref().clone()));
        let told = topics.chain(subscriptions).chain(alarms).chain(pasts);
        acting.chain(users).chain(keys).chain(policies).chain(told).chain(scaling).chain(self.template_rows())
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::LoadBalancer(lb) => drop(self.load_balancers.insert(lb.name.clone(), Arc::new(lb))),
            Row::Instance(instance) => drop(self.instances.insert(instance.id.clone(), Arc::new(instance))),
            Row::Image(image) => drop(self.images.insert(image.id.clone(), Arc::new(image))),
            Row::Certificate(c) => drop(self.certificates.insert(c.arn.clone(), Arc::new(c))),
            Row::AcmeAccount(a) => drop(self.acme_accounts.insert(a.directory.clone(), Arc::new(a))),
            Row::SecurityGroup(g) => drop(self.security_groups.insert(g.id.clone(), Arc::new(g))),
            Row::User(u) => drop(self.users.insert(u.name.clone(), Arc::new(u))),
            Row::AccessKey(k) => drop(self.access_keys.insert(k.id.clone(), Arc::new(k))),
            Row::ManagedPolicy(p) => drop(self.managed_policies.insert(p.arn.clone(), Arc::new(p))),
            Row::Topic(t) => drop(self.topics.insert(t.arn.clone(), Arc::new(t))),
            Row::Subscription(s) => drop(self.subscriptions.insert(s.arn.clone(), Arc::new(s))),
            Row::LaunchConfiguration(c) => drop(self.launch_configurations.insert(c.name.clone(), Arc::new(c))),
            Row::AutoScalingGroup(g) => self.put_group(g),
            Row::Activity(a) => self.put_activity(a),
            Row::Alarm(a) => drop(self.alarms.insert(a.name.clone(), Arc::new(a))),
            Row::AlarmHistory(item) => self.put_history(item),
            Row::LaunchTemplate(t) => drop(self.launch_templates.insert(t.id.clone(), Arc::new(t))),
            Row::LaunchTemplateVersion(v) => drop(self.template_versions.insert(v.id.clone(), Arc::new(v))),
        }
    }

    /// Instances that count against limits: all that are not terminated.
    fn living(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.values().filter(|i| i.state != InstanceState::Terminated)
    }
}

impl Decision {
    /// An answer that writes nothing.
    fn unchanged(reply: Reply) -> Self {
        Self { reply, writes: Vec::new() }
    }
}
