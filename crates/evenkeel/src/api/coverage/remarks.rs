//! What is to be known of operations and parameters: which are served in part, which are not, and why.
//!
//! Only what a user could stumble over. A parameter that a handler reads and then ignores must stand here, for no test can
//! find it. Next: [`super`], which holds these tables against AWS's models.

use evenkeel_aws::Api::{self, Acm, Ec2, Elb, Iam, Sns, Sts};

use crate::api::{groups, images, instance_types, launch_templates, network, places, shown, status, tags, vpcs};

/// Whether something is served, and what there is to know of it.
#[derive(Clone, Copy)]
pub(super) enum Served {
    /// As AWS does. The text may be empty.
    Yes(&'static str),
    /// In part, and why.
    Partly(&'static str),
    /// Filters: those of these names, and tags.
    By(&'static [&'static str]),
    /// Not, and why. Ignored where nothing else is said.
    No(&'static str),
}

impl Served {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Yes(_) => "yes",
            Self::Partly(_) | Self::By(_) => "partly",
            Self::No(_) => "no",
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Yes(text) | Self::Partly(text) | Self::No(text) => text.to_owned(),
            Self::By(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("{}, and tags; AWS's others, about what is not here, are refused.", names.join(", "))
            }
        }
    }
}

use Served::{By, No, Partly, Yes};

const NOT_MANAGED: Served = Yes("No resource here is managed by another service: it changes nothing.");
const NO_VOLUMES: Served = No("Ignored: an instance has a folder of the node's disk, not volumes.");
const NO_KERNEL: Served = No("Ignored: instances run on the node's kernel.");
const NO_PREFIX_LISTS: Served = No("There are none: a rule for one is not made. Name the ranges.");
const NO_PEERING: Served = No("Ignored: there is one network, and nobody's besides.");
pub(super) const ONE_ACCOUNT: Served = Yes("There is one account: it changes nothing.");
const RULES_WITHOUT_TAGS: Served = No("Ignored: rules have no tags.");
const KEPT: Served = Partly("Kept and shown as it was stated: it has no effect here.");
const NO_ALIASES: Served = Yes("There is no store of parameters: `ImageId` is an image's id, and it changes nothing.");
const MACHINE: Served = No("Ignored: an instance is a process of the node, not a machine of its own.");

