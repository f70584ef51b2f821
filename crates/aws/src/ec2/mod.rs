//! EC2, whatever version the client states (boto 2 says 2014-10-01, boto3 2016-11-15): its inputs, outputs and table
//! of actions.
//!
//! Knows names and shapes, not rules. Next: [`instance`], [`instance_type`], [`launch`], [`launch_template`],
//! [`status`], [`attribute`], [`image`], [`place`], [`network`],
//! [`group`], [`vpc`], [`tag`], and [`crate::dispatch`] for what the table makes.
#![allow(missing_docs, reason = "names and meanings of wire fields are AWS's own")]

pub mod attribute;
pub mod group;
pub mod image;
pub mod instance;
pub mod instance_type;
pub mod launch;
pub mod launch_template;
pub mod launch_template_data;
pub mod network;
pub mod place;
pub mod status;
pub mod tag;
pub mod vpc;

pub use attribute::*;
pub use group::*;
pub use image::*;
pub use instance::*;
pub use instance_type::*;
pub use launch::*;
pub use launch_template::*;
pub use launch_template_data::*;
pub use network::*;
pub use place::*;
pub use status::*;
pub use tag::*;
pub use vpc::*;

use serde::{Deserialize, Serialize};

use crate::dispatch::{Api, actions};

actions! {
    Api::Ec2;
    AuthorizeSecurityGroupEgress => AuthorizeOutput,
    AuthorizeSecurityGroupIngress => AuthorizeOutput,
    CreateImage => CreateImageOutput,
    CreateLaunchTemplate => CreateLaunchTemplateOutput,
    CreateLaunchTemplateVersion => CreateLaunchTemplateVersionOutput,
    CreateSecurityGroup => CreateSecurityGroupOutput,
    CreateTags => Done,
    DeleteLaunchTemplate => DeleteLaunchTemplateOutput,
    DeleteLaunchTemplateVersions => DeleteLaunchTemplateVersionsOutput,
    DeleteSecurityGroup => DeleteSecurityGroupOutput,
    DeleteTags => Done,
    DeregisterImage => Done,
    DescribeAccountAttributes => DescribeAccountAttributesOutput,
    DescribeAvailabilityZones => DescribeAvailabilityZonesOutput,
    DescribeImages => DescribeImagesOutput,
    DescribeInstanceAttribute => DescribeInstanceAttributeOutput,
    DescribeInstances => DescribeInstancesOutput,
    DescribeInstanceStatus => DescribeInstanceStatusOutput,
    DescribeInstanceTypeOfferings => DescribeInstanceTypeOfferingsOutput,
    DescribeInstanceTypes => DescribeInstanceTypesOutput,
    DescribeKeyPairs => DescribeKeyPairsOutput,
    DescribeLaunchTemplates => DescribeLaunchTemplatesOutput,
    DescribeLaunchTemplateVersions => DescribeLaunchTemplateVersionsOutput,
    DescribeNetworkInterfaces => DescribeNetworkInterfacesOutput,
    DescribeRegions => DescribeRegionsOutput,
    DescribeSecurityGroupRules => DescribeSecurityGroupRulesOutput,
    DescribeSecurityGroups => DescribeSecurityGroupsOutput,
    DescribeSubnets => DescribeSubnetsOutput,
    DescribeTags => DescribeTagsOutput,
    DescribeVpcAttribute => DescribeVpcAttributeOutput,
    DescribeVpcs => DescribeVpcsOutput,
    GetConsoleOutput => ConsoleOutput,
    GetLaunchTemplateData => GetLaunchTemplateDataOutput,
    ModifyInstanceAttribute => Done,
    ModifyLaunchTemplate => ModifyLaunchTemplateOutput,
    RebootInstances => Done,
    RegisterImage => RegisterImageOutput,
    ResetInstanceAttribute => Done,
    RevokeSecurityGroupEgress => RevokeOutput,
    RevokeSecurityGroupIngress => RevokeOutput,
    RunInstances => Reservation,
    StartInstances => StateChanges,
    StopInstances => StateChanges,
    TerminateInstances => StateChanges,
}

/// The answer of actions that answer nothing: `<return>true</return>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    #[serde(rename = "return")]
    pub done: bool,
}

impl Default for Done {
    fn default() -> Self {
        Self { done: true }
    }
}

/// One `Filter.N` of a Describe call. Values are alternatives, filters must all hold; `*` and `?` are wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    pub name: String,
    #[serde(default, rename = "Value")]
    pub values: Vec<String>,
}
