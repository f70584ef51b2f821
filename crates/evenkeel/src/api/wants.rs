//! What a call wants: which actions, on which resources, and what a policy's conditions may ask about it.
//!
//! Owns one exhaustive match an API: an action that is not here does not compile. Names and resources are AWS's ("Service
//! Authorization Reference"); what names no resource there is on `*`. Tags that are stated with a new thing want the tagging
//! action as well. Must never judge. Next: [`super::rights`].

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_aws::{Call, acm, cloudwatch, ec2, elb, iam, sns, sts};
use evenkeel_core::name::{
    AlarmName, CertificateArn, GroupId, ImageId, InstanceId, LaunchTemplateId, LoadBalancerName, PolicyArn, TopicArn,
    UserName,
};
use evenkeel_core::noun::LaunchData;
use evenkeel_core::noun::alarm::Action;
use evenkeel_core::noun::alarm::action::Deed;
use evenkeel_core::noun::launch_template::{INSTANCE, USUAL_TYPE};
use evenkeel_core::world::{Settings, World};

use super::caller::Caller;
use super::launch_templates;

/// One action, on all of some resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// Such as `elasticloadbalancing:DeleteLoadBalancer`.
    pub action: String,
    /// At least one.
    pub on: Vec<Thing>,
    /// Condition keys and values.
    pub keys: Vec<(String, String)>,
}

/// One resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thing {
    /// `*` for no resource in particular.
    pub arn: String,
    /// Its tags, if it is there.
    pub tags: BTreeMap<String, String>,
}

/// Makes wants, knowing what there is.
pub(super) struct Wants<'a> {
    pub world: &'a World,
    pub caller: &'a Caller,
}

