//! Deadlines, kept lazily.
//!
//! Owns which keys are due at a tick. Must never know what a deadline means: whoever is woken looks at its own state,
//! and asks to be woken again when the deadline has moved on. So activity, the common case, costs nothing here.

/// Milliseconds a tick lasts.
pub(crate) const TICK_MS: u64 = 16;
const SLOTS: usize = 4096;

/// One turn is 65.5 s; what lies further ahead is looked at once a turn.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<(u64, u64)>>,
    occupied: [u64; SLOTS / 64],
    now: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), occupied: [0; SLOTS / 64], now: 0 }
    }

    /// Wakes `key` at `at_ms` or, when that is more than a turn ahead, earlier. Returns the tick it is filed under,
    /// which names this entry among others of the same key.
    pub(crate) fn arm(&mut self, key: u64, at_ms: u64) -> u64 {
        let tick = at_ms.div_ceil(TICK_MS).clamp(self.now + 1, self.now + SLOTS as u64 - 1);
        let slot = slot_of(tick);
        self.slots[slot].push((key, tick));
        self.occupied[slot / 64] |= 1 << (slot % 64);
        tick
    }

    /// Moves to `now_ms` and takes out what is due, as keys and the ticks they were filed under.
    pub(crate) fn due(&mut self, now_ms: u64, out: &mut Vec<(u64, u64)>) {
        let target = now_ms / TICK_MS;
        // After a long sleep one full turn sees every slot.
        let first = (self.now + 1).max((target + 1).saturating_sub(SLOTS as u64));
        for tick in first..=target {
            let slot = slot_of(tick);
            if self.occupied[slot / 64] & (1 << (slot % 64)) != 0 {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
                out.append(&mut std::mem::take(&mut self.slots[slot]));
            }
        }
        self.now = self.now.max(target);
    }

    /// When something is next due, in milliseconds on the same clock.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let start = slot_of(self.now + 1);
        let found = (0..=SLOTS / 64).find_map(|step| {
            let word = (start / 64 + step) % (SLOTS / 64);
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == SLOTS / 64 {
                bits &= !(u64::MAX << (start % 64));
            }
            (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)
        })?;
        let ahead = (found + SLOTS - start) % SLOTS;
        Some((self.now + 1 + ahead as u64) * TICK_MS)
    }
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_woken_once_and_not_early() {
        let mut wheel = Wheel::new();
        let mut out = Vec::new();
        wheel.arm(1, 100);
        wheel.arm(2, 40_000);
        wheel.arm(3, 1_000_000);
        assert_eq!(wheel.next_ms(), Some(112));
        wheel.due(99, &mut out);
        assert!(out.is_empty());
        wheel.due(112, &mut out);
        assert_eq!(out, [(1, 7)]);
        out.clear();
        wheel.due(64_000, &mut out);
        assert_eq!(out, [(2, 2500)]);
        out.clear();
        // Beyond a turn it is woken early, to be armed again.
        wheel.due(70_000, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].0, 3);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn a_long_sleep_loses_nothing() {
        let mut wheel = Wheel::new();
        let mut out = Vec::new();
        for key in 0..1000 {
            wheel.arm(key, key * 60);
        }
        wheel.due(10_000_000, &mut out);
        assert_eq!(out.len(), 1000);
        let tick = wheel.arm(7, 10_000_016);
        assert_eq!(wheel.next_ms(), Some(tick * TICK_MS));
        out.clear();
        wheel.due(10_000_032, &mut out);
        assert_eq!(out, [(7, tick)]);
    }

    #[test]
    fn the_next_is_found_across_the_seam() {
        let mut wheel = Wheel::new();
        let mut out = Vec::new();
        wheel.due(TICK_MS * (SLOTS as u64 - 2), &mut out);
        for ahead in [1, 2, 3, 100, 4000, 4095] {
            let tick = wheel.arm(1, (wheel.now + ahead) * TICK_MS);
            assert_eq!(wheel.next_ms(), Some(tick * TICK_MS), "{ahead}");
            wheel.due(tick * TICK_MS, &mut out);
        }
    }
}
