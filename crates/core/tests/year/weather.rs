//! What befalls a house: zones that are lost or full, boots that fail, a road out of reach.

use super::*;

/// A zone, as a launch finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sky {
    /// There is room.
    #[default]
    Clear,
    /// There is no room for more.
    Full,
    /// There is nothing.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Weather {
    zones: [Sky; 3],
    pub(super) boots_fail: bool,
    bad_times: u32,
    /// Who drains, and has been looked at.
    pub(super) drains: BTreeSet<(LoadBalancerName, InstanceId)>,
}

/// How the weather turns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    Zone(usize, Sky),
    Boots { fail: bool },
    Road { is_there: bool },
}

impl Year {
    /// What is to come.
    pub(super) fn forecast(&mut self) {
        for zone in 0..ZONES.len() {
            self.later(20 * DAY, Turn::Zone(zone, Sky::Lost));
            self.later(10 * DAY, Turn::Zone(zone, Sky::Full));
        }
        self.later(40 * DAY, Turn::Boots { fail: true });
        self.later(3 * DAY, Turn::Road { is_there: false });
    }

    fn later(&mut self, about: u64, turn: Turn) {
        let at = self.about(about);
        self.after(at, Event::Turn(turn));
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Zone(place, sky) => {
                match sky {
                    Sky::Clear => {}
                    Sky::Full => {
                        self.later(2 * HOUR, Turn::Zone(place, Sky::Clear));
                        self.later(10 * DAY, turn);
                    }
                    Sky::Lost => {
                        self.later(2 * HOUR, Turn::Zone(place, Sky::Clear));
                        self.later(20 * DAY, turn);
                        self.lose(place);
                    }
                }
                self.weather.zones[place] = sky;
                self.declare();
            }
            Turn::Boots { fail } => {
                self.weather.boots_fail = fail;
                if fail {
                    // Once for longer than a day: then groups are kept from more launches.
                    let lasts = if self.weather.bad_times == 1 { 30 * HOUR } else { self.about(HOUR) };
                    self.weather.bad_times += 1;
                    self.after(lasts, Event::Turn(Turn::Boots { fail: false }));
                } else {
                    self.later(40 * DAY, Turn::Boots { fail: true });
                }
            }
            Turn::Road { is_there } => {
                self.house.sightings.road = is_there.then(RoadSeen::default);
                if is_there {
                    self.later(3 * DAY, Turn::Road { is_there: false });
                } else {
                    self.later(5 * MINUTE, Turn::Road { is_there: true });
                }
            }
        }
    }

    /// Everything in a zone ends.
    fn lose(&mut self, place: usize) {
        self.tally.zones_lost += 1;
        let zone = zone(ZONES[place]);
        let there: Vec<(InstanceId, u32)> =
            self.house.world.instances().filter(|i| i.zone == zone).map(|i| (i.id.clone(), i.boots)).collect();
        for (id, boot) in there {
            self.ends(&id, boot, EndedBy::Node, false);
        }
    }

    /// What zones have room for is said at start: the house starts anew.
    fn declare(&mut self) {
        let mut capacity = BTreeMap::new();
        for (text, sky) in ZONES.iter().zip(self.weather.zones) {
            let zone = zone(text);
            let usage = self.house.world.usage(&zone);
            let declared = match sky {
                Sky::Clear => continue,
                Sky::Full => Capacity { cpu_millis: Some(usage.cpu_millis), memory_mib: Some(usage.memory_mib) },
                Sky::Lost => Capacity { cpu_millis: Some(0), memory_mib: Some(0) },
            };
            capacity.insert(zone, declared);
        }
        self.reload(Some(capacity));
    }
}
