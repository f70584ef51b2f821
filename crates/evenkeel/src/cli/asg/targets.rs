//! `evenkeel asg track`: a policy that keeps a metric at a target, in one line.
//!
//! Owns the metrics that have a word of their own here. Any other is PutScalingPolicy's to state, through any client.

use anyhow::Context;
use clap::Args;
use evenkeel_aws::autoscaling as wire;

use super::super::client::Client;
use super::super::settings::Reach;

/// Arguments of `evenkeel asg track`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    group = clap::ArgGroup::new("metric").required(true),
    after_help = "Examples:\n  evenkeel asg track web --load 1.5\n  evenkeel asg track web --requests 6000 --warmup 20\n  \
        evenkeel asg track web --in-flight 20 --policy queue\n  evenkeel asg track web --off --policy queue"
)]
pub struct Track {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One-minute load average of a member, on average
    #[arg(long, value_name = "LOAD", group = "metric")]
    pub load: Option<f64>,
    /// CPU utilization of a member in percent, on average
    #[arg(long, value_name = "PERCENT", group = "metric")]
    pub cpu: Option<f64>,
    /// Requests of the group's load balancer a minute for each instance in service
    #[arg(long, value_name = "N", group = "metric")]
    pub requests: Option<f64>,
    /// Requests of the group's load balancer in flight on each instance in service
    #[arg(long, value_name = "N", group = "metric")]
    pub in_flight: Option<f64>,
    /// Remove the policy
    #[arg(long, group = "metric")]
    pub off: bool,
    /// Name of the policy, which takes the place of one there is
    #[arg(long, value_name = "NAME", default_value = "target")]
    pub policy: String,
    /// Load balancer whose requests count [default: the group's only one]
    #[arg(long = "lb", value_name = "NAME")]
    pub balancer: Option<String>,
    /// Seconds that a new member takes until its metrics count [default: the group's]
    #[arg(long, value_name = "SECONDS")]
    pub warmup: Option<u32>,
    /// Never end members
    #[arg(long)]
    pub only_out: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

pub(super) fn run(args: &Track, client: &Client) -> anyhow::Result<()> {
    let name = &args.name;
    if args.off {
        let input =
            wire::DeletePolicy { auto_scaling_group_name: Some(name.clone()), policy_name: args.policy.clone() };
        let failed = || format!("failed to remove the policy `{}` of `{name}`", args.policy);
        return client.call(&input).with_context(failed).map(drop);
    }
    let predefined = |metric: &str, label: Option<String>| wire::TargetTrackingConfiguration {
        predefined_metric_specification: Some(wire::PredefinedMetricSpecification {
            predefined_metric_type: metric.to_owned(),
            resource_label: label,
        }),
        ..wire::TargetTrackingConfiguration::default()
    };
    let series = |namespace: &str, metric: &str, dimension: (&str, &str)| wire::TargetTrackingConfiguration {
        customized_metric_specification: Some(wire::CustomizedMetricSpecification {
            namespace: Some(namespace.to_owned()),
            metric_name: Some(metric.to_owned()),
            dimensions: [wire::MetricDimension { name: dimension.0.to_owned(), value: dimension.1.to_owned() }]
                .into_iter()
                .collect(),
            statistic: Some("Average".to_owned()),
            ..wire::CustomizedMetricSpecification::default()
        }),
        ..wire::TargetTrackingConfiguration::default()
    };
    let (target, configuration) = match (args.load, args.cpu, args.requests, args.in_flight) {
        (Some(load), ..) => (load, series("AWS/EC2", "LoadAverage1", ("AutoScalingGroupName", name))),
        (_, Some(percent), ..) => (percent, predefined("ASGAverageCPUUtilization", None)),
        (_, _, Some(count), _) => (count, predefined("ALBRequestCountPerTarget", args.balancer.clone())),
        (.., count) => {
            let balancer = match &args.balancer {
                Some(named) => named.clone(),
                None => only_balancer(client, name)?,
            };
            let metric = series("AWS/ELB", "InFlightRequestsPerTarget", ("LoadBalancerName", &balancer));
            (count.unwrap_or_default(), metric)
        }
    };
    let input = wire::PutScalingPolicy {
        auto_scaling_group_name: name.clone(),
        policy_name: args.policy.clone(),
        policy_type: Some("TargetTrackingScaling".to_owned()),
        estimated_instance_warmup: args.warmup.map(Into::into),
        target_tracking_configuration: Some(wire::TargetTrackingConfiguration {
            target_value: target,
            disable_scale_in: args.only_out.then_some(true),
            ..configuration
        }),
        ..wire::PutScalingPolicy::default()
    };
    client.call(&input).with_context(|| format!("failed to put the policy `{}` of `{name}`", args.policy)).map(drop)
}

fn only_balancer(client: &Client, name: &str) -> anyhow::Result<String> {
    let group = super::existing(client, name)?;
    match group.load_balancer_names.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(super::hinted(
            format!("`{name}` is not behind exactly one load balancer"),
            "name the one whose requests count with `--lb`",
        )),
    }
}
