//! What the policies of a group that track targets read.
//!
//! Owns which of a policy's two alarms says what was read: the one that goes off. Must never decide: that is
//! [`evenkeel_core::world::World::track`]'s.

use evenkeel_core::alarm::{Datapoint, Window, judge};
use evenkeel_core::name::ScalingName;
use evenkeel_core::noun::alarm::Watched;
use evenkeel_core::noun::{AlarmState, AutoScalingGroup};
use evenkeel_core::scaling::Side;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;

/// Reads what an alarm watches: one entry a period of the window, the oldest first; blocking. The error says what cannot be read.
pub type Values = dyn Fn(&Watched, &Window) -> Result<Vec<Option<Datapoint>>, String> + Send + Sync;

/// The readings of a group's policies that have one, and in words what could not be read.
#[must_use]
pub fn readings(
    world: &World,
    group: &AutoScalingGroup,
    values: &Values,
    at: Timestamp,
) -> (Vec<(ScalingName, f64)>, Vec<String>) {
    let (mut readings, mut failed) = (Vec::new(), Vec::new());
    for (name, policy) in &group.policies {
        let alarms = match world.tracking_alarms(group, name, policy) {
            Ok(alarms) => alarms,
            Err(why) => {
                failed.push(format!("{name}: {why}"));
                continue;
            }
        };
        let is_high = |side: Side| side == Side::Above;
        let goes_off =
            |of: &evenkeel_core::name::AlarmName| world.alarm(of).is_some_and(|alarm| alarm.state == AlarmState::Alarm);
        let high = alarms.iter().find(|of| is_high(of.shape.side) && goes_off(&of.alarm.name));
        let Some(chosen) = high.or_else(|| alarms.last()) else { continue };
        let settings = &chosen.alarm.settings;
        let rule = settings.rule();
        match values(&settings.watched, &Window::at(at, settings.watched.period(), rule.periods)) {
            Ok(range) => {
                let judged: Vec<f64> = judge(&rule, &range).judged.iter().map(|point| point.value).collect();
                readings.extend(chosen.shape.reading(&judged).map(|value| (name.clone(), value)));
            }
            Err(why) => failed.push(format!("{name}: {why}")),
        }
    }
    (readings, failed)
}