/// API, operation (`*` for all), parameter or a name above some (empty for the operation itself), and what there is to know.
pub(super) const REMARKS: &[(Api, &str, &str, Served)] = &[
    (
        Sns,
        "CreateTopic",
        "Attributes",
        Partly("`DisplayName`; others are refused: no FIFO topics, policies, keys or logs of delivery."),
    ),
    (Sns, "CreateTopic", "DataProtectionPolicy", No("Refused: there are none.")),
    (Sns, "ConfirmSubscription", "", Yes("Unsigned too, as in the link that a subscriber gets.")),
    (Sns, "GetTopicAttributes", "", Yes("The policy is AWS's default one: rights are the callers' policies.")),
    (
        Sns,
        "Publish",
        "",
        Yes("Kept on disk before it is answered; told at least once, for an hour. Documents are not signed."),
    ),
    (Sns, "Publish", "PhoneNumber", No("Refused: there are no text messages.")),
    (Sns, "Publish", "MessageDeduplicationId", No("Refused: there are no FIFO topics.")),
    (Sns, "Publish", "MessageGroupId", No("Refused: there are no FIFO topics.")),
    (
        Sns,
        "SetSubscriptionAttributes",
        "AttributeName",
        Partly("`RawMessageDelivery`; others are refused: every message goes to every subscriber."),
    ),
    (Sns, "SetTopicAttributes", "AttributeName", Partly("`DisplayName`; others are refused.")),
    (Sns, "Subscribe", "Attributes", Partly("`RawMessageDelivery`; others are refused.")),
    (
        Sns,
        "Subscribe",
        "Protocol",
        Partly("`http`, `https`, and with `evenkeel up --smtp-config` `email` and `email-json`."),
    ),
    (
        Sns,
        "Unsubscribe",
        "",
        Yes("Unsigned too, unless the subscriber asked for signatures. There is no message that confirms it."),
    ),
    (Iam, "CreateUser", "PermissionsBoundary", No("Refused: there are no boundaries.")),
    (Iam, "GetAccessKeyLastUsed", "", Yes("Since the daemon's start.")),
    (Iam, "ListGroupsForUser", "", Yes("There are no groups: always empty.")),
    (Iam, "ListPolicies", "", Yes("Of AWS's own policies eight are there, cut to the services that are served.")),
    (Iam, "SimulatePrincipalPolicy", "PolicySourceArn", Partly("Users': there are no groups and roles.")),
    (Iam, "SimulatePrincipalPolicy", "PolicyExclusionList", No("Refused.")),
    (Iam, "SimulateCustomPolicy", "OrderedOrganizationPolicyInputList", No("Refused: there are no organizations.")),
    (Iam, "SimulateCustomPolicy", "PermissionsBoundaryPolicyInputList", No("Refused: there are no boundaries.")),
    (Iam, "SimulateCustomPolicy", "ResourcePolicy", No("Refused: resources have no policies.")),
    (Iam, "SimulateCustomPolicy", "CallerArn", No("Refused: it is for policies of resources.")),
    (Iam, "SimulateCustomPolicy", "ResourceOwner", No("Ignored: there is one account.")),
    (Iam, "SimulateCustomPolicy", "ResourceHandlingOption", No("Ignored: it is for `ec2:RunInstances` with volumes.")),
    (
        Iam,
        "SimulateCustomPolicy",
        "ContextEntries.ContextKeyType",
        Yes("A condition's operator says how its values are compared."),
    ),
    (Iam, "SimulatePrincipalPolicy", "PermissionsBoundaryPolicyInputList", No("Refused: there are no boundaries.")),
    (Iam, "SimulatePrincipalPolicy", "ResourcePolicy", No("Refused: resources have no policies.")),
    (Iam, "SimulatePrincipalPolicy", "CallerArn", No("Refused: it is for policies of resources.")),
    (Iam, "SimulatePrincipalPolicy", "ResourceOwner", No("Ignored: there is one account.")),
    (
        Iam,
        "SimulatePrincipalPolicy",
        "ResourceHandlingOption",
        No("Ignored: it is for `ec2:RunInstances` with volumes."),
    ),
    (
        Iam,
        "SimulatePrincipalPolicy",
        "ContextEntries.ContextKeyType",
        Yes("A condition's operator says how its values are compared."),
    ),
    (Elb, "AddTags", "", Yes("At most 10 tags a load balancer.")),
    (Elb, "CreateLoadBalancer", "Subnets", Yes("Each zone has one.")),
    (
        Elb,
        "DeregisterInstancesFromLoadBalancer",
        "",
        Yes(
            "Never cuts a request in flight, with draining off as well; with it on, what is left is cut at the timeout.",
        ),
    ),
    (
        Elb,
        "DescribeInstanceHealth",
        "Instances.InstanceId",
        Yes("When none is named: in the order of their ids, draining ones last."),
    ),
    (Elb, "DescribeLoadBalancers", "", Yes("Instances are in the order of their ids.")),
    (
        Elb,
        "DescribeLoadBalancers",
        "PageSize",
        Yes("When it is not stated everything is shown, where AWS shows 400: boto 2 asks for no second page."),
    ),
    (
        Elb,
        "DisableAvailabilityZonesForLoadBalancer",
        "",
        Yes(
            "The zone's node goes on answering from the other zones for 120 s, for clients whose DNS cache still names it.",
        ),
    ),
    (
        Elb,
        "ModifyLoadBalancerAttributes",
        "LoadBalancerAttributes.AccessLog.S3BucketName",
        Yes("A folder of the node's, or a bucket of a store that speaks S3's protocol, as `evenkeel up` was told."),
    ),
    (
        Elb,
        "ModifyLoadBalancerAttributes",
        "LoadBalancerAttributes.AdditionalAttributes.Key",
        Yes("`elb.http.desyncmitigationmode`, and Evenkeel's own, which begin with `evenkeel.`."),
    ),
    (Ec2, "*", "IncludeManagedResources", NOT_MANAGED),
    (Ec2, "*", "ResolveAlias", NO_ALIASES),
    (Ec2, "*", "LaunchTemplateData.BlockDeviceMapping", KEPT),
    (Ec2, "*", "LaunchTemplateData.CapacityReservationSpecification", No("Ignored: capacity is what the node has.")),
    (Ec2, "*", "LaunchTemplateData.CpuOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.CreditSpecification", KEPT),
    (Ec2, "*", "LaunchTemplateData.EbsOptimized", KEPT),
    (Ec2, "*", "LaunchTemplateData.ElasticGpuSpecification", MACHINE),
    (Ec2, "*", "LaunchTemplateData.ElasticInferenceAccelerator", MACHINE),
    (Ec2, "*", "LaunchTemplateData.EnclaveOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.HibernationOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.IamInstanceProfile", No("Refused: there are no roles.")),
    (Ec2, "*", "LaunchTemplateData.InstanceMarketOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.InstanceRequirements", No("Ignored: state `InstanceType`.")),
    (
        Ec2,
        "*",
        "LaunchTemplateData.KeyName",
        Partly("Recorded and shown: there is nothing to log in to. Any name will do."),
    ),
    (Ec2, "*", "LaunchTemplateData.KernelId", KEPT),
    (Ec2, "*", "LaunchTemplateData.LicenseSpecification", No("Ignored: nothing is licensed.")),
    (Ec2, "*", "LaunchTemplateData.MaintenanceOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.MetadataOptions", KEPT),
    (Ec2, "*", "LaunchTemplateData.Monitoring", KEPT),
    (
        Ec2,
        "*",
        "LaunchTemplateData.NetworkInterface",
        Partly("Kept and shown: it has no effect here. State `SecurityGroupId` of the template itself."),
    ),
    (Ec2, "*", "LaunchTemplateData.NetworkPerformanceOptions", MACHINE),
    (Ec2, "*", "LaunchTemplateData.Operator", No("Ignored: instances are their owner's to manage.")),
    (Ec2, "*", "LaunchTemplateData.Placement.AvailabilityZone", Yes("")),
    (Ec2, "*", "LaunchTemplateData.Placement", Partly("Kept and shown; only the zone has an effect here.")),
    (
        Ec2,
        "*",
        "LaunchTemplateData.PrivateDnsNameOptions",
        No("Ignored: an instance is named by its address, and the name server answers for it."),
    ),
    (Ec2, "*", "LaunchTemplateData.RamDiskId", KEPT),
    (Ec2, "*", "LaunchTemplateData.SecondaryInterface", No("Ignored: an instance has one address, from the pool.")),
    (
        Ec2,
        "*",
        "LaunchTemplateData.TagSpecification.ResourceType",
        Partly("`instance`; of other kinds they are kept and shown: a launch makes nothing else that has tags."),
    ),
    (Ec2, "CreateLaunchTemplate", "Operator", No("Ignored: launch templates are their owner's to manage.")),
    (
        Ec2,
        "CreateLaunchTemplateVersion",
        "SourceVersion",
        Yes("Parameters are taken over as wholes: groups, and tags, are the source's or the call's."),
    ),
    (
        Ec2,
        "DeleteLaunchTemplateVersions",
        "LaunchTemplateVersion",
        Yes("The default version is told among those not deleted."),
    ),
    (Ec2, "DescribeLaunchTemplates", "Filter", By(launch_templates::FILTERS)),
    (Ec2, "DescribeLaunchTemplateVersions", "Filter", By(launch_templates::VERSION_FILTERS)),
    (Ec2, "DescribeLaunchTemplateVersions", "", Yes("The newest version first.")),
    (Ec2, "GetLaunchTemplateData", "", Yes("What acts here: kernels, volumes and network interfaces are not in it.")),
    (Ec2, "ModifyLaunchTemplate", "ClientToken", Yes("To set a default version twice is to set it once.")),
    (
        Ec2,
        "AuthorizeSecurityGroupEgress",
        "",
        Yes("Recorded and shown: instances reach whom they like, as balancers do."),
    ),
    (Ec2, "AuthorizeSecurityGroupEgress", "TagSpecification", RULES_WITHOUT_TAGS),
    (
        Ec2,
        "AuthorizeSecurityGroupIngress",
        "",
        Yes("Acts on load balancers; instances reach each other on one machine whatever their groups say."),
    ),
    (Ec2, "AuthorizeSecurityGroupIngress", "TagSpecification", RULES_WITHOUT_TAGS),
    (Ec2, "*", "SourceSecurityGroupOwnerId", ONE_ACCOUNT),
    (Ec2, "*", "IpPermissions.Groups.UserId", ONE_ACCOUNT),
    (Ec2, "*", "IpPermissions.Groups.VpcId", Yes("There is one network: it changes nothing.")),
    (Ec2, "*", "IpPermissions.Groups.VpcPeeringConnectionId", NO_PEERING),
    (Ec2, "*", "IpPermissions.Groups.PeeringStatus", NO_PEERING),
    (Ec2, "*", "IpPermissions.PrefixListIds", NO_PREFIX_LISTS),
    (Ec2, "CreateImage", "", Yes("The instance's files, but for those that its image names as `state`.")),
    (Ec2, "CreateImage", "BlockDeviceMapping", NO_VOLUMES),
    (Ec2, "CreateImage", "BootModeOverride", MACHINE),
    (Ec2, "CreateImage", "NoReboot", Yes("No instance is rebooted: it changes nothing.")),
    (Ec2, "CreateImage", "SnapshotLocation", No("Ignored: there is one place.")),
    (Ec2, "CreateSecurityGroup", "VpcId", Yes("The one there is, which is also what it is when it is not stated.")),
    (
        Ec2,
        "CreateTags",
        "ResourceId",
        Partly("Instances, images and security groups: nothing else here has EC2's tags."),
    ),
    (
        Ec2,
        "DeleteTags",
        "ResourceId",
        Partly("Instances, images and security groups: nothing else here has EC2's tags."),
    ),
    (
        Ec2,
        "DeregisterImage",
        "DeleteAssociatedSnapshots",
        No("Ignored: the snapshot that an image names is its files, which go when nothing needs them."),
    ),
    (Ec2, "DescribeAvailabilityZones", "AllAvailabilityZones", Yes("All zones are open to all: it changes nothing.")),
    (Ec2, "DescribeAvailabilityZones", "Filter", By(places::ZONE_FILTERS)),
    (
        Ec2,
        "DescribeImages",
        "",
        Yes(
            "All images are the owner's own. Its files show as one volume, in whole GiB; the snapshot's id is the beginning of their digest.",
        ),
    ),
    (Ec2, "DescribeImages", "Filter", By(images::FILTERS)),
    (Ec2, "DescribeImages", "IncludeDeprecated", Yes("No image is deprecated: it changes nothing.")),
    (Ec2, "DescribeImages", "IncludeDisabled", Yes("No image is disabled: it changes nothing.")),
    (
        Ec2,
        "DescribeInstanceAttribute",
        "Attribute",
        Partly(
            "All that can be described in AWS; of what means nothing here (kernels, volumes, network adapters) nothing is told.",
        ),
    ),
    (Ec2, "DescribeInstanceTypes", "", Yes("The types whose limits Evenkeel knows, on the node's own architecture.")),
    (Ec2, "DescribeInstanceTypes", "Filter", By(instance_types::FILTERS)),
    (
        Ec2,
        "DescribeInstanceTypes",
        "IncludeUnsupportedInRegion",
        No("Ignored: of types that no zone takes nothing is known."),
    ),
    (Ec2, "DescribeInstanceTypeOfferings", "Filter", By(instance_types::OFFERING_FILTERS)),
    (
        Ec2,
        "DescribeInstanceTypeOfferings",
        "LocationType",
        Partly("`region`, `availability-zone` and `availability-zone-id`: there are no outposts."),
    ),
    (Ec2, "DescribeInstances", "", Yes("The public address is the private one. No volumes or network interfaces.")),
    (Ec2, "DescribeInstances", "Filter", By(shown::FILTERS)),
    (Ec2, "DescribeInstanceStatus", "", Yes("`ok` as soon as the application was started; no scheduled events.")),
    (Ec2, "DescribeInstanceStatus", "Filter", By(status::FILTERS)),
    (Ec2, "DescribeKeyPairs", "", Yes("There are none: `KeyName` of `RunInstances` is only recorded.")),
    (Ec2, "DescribeKeyPairs", "Filter", By(network::KEY_FILTERS)),
    (Ec2, "DescribeKeyPairs", "IncludePublicKey", Yes("There are none: it changes nothing.")),
    (
        Ec2,
        "DescribeNetworkInterfaces",
        "",
        Yes("One for each load balancer's node, which tells its address in each zone."),
    ),
    (Ec2, "DescribeNetworkInterfaces", "Filter", By(network::INTERFACE_FILTERS)),
    (Ec2, "DescribeRegions", "", Yes("One; its endpoint is the `Host` that the caller used.")),
    (Ec2, "DescribeRegions", "AllRegions", Yes("There is one: it changes nothing.")),
    (Ec2, "DescribeRegions", "Filter", By(places::REGION_FILTERS)),
    (Ec2, "DescribeSecurityGroupRules", "Filter", By(groups::RULE_FILTERS)),
    (Ec2, "DescribeSecurityGroups", "Filter", By(groups::FILTERS)),
    (Ec2, "DescribeSubnets", "", Yes("One for each zone.")),
    (Ec2, "DescribeSubnets", "Filter", By(vpcs::SUBNET_FILTERS)),
    (Ec2, "DescribeTags", "Filter", By(tags::FILTERS)),
    (Ec2, "DescribeVpcs", "", Yes("One, the default.")),
    (Ec2, "DescribeVpcs", "Filter", By(vpcs::FILTERS)),
    (Ec2, "GetConsoleOutput", "", Yes("The last 64 KiB; the timestamp is that of the call.")),
    (Ec2, "GetConsoleOutput", "Latest", Yes("It always is the latest: it changes nothing.")),
    (
        Ec2,
        "RegisterImage",
        "ImageLocation",
        Partly("The absolute path of a folder or tar file on the node: there are no buckets of images."),
    ),
    (Ec2, "RegisterImage", "Architecture", No("Ignored: the node's is shown.")),
    (Ec2, "RegisterImage", "BillingProduct", No("Ignored: nothing is billed.")),
    (Ec2, "RegisterImage", "BlockDeviceMapping", NO_VOLUMES),
    (Ec2, "RegisterImage", "BootMode", MACHINE),
    (Ec2, "RegisterImage", "EnaSupport", MACHINE),
    (Ec2, "RegisterImage", "ImdsSupport", MACHINE),
    (Ec2, "RegisterImage", "KernelId", NO_KERNEL),
    (Ec2, "RegisterImage", "RamdiskId", NO_KERNEL),
    (Ec2, "RegisterImage", "RootDeviceName", NO_VOLUMES),
    (Ec2, "RegisterImage", "SriovNetSupport", MACHINE),
    (Ec2, "RegisterImage", "TpmSupport", MACHINE),
    (Ec2, "RegisterImage", "UefiData", MACHINE),
    (Ec2, "RegisterImage", "VirtualizationType", MACHINE),
    (Ec2, "RevokeSecurityGroupEgress", "", Yes("As `AuthorizeSecurityGroupEgress`.")),
    (Ec2, "RevokeSecurityGroupIngress", "", Yes("As `AuthorizeSecurityGroupIngress`.")),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "BlockDeviceMapping",
        No("Refused: an instance has a folder of the node's disk, not volumes."),
    ),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "EbsOptimized",
        Partly("`false`, which changes nothing; `true` is refused: there are no volumes."),
    ),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "EnaSupport",
        Partly("`false`, which changes nothing; `true` is refused: instances have no network adapters."),
    ),
    (Ec2, "ModifyInstanceAttribute", "EnclaveOptions", MACHINE),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "GroupId",
        Partly("Recorded and shown: on one machine instances reach each other whatever their groups say."),
    ),
    (Ec2, "ModifyInstanceAttribute", "Kernel", No("Refused: instances run on the node's kernel.")),
    (Ec2, "ModifyInstanceAttribute", "Ramdisk", No("Refused: instances run on the node's kernel.")),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "SourceDestCheck",
        Partly("Recorded and shown: nothing here looks at where an instance's packets come from."),
    ),
    (
        Ec2,
        "ModifyInstanceAttribute",
        "SriovNetSupport",
        No("Refused: instances have no network adapters of their own."),
    ),
    (Ec2, "ResetInstanceAttribute", "", Yes("`kernel` and `ramdisk` are as they were; `sourceDestCheck` is on again.")),
    (Ec2, "RunInstances", "AdditionalInfo", Yes("Reserved by AWS, and ignored.")),
    (Ec2, "RunInstances", "BlockDeviceMapping", NO_VOLUMES),
    (Ec2, "RunInstances", "CapacityReservationSpecification", No("Ignored: capacity is what the node has.")),
    (Ec2, "RunInstances", "CpuOptions", MACHINE),
    (Ec2, "RunInstances", "CreditSpecification", No("Ignored: the instance type's share of the processors is fixed.")),
    (Ec2, "RunInstances", "EbsOptimized", NO_VOLUMES),
    (Ec2, "RunInstances", "ElasticGpuSpecification", MACHINE),
    (Ec2, "RunInstances", "ElasticInferenceAccelerator", MACHINE),
    (Ec2, "RunInstances", "EnablePrimaryIpv6", No("Ignored: an instance has one address, of IPv4.")),
    (Ec2, "RunInstances", "EnclaveOptions", MACHINE),
    (
        Ec2,
        "RunInstances",
        "HibernationOptions",
        No("Ignored: instances cannot hibernate, and `StopInstances` says so."),
    ),
    (
        Ec2,
        "RunInstances",
        "IamInstanceProfile",
        No("Refused: there are no roles. Of their metadata service instances have keys for themselves."),
    ),
    (Ec2, "RunInstances", "InstanceMarketOptions", No("Ignored: no instance is taken away for another's bid.")),
    (
        Ec2,
        "RunInstances",
        "InstanceType",
        Yes(
            "Any; those that `DescribeInstanceTypes` knows bring their limits of memory and processors, and only those are taken in zones that declare what they have.",
        ),
    ),
    (Ec2, "RunInstances", "Ipv6Address", No("Ignored: an instance has one address, of IPv4.")),
    (Ec2, "RunInstances", "Ipv6AddressCount", No("Ignored: an instance has one address, of IPv4.")),
    (Ec2, "RunInstances", "KernelId", NO_KERNEL),
    (Ec2, "RunInstances", "KeyName", Partly("Recorded and shown: there is nothing to log in to. Any name will do.")),
    (Ec2, "RunInstances", "LicenseSpecification", No("Ignored: nothing is licensed.")),
    (
        Ec2,
        "RunInstances",
        "MaintenanceOptions",
        No("Ignored: an instance whose node fails starts again with the node."),
    ),
    (
        Ec2,
        "RunInstances",
        "MetadataOptions",
        No("Ignored: the metadata service answers with and without a session token, and is never off."),
    ),
    (Ec2, "RunInstances", "Monitoring", No("Ignored: `evenkeel` measures all instances alike (`GET /metrics`).")),
    (
        Ec2,
        "RunInstances",
        "NetworkInterface",
        No(
            "Ignored: an instance has one address, from the pool. State `SubnetId` and `SecurityGroupId` of the launch itself.",
        ),
    ),
    (Ec2, "RunInstances", "NetworkPerformanceOptions", MACHINE),
    (Ec2, "RunInstances", "Operator", No("Ignored: instances are their owner's to manage.")),
    (Ec2, "RunInstances", "Placement.AvailabilityZone", Yes("")),
    (Ec2, "RunInstances", "Placement", No("Ignored, but for the zone: there is one node.")),
    (
        Ec2,
        "RunInstances",
        "PrivateDnsNameOptions",
        No("Ignored: an instance is named by its address, and the name server answers for it."),
    ),
    (Ec2, "RunInstances", "PrivateIpAddress", No("Refused: every instance gets an address from the pool.")),
    (Ec2, "RunInstances", "RamdiskId", NO_KERNEL),
    (Ec2, "RunInstances", "SecondaryInterface", No("Ignored: an instance has one address, from the pool.")),
    (
        Ec2,
        "RunInstances",
        "SecurityGroup",
        Partly("Recorded and shown: on one machine instances reach each other whatever their groups say."),
    ),
    (
        Ec2,
        "RunInstances",
        "SecurityGroupId",
        Partly("Recorded and shown: on one machine instances reach each other whatever their groups say."),
    ),
    (
        Ec2,
        "RunInstances",
        "TagSpecification.ResourceType",
        Partly("`instance`: a launch makes nothing else that has tags."),
    ),
    (Ec2, "StartInstances", "AdditionalInfo", Yes("Reserved by AWS, and ignored.")),
    (
        Ec2,
        "StopInstances",
        "Force",
        No("Ignored: an instance is asked to end, and killed when its image's `stop_grace` is over."),
    ),
    (Ec2, "StopInstances", "Hibernate", No("`true` is refused: instances cannot hibernate.")),
    (Ec2, "StopInstances", "SkipOsShutdown", No("Ignored: as `Force`.")),
    (
        Ec2,
        "TerminateInstances",
        "",
        Yes("Waits up to 5 s for requests in flight through load balancers before the instance is told to end."),
    ),
    (
        Ec2,
        "TerminateInstances",
        "Force",
        No("Ignored: an instance is asked to end, and killed when its image's `stop_grace` is over."),
    ),
    (Ec2, "TerminateInstances", "SkipOsShutdown", No("Ignored: as `Force`.")),
    (
        Acm,
        "ListCertificates",
        "Includes.keyTypes",
        Yes("When it is not stated all key types are shown, where AWS shows RSA of 1024 and 2048 bits."),
    ),
    (Acm, "ListCertificates", "Includes.keyUsage", No("Refused: certificates are told apart by their key types only.")),
    (
        Acm,
        "ListCertificates",
        "Includes.extendedKeyUsage",
        No("Refused: certificates are told apart by their key types only."),
    ),
    (Acm, "ListCertificates", "Includes.exportOption", No("Ignored: no certificate can be exported with its key.")),
    (Acm, "ListCertificates", "Includes.managedBy", No("Ignored: no certificate is managed by another service.")),
    (
        Acm,
        "ListCertificates",
        "CertificateKeyPairOrigins",
        No("Ignored: all are listed, wherever their keys were made."),
    ),
    (
        Acm,
        "RequestCertificate",
        "",
        Yes("Certificates come from the ACME server that the daemon was started with (`--acme-directory`)."),
    ),
    (
        Acm,
        "RequestCertificate",
        "ValidationMethod",
        Partly(
            "`HTTP` (HTTP-01, the default) and Evenkeel's own `TLS_ALPN` (TLS-ALPN-01): names are proved by the load balancers \
             themselves. `DNS` and `EMAIL` are refused.",
        ),
    ),
    (Acm, "RequestCertificate", "DomainName", Yes("Without an asterisk: those are proved through DNS only.")),
    (
        Acm,
        "RequestCertificate",
        "KeyAlgorithm",
        Partly("`EC_prime256v1` (the default) and `RSA_2048`; others are refused."),
    ),
    (Acm, "RequestCertificate", "DomainValidationOptions", No("Refused: names are not proved through mail.")),
    (
        Acm,
        "RequestCertificate",
        "CertificateAuthorityArn",
        No("Refused: there is one server to get certificates from."),
    ),
    (
        Acm,
        "RequestCertificate",
        "Options",
        No("Ignored: what is logged publicly is the server's matter, and nothing is exported."),
    ),
    (Acm, "RequestCertificate", "ManagedBy", No("Ignored: no certificate is managed by another service.")),
    (Acm, "RequestCertificate", "CertificateUsage", No("Ignored: what a certificate is for is the server's matter.")),
    (
        Acm,
        "RequestCertificate",
        "RootHierarchyType",
        No("Ignored: which root a certificate leads to is its server's matter."),
    ),
    (
        Acm,
        "RenewCertificate",
        "",
        Yes("At once, for any certificate that was requested: one that failed or timed out is tried again."),
    ),
    (
        Acm,
        "ListCertificates",
        "RootHierarchyTypes",
        No("Ignored: which root a certificate leads to is its issuer's matter."),
    ),
];

