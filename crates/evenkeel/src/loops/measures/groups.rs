//! What auto scaling groups are measured by: AWS/AutoScaling, of each group those metrics that it was asked for
//! (EnableMetricsCollection). AWS puts them each minute, this each second.
//!
//! Must never count a member twice. Next: [`super::instances`], which measures members under their group's name.

use evenkeel_core::noun::{AutoScalingGroup, LifecycleState};
use evenkeel_core::world::World;

use super::spread;
use crate::metrics::{Bucket, Sample, Unit};

const NAMESPACE: &str = "AWS/AutoScaling";

/// What there is to say of all groups now.
pub(super) fn samples(world: &World, at: i64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for group in world.scaling_groups() {
        let sets = [vec![("AutoScalingGroupName", group.name.to_string())]];
        let put = spread(NAMESPACE, &sets, at);
        for name in &group.metrics {
            let value = value(group, name).map(|value| put(name, Unit::None, &Bucket::of(value)));
            samples.extend(value.into_iter().flatten());
        }
    }
    samples
}

fn value(group: &AutoScalingGroup, metric: &str) -> Option<f64> {
    use LifecycleState as L;
    let count = |of: &dyn Fn(LifecycleState) -> bool| {
        u32::try_from(group.members.values().filter(|member| of(member.state)).count()).map_or(f64::INFINITY, f64::from)
    };
    Some(match metric {
        "GroupMinSize" => f64::from(group.min),
        "GroupMaxSize" => f64::from(group.max),
        "GroupDesiredCapacity" => f64::from(group.desired),
        "GroupInServiceInstances" => count(&|state| state == L::InService),
        "GroupPendingInstances" => count(&|state| matches!(state, L::Pending | L::PendingWait)),
        "GroupStandbyInstances" => count(&|state| matches!(state, L::Standby | L::EnteringStandby)),
        "GroupTerminatingInstances" => {
            count(&|state| (state.is_ending() && !state.is_warmed()) || state == L::Detaching)
        }
        "GroupTotalInstances" => count(&|state| !state.is_warmed()),
        "WarmPoolMinSize" => group.pool.map_or(0.0, |pool| f64::from(pool.min)),
        "WarmPoolDesiredCapacity" => f64::from(group.pool_size()),
        "WarmPoolPendingCapacity" => count(&|state| state.is_pooled() && !state.rests()),
        "WarmPoolWarmedCapacity" => count(&|state| state.rests()),
        "WarmPoolTerminatingCapacity" => count(&|state| state.is_ending() && state.is_warmed()),
        "WarmPoolTotalCapacity" => count(&|state| state.is_warmed()),
        "GroupAndWarmPoolDesiredCapacity" => f64::from(group.desired) + f64::from(group.pool_size()),
        "GroupAndWarmPoolTotalCapacity" => count(&|_| true),
        _ => return None,
    })
}
