//! What people ask, at random: most of it sensible, some of it refused.
//!
//! The wish of the group that tracks a target is left to its policy, so that it can be judged by it.

use evenkeel_core::noun::predictor::{PredefinedPair, PredictedMetrics, Predictor};
use evenkeel_core::noun::warm_pool::{PoolState, WarmPool};

use super::*;

fn label(text: &str) -> ScalingName {
    ScalingName::new(text).unwrap()
}

impl Year {
    /// Makes a group as it is at first.
    pub(super) fn found(&mut self, group: &str) {
        let plain = self.house.wanted(group, 1, 8, 2);
        let new = match group {
            "web" => NewGroup {
                min: 2,
                max: 24,
                balancers: [balancer("web")].into(),
                health_check: HealthCheckType::Elb,
                grace: 60,
                warmup: Some(60),
                ..plain
            },
            "jobs" => NewGroup { max: 12, zones: [ZONES[0], ZONES[2]].map(zone).into(), ..plain },
            "night" => NewGroup {
                min: 0,
                balancers: [balancer("web")].into(),
                max_lifetime: Some(7 * 86_400),
                termination: vec![TerminationPolicy::OldestInstance],
                hooks: self.hooks(),
                ..plain
            },
            _ => NewGroup { hooks: self.hooks(), protects_new: self.house.dice.chance(20), ..plain },
        };
        self.may(ScalingChange::CreateGroup(new));
        match group {
            "web" => {
                self.put(group, "follow", Rule::Tracking { target: 100.0, disable_scale_in: false }, None);
                let buffer = Duration::from_secs(5 * MINUTE);
                self.put(group, "ahead", Rule::Predictive { target: 100.0, acts: true, buffer, raises: None }, None);
            }
            "jobs" => {
                let step = |lower, upper, amount| StepAdjustment { lower, upper, amount };
                let steps = |steps| Rule::Step {
                    kind: AdjustmentType::PercentChangeInCapacity,
                    min_magnitude: Some(1),
                    aggregation: MetricAggregationType::Average,
                    steps,
                };
                let up = vec![step(Some(0.0), Some(40.0), 20), step(Some(40.0), None, 50)];
                self.put(group, "up", steps(up), Some(120));
                self.put(group, "down", steps(vec![step(None, Some(0.0), -20)]), Some(120));
            }
            "night" => {
                for (name, when, desired) in [("evening", "0 20 * * *", 6), ("morning", "30 5 * * 1-5", 1)] {
                    let recurrence = Recurrence::new(when).ok();
                    let next = recurrence.as_ref().and_then(|again| again.next_after(self.house.now, |_| 0)).unwrap();
                    let action = ScheduledAction {
                        id: self.house.dice.uuid(),
                        start: None,
                        end: None,
                        recurrence,
                        time_zone: None,
                        min: None,
                        max: None,
                        desired: Some(desired),
                        next,
                    };
                    self.may(ScalingChange::PutSchedule { group: self::name(group), name: label(name), action });
                }
            }
            _ => {}
        }
        for (name, amount) in [("more", 2), ("fewer", -1)] {
            let adjustment = Adjustment { kind: AdjustmentType::ChangeInCapacity, amount, min_magnitude: None };
            self.put(group, name, Rule::Simple { adjustment, cooldown: None }, None);
        }
    }

    fn put(&mut self, group: &str, policy: &str, rule: Rule, warmup: Option<u32>) {
        let metric = MetricName { namespace: "App".into(), name: "Load".into(), dimensions: vec![] };
        let metric = TrackedMetric::Series { metric, statistic: "Average".into(), unit: None, period: None };
        let alarms = [self.house.dice.uuid(), self.house.dice.uuid()];
        let tracker = matches!(rule, Rule::Tracking { .. }).then(|| Tracker { metric, alarms });
        let metrics = PredictedMetrics::Pair { pair: PredefinedPair::AsgCpuUtilization, label: None };
        let configured = self.house.now;
        let predictor = matches!(rule, Rule::Predictive { .. })
            .then(|| Box::new(Predictor { metrics, capacity: None, configured, outlook: None, lack: None, met: None }));
        let id = self.house.dice.uuid();
        let held = ScalingPolicy { id, enabled: true, rule, warmup, tracker, predictor };
        self.may(ScalingChange::PutPolicy { group: name(group), name: label(policy), policy: held });
    }

    fn hooks(&mut self) -> BTreeMap<ScalingName, Hook> {
        let goes_on = self.house.dice.chance(70);
        let hook = |transition| Hook { transition, heartbeat: 300, goes_on, metadata: None, target: None, role: None };
        BTreeMap::from([
            (label("warm-up"), hook(Transition::Launching)),
            (label("say-goodbye"), hook(Transition::Terminating)),
            (label("keep-logs"), hook(Transition::Terminating)),
        ])
    }