impl Wants<'_> {
    /// Everything that a call wants; each must be allowed. Empty for what everybody may.
    pub fn of(&self, call: &Call) -> Vec<Want> {
        let name = call.name();
        match call {
            Call::Elb(call) => self.elb(name, call),
            Call::Ec2(call) => self.ec2(name, call),
            Call::Acm(call) => self.acm(name, call),
            Call::AutoScaling(call) => self.autoscaling(name, call),
            Call::Iam(call) => self.iam(name, call),
            Call::Sns(call) => self.sns(name, call),
            Call::Cloudwatch(call) => self.cloudwatch(name, call),
            // AWS: no policy can keep anyone from asking who they are.
            Call::Sts(sts::Call::GetCallerIdentity(_)) => Vec::new(),
        }
    }

    fn elb(&self, name: &str, call: &elb::Call) -> Vec<Want> {
        use elb::Call as C;
        let on = |balancers: Vec<Thing>| Want::new("elasticloadbalancing", name, balancers);
        let one = |balancer: &String| on(vec![self.balancer(balancer)]);
        let instances = |balancer: &String, instances: &[elb::Instance]| {
            let arns = instances.iter().map(|i| ("evenkeel:InstanceArn", self.instance(&i.instance_id).arn));
            one(balancer).knowing(arns)
        };
        let want = match call {
            C::AddTags(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                on(self.balancers(&i.load_balancer_names)).stating(tags)
            }
            C::RemoveTags(i) => {
                let keys = i.tags.iter().map(|tag| ("aws:TagKeys", tag.key.clone()));
                on(self.balancers(&i.load_balancer_names)).knowing(keys)
            }
            C::CreateLoadBalancer(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                let listed = |key: &'static str, of: &Option<evenkeel_aws::xml::Members<String>>| {
                    of.iter().flat_map(|list| list.iter()).map(|text| (key, text.clone())).collect::<Vec<_>>()
                };
                let scheme = i.scheme.clone().unwrap_or_else(|| "internet-facing".into());
                let create = one(&i.load_balancer_name)
                    .knowing([("elasticloadbalancing:Scheme", scheme)])
                    .knowing(listed("elasticloadbalancing:SecurityGroup", &i.security_groups))
                    .knowing(listed("elasticloadbalancing:Subnet", &i.subnets))
                    .knowing(protocols(&i.listeners))
                    .stating(tags);
                return create.tagging("elasticloadbalancing:AddTags");
            }
            C::CreateLoadBalancerListeners(i) => one(&i.load_balancer_name).knowing(protocols(&i.listeners)),
            C::RegisterInstancesWithLoadBalancer(i) => instances(&i.load_balancer_name, &i.instances),
            C::DeregisterInstancesFromLoadBalancer(i) => instances(&i.load_balancer_name, &i.instances),
            C::ApplySecurityGroupsToLoadBalancer(i) => one(&i.load_balancer_name),
            C::AttachLoadBalancerToSubnets(i) => one(&i.load_balancer_name),
            C::ConfigureHealthCheck(i) => one(&i.load_balancer_name),
            C::CreateAppCookieStickinessPolicy(i) => one(&i.load_balancer_name),
            C::CreateLBCookieStickinessPolicy(i) => one(&i.load_balancer_name),
            C::CreateLoadBalancerPolicy(i) => one(&i.load_balancer_name),
            C::DeleteLoadBalancer(i) => one(&i.load_balancer_name),
            C::DeleteLoadBalancerListeners(i) => one(&i.load_balancer_name),
            C::DeleteLoadBalancerPolicy(i) => one(&i.load_balancer_name),
            C::DetachLoadBalancerFromSubnets(i) => one(&i.load_balancer_name),
            C::DisableAvailabilityZonesForLoadBalancer(i) => one(&i.load_balancer_name),
            C::EnableAvailabilityZonesForLoadBalancer(i) => one(&i.load_balancer_name),
            C::ModifyLoadBalancerAttributes(i) => one(&i.load_balancer_name),
            C::SetLoadBalancerListenerSSLCertificate(i) => one(&i.load_balancer_name),
            C::SetLoadBalancerPoliciesForBackendServer(i) => one(&i.load_balancer_name),
            C::SetLoadBalancerPoliciesOfListener(i) => one(&i.load_balancer_name),
            C::DescribeAccountLimits(_)
            | C::DescribeInstanceHealth(_)
            | C::DescribeLoadBalancerAttributes(_)
            | C::DescribeLoadBalancerPolicies(_)
            | C::DescribeLoadBalancerPolicyTypes(_)
            | C::DescribeLoadBalancers(_)
            | C::DescribeTags(_) => on(vec![Thing::any()]),
        };
        vec![want]
    }

    fn ec2(&self, name: &str, call: &ec2::Call) -> Vec<Want> {
        use ec2::Call as C;
        let on = |things: Vec<Thing>| {
            Want::new("ec2", name, things).knowing([("ec2:Region", self.world.settings().region.clone())])
        };
        let instances = |ids: &[String]| on(ids.iter().map(|id| self.instance(id)).collect());
        let group = |id: &Option<String>, name: &Option<String>| on(vec![self.group(id.as_deref(), name.as_deref())]);
        let template =
            |id: &Option<String>, name: &Option<String>| on(vec![self.template(id.as_deref(), name.as_deref())]);
        let new = |kind: &str| on(vec![Thing::new(self.arn("ec2", &format!("{kind}/*")))]);
        let want = match call {
            C::RunInstances(i) => return self.run_instances(i, on(Vec::new())),
            C::CreateSecurityGroup(i) => {
                return new("security-group").stating(stated(&i.tag_specifications)).tagging("ec2:CreateTags");
            }
            C::CreateLaunchTemplate(i) => {
                return new("launch-template").stating(stated(&i.tag_specifications)).tagging("ec2:CreateTags");
            }
            C::CreateLaunchTemplateVersion(i) => template(&i.launch_template_id, &i.launch_template_name),
            C::ModifyLaunchTemplate(i) => template(&i.launch_template_id, &i.launch_template_name),
            C::DeleteLaunchTemplate(i) => template(&i.launch_template_id, &i.launch_template_name),
            C::DeleteLaunchTemplateVersions(i) => template(&i.launch_template_id, &i.launch_template_name),
            C::GetLaunchTemplateData(i) => on(vec![self.instance(&i.instance_id)]),
            C::RegisterImage(i) => {
                let image = Thing::new(self.image_arn("*"));
                return on(vec![image]).stating(stated(&i.tag_specifications)).tagging("ec2:CreateTags");
            }
            C::CreateImage(i) => {
                let things = vec![self.instance(&i.instance_id), Thing::new(self.image_arn("*"))];
                return on(things).stating(stated(&i.tag_specifications)).tagging("ec2:CreateTags");
            }
            C::AuthorizeSecurityGroupEgress(i) => group(&i.0.group_id, &i.0.group_name),
            C::AuthorizeSecurityGroupIngress(i) => group(&i.0.group_id, &i.0.group_name),
            C::RevokeSecurityGroupEgress(i) => group(&i.0.group_id, &i.0.group_name),
            C::RevokeSecurityGroupIngress(i) => group(&i.0.group_id, &i.0.group_name),
            C::DeleteSecurityGroup(i) => group(&i.group_id, &i.group_name),
            C::CreateTags(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                on(i.resource_ids.iter().map(|id| self.tagged(id)).collect()).stating(tags)
            }
            C::DeleteTags(i) => {
                let keys = i.tags.iter().map(|tag| ("aws:TagKeys", tag.key.clone()));
                on(i.resource_ids.iter().map(|id| self.tagged(id)).collect()).knowing(keys)
            }
            C::DeregisterImage(i) => on(vec![self.image(&i.image_id)]),
            C::GetConsoleOutput(i) => on(vec![self.instance(&i.instance_id)]),
            C::DescribeInstanceAttribute(i) => on(vec![self.instance(&i.instance_id)]),
            C::ModifyInstanceAttribute(i) => {
                let mut things = vec![self.instance(&i.instance_id)];
                things.extend(i.group_ids.iter().filter(|id| !id.is_empty()).map(|id| self.group(Some(id), None)));
                on(things)
            }
            C::ResetInstanceAttribute(i) => on(vec![self.instance(&i.instance_id)]),
            C::RebootInstances(i) => instances(&i.instance_ids),
            C::StartInstances(i) => instances(&i.instance_ids),
            C::StopInstances(i) => instances(&i.instance_ids),
            C::TerminateInstances(i) => instances(&i.instance_ids),
            C::DescribeAccountAttributes(_)
            | C::DescribeAvailabilityZones(_)
            | C::DescribeImages(_)
            | C::DescribeInstances(_)
            | C::DescribeInstanceStatus(_)
            | C::DescribeInstanceTypeOfferings(_)
            | C::DescribeInstanceTypes(_)
            | C::DescribeKeyPairs(_)
            | C::DescribeLaunchTemplates(_)
            | C::DescribeLaunchTemplateVersions(_)
            | C::DescribeNetworkInterfaces(_)
            | C::DescribeRegions(_)
            | C::DescribeSecurityGroups(_)
            | C::DescribeSecurityGroupRules(_)
            | C::DescribeSubnets(_)
            | C::DescribeTags(_)
            | C::DescribeVpcAttribute(_)
            | C::DescribeVpcs(_) => on(vec![Thing::any()]),
        };
        vec![want]
    }

    /// A launch is of instances, from an image, and into what it or its launch template names.
    fn run_instances(&self, i: &ec2::RunInstances, want: Want) -> Vec<Want> {
        let template = i.launch_template.as_ref();
        let data = template.and_then(|stated| self.template_data(stated)).cloned().unwrap_or_default();
        let kind = i.instance_type.clone().or(data.instance_type).unwrap_or_else(|| USUAL_TYPE.into());
        let mut tags: Vec<_> = stated(&i.tag_specifications).collect();
        if tags.is_empty() {
            tags.extend(data.tags.get(INSTANCE).cloned().unwrap_or_default());
        }
        let mut on = vec![Thing::new(self.arn("ec2", "instance/*"))];
        let named = |t: &ec2::LaunchTemplateSpecification| {
            self.template(t.launch_template_id.as_deref(), t.launch_template_name.as_deref())
        };
        on.extend(template.map(named));
        let image = i.image_id.clone().or_else(|| data.image.as_ref().map(ToString::to_string));
        on.extend(image.map(|id| self.image(&id)));
        if i.security_group_ids.is_empty() && i.security_groups.is_empty() {
            on.extend(data.group_ids.iter().map(|id| self.group(Some(id.as_str()), None)));
            on.extend(data.group_names.iter().map(|name| self.group(None, Some(name))));
        }
        on.extend(i.subnet_id.as_ref().map(|id| Thing::new(self.arn("ec2", &format!("subnet/{id}")))));
        on.extend(i.key_name.as_ref().map(|name| Thing::new(self.arn("ec2", &format!("key-pair/{name}")))));
        on.extend(i.security_group_ids.iter().map(|id| self.group(Some(id), None)));
        on.extend(i.security_groups.iter().map(|name| self.group(None, Some(name))));
        let mut wants = vec![Want { on, ..want.clone() }.knowing([("ec2:InstanceType", kind)]).stating(tags.clone())];
        if !tags.is_empty() {
            let made = vec![Thing::new(self.arn("ec2", "instance/*"))];
            let keys = [("ec2:CreateAction", "RunInstances".to_owned())];
            wants.push(Want { action: "ec2:CreateTags".into(), on: made, ..want }.knowing(keys).stating(tags));
        }
        wants
    }

    fn acm(&self, name: &str, call: &acm::Call) -> Vec<Want> {
        use acm::Call as C;
        let on = |things: Vec<Thing>| Want::new("acm", name, things);
        let one = |arn: &String| on(vec![self.certificate(arn)]);
        let want = match call {
            C::ImportCertificate(i) => {
                let new = || Thing::new(self.arn("acm", "certificate/*"));
                let thing = i.certificate_arn.as_ref().map_or_else(new, |arn| self.certificate(arn));
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                return on(vec![thing]).stating(tags).tagging("acm:AddTagsToCertificate");
            }
            C::AddTagsToCertificate(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                one(&i.certificate_arn).stating(tags)
            }
            C::RemoveTagsFromCertificate(i) => {
                let keys = i.tags.iter().map(|tag| ("aws:TagKeys", tag.key.clone()));
                one(&i.certificate_arn).knowing(keys)
            }
            C::RequestCertificate(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()));
                let new = Thing::new(self.arn("acm", "certificate/*"));
                return on(vec![new]).stating(tags).tagging("acm:AddTagsToCertificate");
            }
            C::RenewCertificate(i) => one(&i.certificate_arn),
            C::DeleteCertificate(i) => one(&i.certificate_arn),
            C::DescribeCertificate(i) => one(&i.certificate_arn),
            C::GetCertificate(i) => one(&i.certificate_arn),
            C::ListTagsForCertificate(i) => one(&i.certificate_arn),
            C::ListCertificates(_) => on(vec![Thing::any()]),
        };
        vec![want]
    }

    fn iam(&self, name: &str, call: &iam::Call) -> Vec<Want> {
        use iam::Call as C;
        let on = |things: Vec<Thing>| Want::new("iam", name, things);
        let user = |name: &String| on(vec![self.user(Some(name))]);
        let own = |name: &Option<String>| on(vec![self.user(name.as_ref())]);
        let policy = |arn: &String| on(vec![self.policy(arn)]);
        let certificate = |name: &String| on(vec![self.server_certificate(name)]);
        let new = |kind: &str, path: &Option<String>, name: &str| {
            let path = path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
            on(vec![Thing::new(self.iam_arn(&format!("{kind}{path}{name}")))])
        };
        let tags = |tags: &[iam::Tag]| tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect::<Vec<_>>();
        let keys = |keys: &[String]| keys.iter().map(|key| ("aws:TagKeys", key.clone())).collect::<Vec<_>>();
        let want = match call {
            C::CreateUser(i) => {
                return new("user", &i.path, &i.user_name).stating(tags(&i.tags)).tagging("iam:TagUser");
            }
            C::CreatePolicy(i) => {
                return new("policy", &i.path, &i.policy_name).stating(tags(&i.tags)).tagging("iam:TagPolicy");
            }
            C::UploadServerCertificate(i) => {
                let new = new("server-certificate", &i.path, &i.server_certificate_name);
                return new.stating(tags(&i.tags)).tagging("iam:TagServerCertificate");
            }
            C::AttachUserPolicy(i) => user(&i.user_name).knowing([("iam:PolicyARN", i.policy_arn.clone())]),
            C::DetachUserPolicy(i) => user(&i.user_name).knowing([("iam:PolicyARN", i.policy_arn.clone())]),
            C::DeleteUser(i) => user(&i.user_name),
            C::DeleteUserPolicy(i) => user(&i.user_name),
            C::GetUserPolicy(i) => user(&i.user_name),
            C::ListAttachedUserPolicies(i) => user(&i.user_name),
            C::ListGroupsForUser(i) => user(&i.user_name),
            C::ListUserPolicies(i) => user(&i.user_name),
            C::ListUserTags(i) => user(&i.user_name),
            C::PutUserPolicy(i) => user(&i.user_name),
            C::TagUser(i) => user(&i.user_name).stating(tags(&i.tags)),
            C::UntagUser(i) => user(&i.user_name).knowing(keys(&i.tag_keys)),
            C::UpdateUser(i) => {
                // Under its new name as well: else a rename would carry someone out of what they may not touch.
                let held = self.user(Some(&i.user_name));
                let to = i.new_user_name.as_ref().unwrap_or(&i.user_name);
                let path = i.new_path.clone().or_else(|| self.path_of(&i.user_name)).unwrap_or_else(|| "/".into());
                let renamed = Thing { arn: self.iam_arn(&format!("user{path}{to}")), ..held.clone() };
                on(vec![held, renamed])
            }
            C::GetUser(i) => own(&i.user_name),
            C::CreateAccessKey(i) => own(&i.user_name),
            C::DeleteAccessKey(i) => own(&i.user_name),
            C::ListAccessKeys(i) => own(&i.user_name),
            C::UpdateAccessKey(i) => own(&i.user_name),
            C::GetAccessKeyLastUsed(_) => on(vec![Thing::any()]),
            C::SimulatePrincipalPolicy(i) => on(vec![Thing::new(i.policy_source_arn.clone())]),
            C::SimulateCustomPolicy(_) => on(vec![Thing::any()]),
            C::CreatePolicyVersion(i) => policy(&i.policy_arn),
            C::DeletePolicy(i) => policy(&i.policy_arn),
            C::DeletePolicyVersion(i) => policy(&i.policy_arn),
            C::GetPolicy(i) => policy(&i.policy_arn),
            C::GetPolicyVersion(i) => policy(&i.policy_arn),
            C::ListEntitiesForPolicy(i) => policy(&i.policy_arn),
            C::ListPolicyTags(i) => policy(&i.policy_arn),
            C::ListPolicyVersions(i) => policy(&i.policy_arn),
            C::SetDefaultPolicyVersion(i) => policy(&i.policy_arn),
            C::TagPolicy(i) => policy(&i.policy_arn).stating(tags(&i.tags)),
            C::UntagPolicy(i) => policy(&i.policy_arn).knowing(keys(&i.tag_keys)),
            C::DeleteServerCertificate(i) => certificate(&i.server_certificate_name),
            C::GetServerCertificate(i) => certificate(&i.server_certificate_name),
            C::ListServerCertificateTags(i) => certificate(&i.server_certificate_name),
            C::TagServerCertificate(i) => certificate(&i.server_certificate_name).stating(tags(&i.tags)),
            C::UntagServerCertificate(i) => certificate(&i.server_certificate_name).knowing(keys(&i.tag_keys)),
            C::UpdateServerCertificate(i) => certificate(&i.server_certificate_name),
            C::ListUsers(i) => {
                let prefix = i.path_prefix.as_deref().unwrap_or("/");
                on(vec![Thing::new(self.iam_arn(&format!("user{prefix}")))])
            }
            C::ListPolicies(_) | C::ListServerCertificates(_) => on(vec![Thing::any()]),
        };
        vec![want]
    }

    fn sns(&self, name: &str, call: &sns::Call) -> Vec<Want> {
        use sns::Call as C;
        let on = |things: Vec<Thing>| Want::new("sns", name, things);
        let topic = |arn: &str| on(vec![self.topic(arn)]);
        let want = match call {
            C::CreateTopic(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
                return topic(&self.arn("sns", &i.name)).stating(tags).tagging("sns:TagResource");
            }
            C::Subscribe(i) => {
                let endpoint = i.endpoint.clone().unwrap_or_default();
                topic(&i.topic_arn).knowing([("sns:Protocol", i.protocol.clone()), ("sns:Endpoint", endpoint)])
            }
            C::Publish(i) => match i.topic_arn.as_ref().or(i.target_arn.as_ref()) {
                Some(arn) => topic(arn),
                None => on(vec![Thing::any()]),
            },
            C::ConfirmSubscription(i) => topic(&i.topic_arn),
            C::DeleteTopic(i) => topic(&i.topic_arn),
            C::GetTopicAttributes(i) => topic(&i.topic_arn),
            C::ListSubscriptionsByTopic(i) => topic(&i.topic_arn),
            C::SetTopicAttributes(i) => topic(&i.topic_arn),
            C::ListTagsForResource(i) => topic(&i.resource_arn),
            C::TagResource(i) => {
                topic(&i.resource_arn).stating(i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())))
            }
            C::UntagResource(i) => {
                topic(&i.resource_arn).knowing(i.tag_keys.iter().map(|key| ("aws:TagKeys", key.clone())))
            }
            // AWS: of subscriptions there are no resources.
            C::GetSubscriptionAttributes(_)
            | C::SetSubscriptionAttributes(_)
            | C::Unsubscribe(_)
            | C::ListSubscriptions(_)
            | C::ListTopics(_) => on(vec![Thing::any()]),
        };
        vec![want]
    }

    /// AWS: of metrics there are no resources, but which namespace data are put into may be asked. Who has an alarm stop, end or start
    /// an instance anew wants that of EC2 as well.
    fn cloudwatch(&self, name: &str, call: &cloudwatch::Call) -> Vec<Want> {
        use cloudwatch::Call as C;
        let on = |things: Vec<Thing>| Want::new("cloudwatch", name, things);
        let alarms = |names: &[String]| match names {
            [] => on(vec![self.alarm("*")]),
            names => on(names.iter().map(|name| self.alarm(name)).collect()),
        };
        let one = |name: &Option<String>| on(vec![self.alarm(name.as_deref().unwrap_or_default())]);
        let tagged = |arn: &Option<String>| {
            let arn = arn.as_deref().unwrap_or_default();
            on(vec![super::alarms::named_by(arn).map_or_else(|| Thing::new(arn.to_owned()), |name| self.alarm(name))])
        };
        let any = || on(vec![Thing::any()]);
        let want = match call {
            C::PutMetricAlarm(i) => {
                let tags = i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
                let mut wants = one(&i.alarm_name).stating(tags).tagging("cloudwatch:TagResource");
                wants.extend(self.deeds(i));
                return wants;
            }
            C::DeleteAlarms(i) => alarms(&i.alarm_names),
            C::DisableAlarmActions(i) => alarms(&i.alarm_names),
            C::EnableAlarmActions(i) => alarms(&i.alarm_names),
            C::DescribeAlarms(i) => alarms(&i.alarm_names),
            C::DescribeAlarmHistory(i) => on(vec![self.alarm(i.alarm_name.as_deref().unwrap_or("*"))]),
            C::SetAlarmState(i) => one(&i.alarm_name),
            C::ListTagsForResource(i) => tagged(&i.resource_arn),
            C::TagResource(i) => {
                tagged(&i.resource_arn).stating(i.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())))
            }
            C::UntagResource(i) => {
                tagged(&i.resource_arn).knowing(i.tag_keys.iter().map(|key| ("aws:TagKeys", key.clone())))
            }
            C::PutMetricData(i) => any().knowing(i.namespace.iter().map(|name| ("cloudwatch:namespace", name.clone()))),
            C::DescribeAlarmsForMetric(_) | C::GetMetricData(_) | C::GetMetricStatistics(_) | C::ListMetrics(_) => {
                any()
            }
        };
        vec![want]
    }

    /// What an alarm would do to an instance.
    fn deeds(&self, alarm: &cloudwatch::PutMetricAlarm) -> Vec<Want> {
        let named = alarm.dimensions.iter().find(|one| one.name.as_deref() == Some("InstanceId"));
        let instance = self.instance(named.and_then(|one| one.value.as_deref()).unwrap_or("*"));
        let actions = alarm.ok_actions.iter().chain(&alarm.alarm_actions).chain(&alarm.insufficient_data_actions);
        let wanted = |arn: &String| match Action::parse(arn) {
            Ok(Action::Instance(Deed::Stop)) => Some("StopInstances"),
            Ok(Action::Instance(Deed::Terminate)) => Some("TerminateInstances"),
            Ok(Action::Instance(Deed::Reboot | Deed::Recover)) => Some("RebootInstances"),
            Ok(Action::Topic(_) | Action::Scaling(_)) | Err(_) => None,
        };
        let names: BTreeSet<&str> = actions.filter_map(wanted).collect();
        names.into_iter().map(|name| Want::new("ec2", name, vec![instance.clone()])).collect()
    }

    fn alarm(&self, name: &str) -> Thing {
        let held = AlarmName::new(name).ok().and_then(|name| self.world.alarm(&name));
        let arn = self.arn("cloudwatch", &format!("alarm:{name}"));
        Thing { arn, tags: held.map(|alarm| alarm.tags.clone()).unwrap_or_default() }
    }

    fn topic(&self, arn: &str) -> Thing {
        let held = TopicArn::new(arn).ok().and_then(|arn| self.world.topic(&arn));
        Thing { arn: arn.to_owned(), tags: held.map(|t| t.tags.clone()).unwrap_or_default() }
    }

    fn balancer(&self, name: &str) -> Thing {
        let held = LoadBalancerName::new(name).ok().and_then(|name| self.world.load_balancer(&name));
        let arn = self.arn("elasticloadbalancing", &format!("loadbalancer/{name}"));
        Thing { arn, tags: held.map(|lb| lb.tags.clone()).unwrap_or_default() }
    }

    fn balancers(&self, names: &[String]) -> Vec<Thing> {
        names.iter().map(|name| self.balancer(name)).collect()
    }

    fn instance(&self, id: &str) -> Thing {
        let held = InstanceId::new(id).ok().and_then(|id| self.world.instance(&id));
        let arn = instance_arn(self.world.settings(), id);
        Thing { arn, tags: held.map(|i| i.tags.clone()).unwrap_or_default() }
    }

    fn image(&self, id: &str) -> Thing {
        let held = ImageId::new(id).ok().and_then(|id| self.world.image(&id));
        Thing { arn: self.image_arn(id), tags: held.map(|i| i.tags.clone()).unwrap_or_default() }
    }

    /// A group by its id, or by its name where that is all that is stated.
    fn group(&self, id: Option<&str>, name: Option<&str>) -> Thing {
        let by_id = id.and_then(|id| self.world.security_group(&GroupId::new(id).ok()?));
        let held = by_id.or_else(|| self.world.security_groups().find(|group| Some(group.name.as_str()) == name));
        let known = held.map(|group| group.id.as_str()).or(id).unwrap_or("*");
        let arn = self.arn("ec2", &format!("security-group/{known}"));
        Thing { arn, tags: held.map(|group| group.tags.clone()).unwrap_or_default() }
    }

    /// A launch template by its id, or by its name where that is all that is stated.
    fn template(&self, id: Option<&str>, name: Option<&str>) -> Thing {
        let by_id = id.and_then(|id| self.world.launch_template(&LaunchTemplateId::new(id).ok()?));
        let by_name = || self.world.launch_templates().find(|template| Some(template.name.as_str()) == name);
        let held = by_id.or_else(by_name);
        let known = held.map(|template| template.id.as_str()).or(id).unwrap_or("*");
        let arn = self.arn("ec2", &format!("launch-template/{known}"));
        Thing { arn, tags: held.map(|template| template.tags.clone()).unwrap_or_default() }
    }

    /// What the launch template states that a launch names, if there is one.
    fn template_data(&self, stated: &ec2::LaunchTemplateSpecification) -> Option<&LaunchData> {
        let named = launch_templates::specification(stated).ok()?;
        let template = self.world.template_named(&named.template).ok()?;
        Some(&self.world.template_version(template, named.version).ok()?.data)
    }

    /// What CreateTags and DeleteTags name.
    fn tagged(&self, id: &str) -> Thing {
        match id.split_once('-').map(|(kind, _)| kind) {
            Some("ami") => self.image(id),
            Some("sg") => self.group(Some(id), None),
            Some("lt") => self.template(Some(id), None),
            _ => self.instance(id),
        }
    }

    fn certificate(&self, arn: &str) -> Thing {
        let held = CertificateArn::new(arn).ok().and_then(|arn| self.world.certificate(&arn));
        Thing { arn: arn.to_owned(), tags: held.map(|c| c.tags.clone()).unwrap_or_default() }
    }

    fn server_certificate(&self, name: &str) -> Thing {
        let is_it = |own: Option<&str>| own.is_some_and(|own| own.eq_ignore_ascii_case(name));
        match self.world.certificates().find(|held| is_it(held.name())) {
            Some(held) => Thing { arn: held.arn.to_string(), tags: held.tags.clone() },
            None => Thing::new(self.iam_arn(&format!("server-certificate/{name}"))),
        }
    }

    /// A user by name, or whoever calls.
    fn user(&self, name: Option<&String>) -> Thing {
        let account = &self.world.settings().account;
        let held = match (name, self.caller) {
            (Some(name), _) => UserName::new(name).ok().and_then(|name| self.world.user(&name)),
            (None, Caller::User(user)) => Some(user),
            (None, caller) => return Thing::new(caller.arn(self.world.settings())),
        };
        match held {
            Some(user) => Thing { arn: user.arn(account), tags: user.tags.clone() },
            None => Thing::new(self.iam_arn(&format!("user/{}", name.map(String::as_str).unwrap_or_default()))),
        }
    }

    fn path_of(&self, name: &str) -> Option<String> {
        Some(self.world.user(&UserName::new(name).ok()?)?.path.clone())
    }

    fn policy(&self, arn: &str) -> Thing {
        let held = PolicyArn::new(arn).ok().and_then(|arn| self.world.managed_policy(&arn));
        Thing { arn: arn.to_owned(), tags: held.map(|p| p.tags.clone()).unwrap_or_default() }
    }

    fn arn(&self, service: &str, what: &str) -> String {
        let Settings { region, account, .. } = self.world.settings();
        format!("arn:aws:{service}:{region}:{account}:{what}")
    }

    fn iam_arn(&self, what: &str) -> String {
        format!("arn:aws:iam::{}:{what}", self.world.settings().account)
    }

    /// Images are nobody's in particular, as in AWS.
    fn image_arn(&self, id: &str) -> String {
        format!("arn:aws:ec2:{}::image/{id}", self.world.settings().region)
    }
}