/// What is read and is not in AWS's model of today: parameters of four calls that share a shape, each without the others'.
pub(super) const ONLY_HERE: &[(Api, &str, &str)] = &[
    (Ec2, "AuthorizeSecurityGroupEgress", "GroupName"),
    (Ec2, "AuthorizeSecurityGroupEgress", "SecurityGroupRuleId"),
    (Ec2, "AuthorizeSecurityGroupIngress", "SecurityGroupRuleId"),
    (Ec2, "RevokeSecurityGroupEgress", "GroupName"),
];

/// Operations that are not served, and why.
pub(super) struct Absent {
    pub(super) api: Api,
    /// Names and patterns with `*`, between spaces. An operation belongs to the first that fits it.
    pub(super) operations: &'static str,
    pub(super) why: &'static str,
    /// Whether the page names them; else it counts them.
    pub(super) named: bool,
}

pub(super) const fn absent(api: Api, operations: &'static str, why: &'static str) -> Absent {
    Absent { api, operations, why, named: true }
}

pub(super) const ABSENT: &[Absent] = &[
    absent(Sns, "PublishBatch", "One message a call."),
    absent(
        Sns,
        "AddPermission RemovePermission",
        "Topics have no policies of their own: rights are the callers' policies.",
    ),
    absent(Sns, "GetDataProtectionPolicy PutDataProtectionPolicy", "There are no data protection policies."),
    absent(Sns, "*Platform* *EndpointAttributes DeleteEndpoint", "Nothing is pushed to phones."),
    absent(Sns, "*SMS* *PhoneNumber* ListOriginationNumbers", "There are no text messages."),
    absent(
        Ec2,
        "CreateKeyPair DeleteKeyPair ImportKeyPair GetPasswordData",
        "There is nothing to log in to with a key: an instance is an application, and `KeyName` is only recorded.",
    ),
    absent(
        Ec2,
        "GetInstanceTypesFromInstanceRequirements",
        "`DescribeInstanceTypes` finds types by their processors and memory.",
    ),
    absent(
        Ec2,
        "MonitorInstances UnmonitorInstances ReportInstanceStatus GetConsoleScreenshot",
        "All instances are measured alike (`GET /metrics`), and have a console of text.",
    ),
    absent(
        Ec2,
        "CopyImage DescribeImageAttribute ModifyImageAttribute ResetImageAttribute ImportImage ExportImage",
        "An image is a folder, a tar or an OCI archive that `RegisterImage` takes in, or what `CreateImage` takes from an instance; it is the owner's, and stays as it is.",
    ),
    absent(
        Ec2,
        "ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptions*",
        "Revoke the rule and authorize it anew.",
    ),
    absent(
        Ec2,
        "AllocateAddress AssociateAddress DescribeAddresses DisassociateAddress ReleaseAddress",
        "Addresses of instances come from the pool; what stays is a load balancer's name.",
    ),
    absent(
        Ec2,
        "AttachVolume CopySnapshot CreateSnapshot CreateVolume DeleteSnapshot DeleteVolume DescribeSnapshots DescribeVolumes \
         DescribeVolumeStatus DetachVolume",
        "An instance has a folder of the node's disk, not volumes.",
    ),
    absent(
        Ec2,
        "CreateVpc DeleteVpc ModifyVpcAttribute CreateSubnet DeleteSubnet ModifySubnetAttribute CreateDefaultVpc \
         CreateDefaultSubnet *InternetGateway CreateRoute CreateRouteTable DescribeRouteTables DescribeNetworkAcls \
         DescribeVpcClassicLink CreateNetworkInterface AttachNetworkInterface DetachNetworkInterface DeleteNetworkInterface",
        "There is one network, the machine's own: described, never made.",
    ),
    absent(
        Ec2,
        "RequestSpotInstances DescribeSpotInstanceRequests CancelSpotInstanceRequests DescribeSpotPriceHistory \
         CreateFleet DescribeReservedInstances PurchaseReservedInstancesOffering",
        "Nothing is bought here: capacity is what the node has.",
    ),
    Absent {
        api: Ec2,
        operations: "*",
        why: "Gateways, VPNs, peering, fleets, hosts, reservations, address management and more: no part of Evenkeel's world.",
        named: false,
    },
    absent(Iam, "*Role* *InstanceProfile*", "There are no roles; instances have keys for themselves."),
    absent(Iam, "*Group*", "There are no groups: policies are users' own, or shared by being attached."),
    absent(Iam, "*PermissionsBoundary", "There are no permissions boundaries."),
    absent(
        Iam,
        "*Polic* GetContextKeys* GetAccountAuthorizationDetails GetAccountSummary",
        "Policies and users are listed one kind at a time; `SimulatePrincipalPolicy` says what a policy would do.",
    ),
    absent(
        Iam,
        "*LoginProfile* *MFA* *Password* *AccountAlias*",
        "There is no console to log in to: access keys are all there is.",
    ),
    absent(
        Iam,
        "*SAML* *OpenIDConnect* *OutboundWebIdentity* *Organizations* *DelegationRequest* SendDelegationToken",
        "One account, with identities of its own: nobody else's are taken in.",
    ),
    absent(
        Iam,
        "*SSHPublicKey* *SigningCertificate* *ServiceSpecificCredential*",
        "Credentials of services that are not here.",
    ),
    absent(
        Iam,
        "*CredentialReport GetServiceLastAccessed* GenerateServiceLastAccessedDetails *AccountPropert* \
         GetHumanReadableSummary SetSecurityTokenServicePreferences",
        "`evenkeel audit` shows who changed what.",
    ),
    absent(Acm, "ResendValidationEmail", "Names are proved by load balancers, not through mail."),
    absent(Acm, "ListCertificateDomainValidations", "`DescribeCertificate` shows all of them."),
    absent(
        Acm,
        "ExportCertificate RevokeCertificate UpdateCertificateOptions *AccountConfiguration SearchCertificates",
        "Certificates were made or signed elsewhere: who did exports and revokes them. A page of `ListCertificates` shows all.",
    ),
    absent(
        Acm,
        "TagResource UntagResource ListTagsForResource",
        "`AddTagsToCertificate`, `RemoveTagsFromCertificate` and `ListTagsForCertificate` do the same.",
    ),
    absent(Acm, "*Acme*", "Evenkeel is no certificate authority."),
    absent(
        Sts,
        "AssumeRo* GetSessionToken GetFederationToken GetScopedCredentials GetDelegatedAccessToken GetWebIdentityToken",
        "There are no roles, and no temporary keys but those that instances have of their metadata service.",
    ),
    absent(Sts, "DecodeAuthorizationMessage", "What is denied is told in plain text."),
    absent(Sts, "GetAccessKeyInfo", "There is one account."),
];