    /// One call.
    pub(super) fn call(&mut self) {
        let text = GROUPS[self.house.dice.below(GROUPS.len())];
        let group = name(text);
        let Some(held) = self.house.world.scaling_group(&group).cloned() else {
            self.found(text);
            return;
        };
        let members: Vec<InstanceId> = held.members.keys().cloned().collect();
        let one = (!members.is_empty()).then(|| members[self.house.dice.below(members.len())].clone());
        let dice = &mut self.house.dice;
        let sure = dice.chance(50);
        let mut roll = dice.below(33);
        if text == "web" && roll < 12 {
            // Its wish is its policy's.
            roll += 12;
        }
        let small = dice.below(10) as u32;
        let (policy, process) = (["more", "fewer"][dice.below(2)], Process::ALL[dice.below(Process::ALL.len())]);
        let activity = self.house.activity();
        let change = match (roll, one) {
            (0..=3, _) => ScalingChange::SetDesired { group, desired: small, honor_cooldown: sure },
            (4, _) => {
                let (min, max) = (Some(small / 3), Some(small + 2));
                ScalingChange::UpdateGroup { group, patch: GroupPatch { min, max, ..GroupPatch::default() } }
            }
            (5 | 6, _) => {
                let trigger = Trigger::Asked { metric: None, honor_cooldown: sure };
                ScalingChange::ExecutePolicy { group, name: label(policy), trigger }
            }
            (7, Some(id)) => {
                self.free.insert(id.clone());
                let instances = vec![(id, activity)];
                ScalingChange::DetachInstances { group, instances, decrement: sure }
            }
            (8 | 9, _) => {
                let Some(id) = self.free.iter().next().cloned() else { return };
                ScalingChange::AttachInstances { group, instances: vec![(id, activity)] }
            }
            (10, Some(id)) => ScalingChange::ExitStandby { group, instances: vec![(id, activity)] },
            (11, Some(_)) if text == "brief" => ScalingChange::DeleteGroup { group, force: sure },
            (11, Some(id)) => ScalingChange::EnterStandby { group, instances: vec![(id, activity)], decrement: true },
            (12, Some(id)) => ScalingChange::EnterStandby { group, instances: vec![(id, activity)], decrement: false },
            (13, _) => {
                let mut stands_by = held.members.iter().filter(|(_, member)| member.state == LifecycleState::Standby);
                let Some((id, _)) = stands_by.next() else { return };
                ScalingChange::ExitStandby { group, instances: vec![(id.clone(), activity)] }
            }
            (14 | 15, Some(instance)) => {
                ScalingChange::TerminateMember { instance, activity, decrement: sure && text != "web" }
            }
            (16, Some(id)) => {
                drop(self.house.ask(&Change::TerminateInstances { instances: vec![id] }));
                return;
            }
            (17, Some(id)) => {
                let mut change = Change::StopInstances { instances: vec![id.clone()] };
                if sure {
                    change = Change::RebootInstances { instances: vec![id] };
                }
                drop(self.house.ask(&change));
                return;
            }
            (18, Some(id)) => ScalingChange::SetProtection { group, instances: vec![id], is_protected: sure },
            (19, _) => ScalingChange::SetProtection { group, instances: members, is_protected: false },
            (20, Some(instance)) => ScalingChange::SetHealth { instance, is_healthy: sure, respects_grace: small < 5 },
            (21, _) => ScalingChange::Suspend { group, processes: [process].into() },
            (22..=24, _) => ScalingChange::Resume { group, processes: Process::ALL.into() },
            (25, _) => {
                let zones = if sure { ZONES.map(zone).into() } else { vec![zone(ZONES[small as usize % 3])] };
                ScalingChange::UpdateGroup { group, patch: GroupPatch { zones: Some(zones), ..GroupPatch::default() } }
            }
            (26, _) if sure => ScalingChange::AttachBalancers { group, balancers: [balancer("web")].into() },
            (26, _) => ScalingChange::DetachBalancers { group, balancers: [balancer("web")].into() },
            (27, _) => {
                let hook = Hook {
                    transition: Transition::Launching,
                    heartbeat: 120,
                    goes_on: sure,
                    metadata: None,
                    target: None,
                    role: None,
                };
                ScalingChange::PutHook { group, name: label("late"), hook }
            }
            (28, _) => ScalingChange::DeleteHook { group, name: label("late") },
            (29, _) => {
                let Some(id) = self.free.pop_first() else { return };
                drop(self.house.ask(&Change::TerminateInstances { instances: vec![id.clone()] }));
                self.free.insert(id);
                return;
            }
            (30, _) => {
                let state = if small.is_multiple_of(3) { PoolState::Running } else { PoolState::Stopped };
                let pool = WarmPool { prepared: Some(small), min: small / 4, state, reuses: sure, is_going: false };
                ScalingChange::PutPool { group, pool }
            }
            (31 | 32, _) => ScalingChange::DeletePool { group, force: sure },
            _ => return,
        };
        self.may(change);
        let world = &self.house.world;
        self.free.retain(|id| world.instance(id).is_some_and(|held| held.state != InstanceState::Terminated));
    }
}