/// An instance's ARN.
pub(super) fn instance_arn(settings: &Settings, id: &str) -> String {
    format!("arn:aws:ec2:{}:{}:instance/{id}", settings.region, settings.account)
}

fn protocols(listeners: &[elb::Listener]) -> impl Iterator<Item = (&'static str, String)> + '_ {
    listeners.iter().map(|l| ("elasticloadbalancing:ListenerProtocol", l.protocol.to_ascii_uppercase()))
}

fn stated(specifications: &[ec2::TagSpecification]) -> impl Iterator<Item = (String, String)> + '_ {
    let tags = specifications.iter().flat_map(|s| &s.tags);
    tags.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()))
}

impl Thing {
    /// No resource in particular.
    pub fn any() -> Self {
        Self::new("*".into())
    }

    /// One without tags.
    pub fn new(arn: String) -> Self {
        Self { arn, tags: BTreeMap::new() }
    }
}

impl Want {
    /// An action of a service.
    pub fn new(service: &str, name: &str, on: Vec<Thing>) -> Self {
        Self { action: format!("{service}:{name}"), on, keys: Vec::new() }
    }

    fn knowing(mut self, keys: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.keys.extend(keys.into_iter().map(|(key, value)| (key.to_owned(), value)));
        self
    }

    /// With the tags that the call states.
    pub fn stating(mut self, tags: impl IntoIterator<Item = (String, String)>) -> Self {
        for (key, value) in tags {
            self.keys.push((format!("aws:RequestTag/{key}"), value));
            self.keys.push(("aws:TagKeys".into(), key));
        }
        self
    }

    /// This, and the tagging action too if tags are stated.
    pub fn tagging(self, action: &str) -> Vec<Self> {
        if self.keys.iter().any(|(key, _)| key == "aws:TagKeys") {
            let tag = Self { action: action.to_owned(), ..self.clone() };
            return vec![self, tag];
        }
        vec![self]
    }
}
