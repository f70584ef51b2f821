//! Who is a member of what, and what was told of whom: found without a look at everything.
//!
//! Owns what follows from the groups' rows, kept as they come and go. Must never be a source of anything: a World that is loaded
//! makes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::World;
use crate::name::{ActivityId, AutoScalingGroupName, InstanceId};
use crate::noun::activity::Activity;
use crate::noun::scaling_group::{AutoScalingGroup, Member};
use crate::time::Timestamp;

/// The group of each member. Shared among snapshots until a membership changes.
pub(in crate::world) type Members = Arc<BTreeMap<InstanceId, AutoScalingGroupName>>;
/// A group's scaling activities in the order in which they began.
pub(in crate::world) type Told = Arc<BTreeSet<(Timestamp, ActivityId)>>;

impl World {
    /// The scaling activities of each group that has or had any, the oldest first.
    pub fn activities_by_group(&self) -> impl Iterator<Item = &BTreeSet<(Timestamp, ActivityId)>> {
        self.told.values().map(AsRef::as_ref)
    }

    /// The group a member is in, with its record.
    #[must_use]
    pub fn membership(&self, instance: &InstanceId) -> Option<(&Arc<AutoScalingGroup>, &Member)> {
        let group = self.scaling_group(self.members.get(instance)?)?;
        Some((group, group.members.get(instance)?))
    }

    pub(in crate::world) fn put_group(&mut self, group: AutoScalingGroup) {
        let held = self.scaling_groups.get(&group.name);
        // Most rows of a group are of the same members as before.
        let is_same = held.is_some_and(|held| held.members.keys().eq(group.members.keys()));
        if !is_same {
            let members = Arc::make_mut(&mut self.members);
            members.retain(|id, of| *of != group.name || group.members.contains_key(id));
            members.extend(group.members.keys().map(|id| (id.clone(), group.name.clone())));
        }
        self.scaling_groups.insert(group.name.clone(), Arc::new(group));
    }

    pub(in crate::world) fn drop_group(&mut self, name: &AutoScalingGroupName) {
        if self.scaling_groups.remove(name).is_some_and(|held| !held.members.is_empty()) {
            Arc::make_mut(&mut self.members).retain(|_, of| of != name);
        }
    }

    pub(in crate::world) fn put_activity(&mut self, activity: Activity) {
        if !self.activities.contains_key(&activity.id) {
            let told = self.told.entry(activity.group_id.clone()).or_default();
            Arc::make_mut(told).insert((activity.started, activity.id.clone()));
        }
        self.activities.insert(activity.id.clone(), Arc::new(activity));
    }

    pub(in crate::world) fn remove_activity(&mut self, id: &ActivityId) {
        let Some(activity) = self.activities.remove(id) else { return };
        if let Some(told) = self.told.get_mut(&activity.group_id) {
            Arc::make_mut(told).remove(&(activity.started, activity.id.clone()));
            if told.is_empty() {
                self.told.remove(&activity.group_id);
            }
        }
    }
}
