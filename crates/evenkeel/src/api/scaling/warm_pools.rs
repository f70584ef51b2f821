//! Warm pools: put, shown, taken off.
//!
//! Owns how their sizes are read. Who goes into one and comes out of it is the World's to say.

use evenkeel_aws::{Error, autoscaling as wire};
use evenkeel_core::change::ScalingChange;
use evenkeel_core::noun::warm_pool::{PoolState, WarmPool};

use super::super::page::Page;
use super::super::{Asked, words};
use super::{group, shown, size};

pub(in super::super) async fn put(
    asked: &Asked<'_>,
    input: &wire::PutWarmPool,
) -> Result<wire::PutWarmPoolOutput, Error> {
    let group = group(&input.auto_scaling_group_name)?;
    let state = match input.pool_state.as_deref().filter(|stated| !stated.is_empty()) {
        None | Some("Stopped") => PoolState::Stopped,
        Some("Running") => PoolState::Running,
        Some("Hibernated") => {
            return Err(Error::validation("PoolState Hibernated is not supported: use Stopped or Running"));
        }
        Some(other) => {
            let other = words::quoted(other);
            return Err(Error::validation(format!("Invalid PoolState {other}: it is Stopped or Running")));
        }
    };
    let prepared = match input.max_group_prepared_capacity {
        // As if it had not been stated (AWS).
        None | Some(-1) => None,
        Some(stated) => Some(size(stated, "maxGroupPreparedCapacity")?),
    };
    let pool = WarmPool {
        prepared,
        min: size(input.min_size.unwrap_or(0), "minSize")?,
        state,
        reuses: input.instance_reuse_policy.as_ref().and_then(|policy| policy.reuse_on_scale_in) == Some(true),
        is_going: false,
    };
    asked.scale(ScalingChange::PutPool { group, pool }).await?;
    Ok(wire::PutWarmPoolOutput {})
}

pub(in super::super) async fn delete(
    asked: &Asked<'_>,
    input: &wire::DeleteWarmPool,
) -> Result<wire::DeleteWarmPoolOutput, Error> {
    let (group, force) = (group(&input.auto_scaling_group_name)?, input.force_delete == Some(true));
    asked.scale(ScalingChange::DeletePool { group, force }).await?;
    Ok(wire::DeleteWarmPoolOutput {})
}

/// A group without one has no configuration, and is no error (AWS).
pub(in super::super) fn describe(
    asked: &Asked<'_>,
    input: &wire::DescribeWarmPool,
) -> Result<wire::DescribeWarmPoolOutput, Error> {
    let page = Page::autoscaling("pool", input.max_records, input.next_token.as_deref())?;
    let group = super::groups::existing(asked, &group(&input.auto_scaling_group_name)?)?;
    let all = group.members.iter().filter(|(_, member)| member.state.is_warmed());
    let (held, next_token) = page.cut(all, |(id, _)| id.to_string());
    Ok(wire::DescribeWarmPoolOutput {
        warm_pool_configuration: group.pool.as_ref().map(shown::warm_pool),
        instances: held.into_iter().map(|(id, member)| shown::instance(&asked.world, id, member)).collect(),
        next_token,
    })
}
