//! The things people name: load balancers, listeners, policies, certificates and how they are asked for, health checks,
//! instances, their types and launch templates, images, users, topics, alarms, auto scaling groups.
//!
//! Owns their shape and the rules that hold for one thing alone. Must never hold a rule that needs a second thing
//! (a name already taken, an instance that does not exist): those are in [`crate::world`].

pub mod acme_account;
pub mod activity;
pub mod alarm;
pub mod balancing;
pub mod certificate;
pub mod group_notice;
pub mod health_check;
pub mod identity;
pub mod image;
pub mod instance;
pub mod instance_refresh;
pub mod instance_type;
pub mod launch_configuration;
pub mod launch_template;
pub mod listener;
pub mod load_balancer;
pub mod policy;
pub mod requested;
pub mod scaling_group;
pub mod scaling_policy;
pub mod security_group;
pub mod tls_policy;
pub mod topic;
pub mod warm_pool;

pub use acme_account::AcmeAccount;
pub use activity::{Activity, ActivityStatus};
pub use alarm::{Alarm, AlarmSettings, AlarmState, HistoryItem};
pub use balancing::{Algorithm, Balancing, Ejection, HashOn, RetryShare, Setting};
pub use certificate::{Certificate, CertificateOrigin, Facts, Material};
pub use group_notice::{GroupNotice, GroupTold, NotificationType};
pub use health_check::{CheckProtocol, HealthCheck, HealthTarget};
pub use identity::{AccessKey, ManagedPolicy, PolicyVersion, User};
pub use image::{Image, Manifest};
pub use instance::{Instance, InstanceState, InstanceStatus, ShutdownBehavior, StateReason};
pub use instance_refresh::{InstanceRefresh, RefreshMark, RefreshPreferences, RefreshStatus};
pub use instance_type::{Capacity, InstanceType, Usage};
pub use launch_configuration::LaunchConfiguration;
pub use launch_template::{LaunchData, LaunchTemplate, LaunchTemplateVersion};
pub use listener::{Listener, Protocol};
pub use load_balancer::{Attributes, DesyncMode, LeavingNode, LoadBalancer, LogTarget, Scheme};
pub use policy::{Policy, PolicyType};
pub use requested::{Failure, KeyType, Order, Problem, Progress, Proof, Requested};
pub use scaling_group::{AutoScalingGroup, LaunchSource, LifecycleState, Member};
pub use scaling_policy::{ScalingPolicy, ScheduledAction};
pub use security_group::SecurityGroup;
pub use topic::{DeliveryProtocol, Subscription, Topic};
