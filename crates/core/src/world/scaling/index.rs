//! Who is a member of what: found without a look at every group.
//!
//! Owns what follows from the groups' rows, kept as they come and go. Must never be a source of anything: a World that is loaded
//! makes it anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::World;
use crate::name::{AutoScalingGroupName, InstanceId};
use crate::noun::scaling_group::{AutoScalingGroup, Member};

/// The group of each member. Shared among snapshots until a membership changes.
pub(in crate::world) type Members = Arc<BTreeMap<InstanceId, AutoScalingGroupName>>;

impl World {
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

    pub(in crate::world) fn remove_group(&mut self, name: &AutoScalingGroupName) {
        if self.scaling_groups.remove(name).is_some_and(|held| !held.members.is_empty()) {
            Arc::make_mut(&mut self.members).retain(|_, of| of != name);
        }
    }
}
