//! The honest table: which actions are served, and where one does less than AWS's.
//!
//! Generated from the dispatch tables, so that it cannot claim what is not there; `docs/coverage.md` is its text, and a
//! test holds the two together.

use std::fmt::Write as _;

use evenkeel_aws::Api;

/// What an action leaves out or does otherwise. Only what a user could stumble over.
const REMARKS: &[(Api, &str, &str)] = &[
    (
        Api::Elb,
        "DeregisterInstancesFromLoadBalancer",
        "Never cuts a request in flight, with draining off as well; with it on, what is left is cut at the timeout.",
    ),
    (
        Api::Elb,
        "DisableAvailabilityZonesForLoadBalancer",
        "The zone's node goes on answering from the other zones for 120 s, for clients whose DNS cache still names it.",
    ),
    (
        Api::Ec2,
        "TerminateInstances",
        "Waits up to 5 s for requests in flight through load balancers before the instance is told to end.",
    ),
    (Api::Elb, "AddTags", "At most 10 tags a load balancer."),
    (Api::Iam, "CreateUser", "No permissions boundary (refused)."),
    (Api::Iam, "GetAccessKeyLastUsed", "Since the daemon's start."),
    (Api::Iam, "ListGroupsForUser", "There are no groups: always empty."),
    (Api::Iam, "ListPolicies", "Of AWS's own policies eight are there, cut to the services that are served."),
    (Api::Iam, "SimulateCustomPolicy", "No boundaries, resource policies or other callers (refused)."),
    (Api::Iam, "SimulatePrincipalPolicy", "Of users. No boundaries, resource policies or other callers (refused)."),
    (Api::Elb, "CreateLoadBalancer", "Each zone has one subnet."),
    (
        Api::Elb,
        "DescribeLoadBalancers",
        "Without `PageSize` everything is shown, where AWS shows 400. Instances are in the order of their ids.",
    ),
    (Api::Elb, "ModifyLoadBalancerAttributes", "Additional attributes of Evenkeel's own begin with `evenkeel.`."),
    (Api::Elb, "DescribeInstanceHealth", "Without instances named: in the order of their ids, draining ones last."),
    (Api::Ec2, "CreateTags", "Instances, images and security groups."),
    (Api::Ec2, "DeleteTags", "Instances, images and security groups."),
    (Api::Ec2, "DescribeImages", "All images are the owner's own."),
    (Api::Ec2, "DescribeInstances", "The public address is the private one. No volumes or network interfaces."),
    (Api::Ec2, "DescribeInstanceStatus", "`ok` as soon as the application was started; no scheduled events."),
    (Api::Ec2, "DescribeKeyPairs", "There are none: `KeyName` is only recorded."),
    (Api::Ec2, "DescribeNetworkInterfaces", "One for each load balancer's node, which tells its address in each zone."),
    (Api::Ec2, "DescribeRegions", "One; its endpoint is the `Host` that the caller used."),
    (
        Api::Ec2,
        "AuthorizeSecurityGroupIngress",
        "Acts on load balancers; instances reach each other on one machine whatever their groups say.",
    ),
    (Api::Ec2, "DescribeSubnets", "One for each zone."),
    (Api::Ec2, "DescribeVpcs", "One, the default."),
    (Api::Ec2, "GetConsoleOutput", "The last 64 KiB, always up to date; the timestamp is that of the call."),
    (
        Api::Ec2,
        "RegisterImage",
        "`ImageLocation` is the absolute path of a folder or tar file on the node. Block devices, kernel, RAM disk and architecture are ignored.",
    ),
    (
        Api::Ec2,
        "RunInstances",
        "No launch templates, chosen addresses, instance profiles or termination protection (refused). Block devices and monitoring are ignored. Any `KeyName` is accepted.",
    ),
    (
        Api::Acm,
        "ListCertificates",
        "Without `Includes` all key types are shown, where AWS shows RSA of 1024 and 2048 bits; no filter by key usage (refused).",
    ),
    (Api::Ec2, "StopInstances", "No hibernation."),
];

/// The table as Markdown.
#[must_use]
pub fn coverage() -> String {
    let mut text = String::from(
        "# API coverage\n\nEvery action that is served, by GET and POST, and but for EC2's in AWS JSON and Smithy RPC v2 CBOR as well; any other\nanswers `InvalidAction` (`UnknownOperationException`). This page is generated from the\ndispatch tables: `EVENKEEL_UPDATE=1 cargo test -p evenkeel coverage` writes it anew.\n",
    );
    for api in Api::ALL {
        let (name, version) = match api {
            Api::Elb => ("Elastic Load Balancing (Classic)", api.version()),
            Api::Ec2 => ("EC2", "any version"),
            Api::Acm => ("Certificate Manager", api.version()),
            Api::Iam => ("IAM", api.version()),
            Api::Sts => ("STS", api.version()),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {name}, {version}\n\n| action | what differs from AWS |\n| --- | --- |\n");
        for action in api.actions() {
            let remark =
                REMARKS.iter().find(|(a, name, _)| *a == api && name == action).map_or("", |(_, _, text)| text);
            let _ = writeln!(text, "| {action} | {remark} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_tables_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coverage.md");
        if std::env::var_os("EVENKEEL_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, coverage()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert_eq!(page, coverage(), "run `EVENKEEL_UPDATE=1 cargo test -p evenkeel coverage`");
    }

    #[test]
    fn every_remark_is_on_an_action_that_is_served() {
        for (api, action, _) in REMARKS {
            assert!(api.actions().contains(action), "{action}");
        }
    }
}
