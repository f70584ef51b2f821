//! What a worker keeps ready, and where something is missing.
//!
//! Owns how many connections there are to be to which place, how fast they are made, and when that is looked at. Must never
//! hold a connection: keys stand for those that are being made. Who makes them: `ahead.rs`.

use std::rc::Rc;

use evenkeel_core::name::LoadBalancerName;

use super::origin::{Origin, Past};
use super::view::{Lane, Place, Via};

/// How often a worker looks at everything, for what nobody tells it.
pub(super) const PASS_MS: u64 = 1000;
/// How soon it does again when it is told that instances came or went.
const SOON_MS: u64 = 50;
/// A connection that its instance ends sooner was of no use; how long a place then rests.
pub(super) const LASTS_MS: u64 = 1000;

/// How fast connections to a place are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Backoff {
    /// All that are missing at once.
    #[default]
    Free,
    /// None until then: one failed, or was of no use.
    Rests(u64),
    /// One was begun after that; until then it may still turn out to be of no use either.
    Proves(u64),
}

impl Backoff {
    /// How many to begin of those that are missing, and how to go on; so many are being made.
    pub(super) fn next(self, now: u64, missing: usize, making: usize) -> (Self, usize) {
        match self {
            Self::Free => (self, missing),
            Self::Rests(until) | Self::Proves(until) if now < until => (self, 0),
            Self::Rests(_) if missing == 0 => (self, 0),
            Self::Rests(_) => (Self::Proves(now + LASTS_MS), 1),
            Self::Proves(_) if making > 0 => (self, 0),
            Self::Proves(_) => (Self::Free, missing),
        }
    }
}

/// What is kept of one way to one place.
pub(super) struct Stock {
    pub(super) place: Rc<Place>,
    pub(super) via: Via,
    /// One of the listeners that it is for.
    pub(super) lane: Rc<Lane>,
    /// How many there are to be.
    pub(super) goal: usize,
    /// Keys of those that are being made.
    pub(super) making: Vec<u64>,
}

impl Stock {
    fn is(&self, place: &Rc<Place>, via: Via) -> bool {
        Rc::ptr_eq(&self.place, place) && self.via == via
    }

    /// How many its balancer asks for: more than may be in flight are of no use.
    fn wish(&self) -> usize {
        let balancing = self.lane.balancer.balancing();
        let most = if balancing.max_in_flight == 0 { u32::MAX } else { balancing.max_in_flight };
        usize::try_from(balancing.preconnect.min(most)).unwrap_or(usize::MAX)
    }
}

/// What each of so many gets of the room: as much as there is for each, or where it is not enough for that, the first get
/// one.
fn share(room: usize, all: usize, at: usize) -> usize {
    match room / all.max(1) {
        0 => usize::from(at < room),
        each => each,
    }
}

/// All that a worker keeps.
pub(super) struct Ahead {
    /// How many connections there may be in all.
    room: usize,
    /// Those of one balancer side by side, balancers in order.
    pub(super) stocks: Vec<Stock>,
    /// The one that is looked at next.
    pub(super) at: usize,
    /// When, in the worker's milliseconds; not at all where nothing is kept.
    pub(super) due: Option<u64>,
    /// Instances have come or gone since the pass that is under way began.
    pub(super) stirred: bool,
    /// Where one is missing since it was taken or closed.
    pub(super) short: Vec<(Rc<Place>, Via)>,
    /// Balancers that Routes have changed.
    pub(super) changed: Vec<LoadBalancerName>,
    /// Connections that are being made.
    pub(super) under_way: usize,
}

impl Ahead {
    /// With `room` for so many connections.
    pub(super) fn new(room: usize) -> Self {
        let (stocks, short, changed) = (Vec::new(), Vec::new(), Vec::new());
        Self { room, stocks, at: 0, due: None, stirred: false, short, changed, under_way: 0 }
    }

    /// One is missing there.
    pub(super) fn falls_short(&mut self, place: &Rc<Place>, via: Via) {
        self.short.push((Rc::clone(place), via));
    }

    /// Its instance has ended an idle connection. Where it was made ahead, and soon, more would fare no better.
    pub(super) fn lost(&mut self, origin: &Origin, now: u64) {
        match origin.past {
            Past::New | Past::Served => {}
            Past::Unused if now < origin.since + LASTS_MS => origin.place.backoff.set(Backoff::Rests(now + LASTS_MS)),
            Past::Unused => self.falls_short(&origin.place, origin.via()),
        }
    }

    /// Whether there is something to do.
    pub(super) fn calls(&self, now: u64) -> bool {
        self.is_short() || self.due.is_some_and(|due| due <= now)
    }

    /// When there will be, in the worker's milliseconds.
    pub(super) fn next(&self, now: u64) -> Option<u64> {
        if self.is_short() { Some(now) } else { self.due }
    }

    fn is_short(&self) -> bool {
        !self.short.is_empty() || !self.changed.is_empty()
    }

    /// Instances have come in service, or gone out of it.
    pub(super) fn stir(&mut self, now: u64) {
        self.stirred = true;
        if self.at == 0 {
            self.due = self.due.map(|due| due.min(now + SOON_MS));
        }
    }

    /// The first of a balancer, or where it would be.
    pub(super) fn first(&self, balancer: &LoadBalancerName) -> usize {
        self.stocks.partition_point(|stock| stock.place.key.0 < *balancer)
    }

    /// Whether that one is of that balancer.
    pub(super) fn is_at(&self, at: usize, balancer: &LoadBalancerName) -> bool {
        self.stocks.get(at).is_some_and(|stock| stock.place.key.0 == *balancer)
    }

    /// Which one is kept of that way to that place.
    pub(super) fn find(&self, place: &Rc<Place>, via: Via) -> Option<usize> {
        let first = self.first(&place.key.0);
        let own = self.stocks.iter().skip(first).take_while(|stock| stock.place.key.0 == place.key.0);
        own.enumerate().find(|(_, stock)| stock.is(place, via)).map(|(at, _)| first + at)
    }

    /// One that was being made is not any more.
    pub(super) fn ended(&mut self, place: &Rc<Place>, via: Via, key: u64) {
        if let Some(stock) = self.find(place, via).and_then(|at| self.stocks.get_mut(at))
            && let Some(at) = stock.making.iter().position(|making| *making == key)
        {
            stock.making.swap_remove(at);
            self.under_way -= 1;
        }
    }

    /// Says how many there are to be of each.
    pub(super) fn share_out(&mut self) {
        let (room, all) = (self.room, self.stocks.len());
        for (at, stock) in self.stocks.iter_mut().enumerate() {
            stock.goal = stock.wish().min(share(room, all, at));
        }
    }

    /// Everything was looked at.
    pub(super) fn passed(&mut self, now: u64) {
        self.at = 0;
        self.due = Some(now + if self.stirred { SOON_MS } else { PASS_MS });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_fails_is_tried_once_a_second_until_one_has_lasted() {
        let check = |backoff: Backoff, (now, missing, making), wanted: (Backoff, usize)| {
            assert_eq!(backoff.next(now, missing, making), wanted, "{backoff:?}");
        };
        check(Backoff::Free, (5000, 3, 1), (Backoff::Free, 3));
        check(Backoff::Rests(5000), (4999, 3, 0), (Backoff::Rests(5000), 0));
        check(Backoff::Rests(5000), (5000, 0, 0), (Backoff::Rests(5000), 0));
        check(Backoff::Rests(5000), (5000, 3, 0), (Backoff::Proves(6000), 1));
        check(Backoff::Proves(6000), (5999, 2, 0), (Backoff::Proves(6000), 0));
        check(Backoff::Proves(6000), (6000, 2, 1), (Backoff::Proves(6000), 0));
        check(Backoff::Proves(6000), (6000, 2, 0), (Backoff::Free, 2));
    }

    #[test]
    fn who_comes_in_service_is_looked_at_soon_and_nobody_is_where_nothing_is_kept() {
        let mut ahead = Ahead::new(4);
        ahead.stir(100);
        assert_eq!((ahead.next(100), ahead.calls(u64::MAX)), (None, false));
        ahead.passed(100);
        assert_eq!(ahead.next(100), Some(150));
        ahead.stirred = false;
        ahead.passed(150);
        assert_eq!((ahead.next(150), ahead.calls(1149), ahead.calls(1150)), (Some(1150), false, true));
        // However often it is told, the first time counts.
        ahead.stir(200);
        ahead.stir(230);
        assert_eq!(ahead.next(230), Some(250));
        // A pass that is under way is not begun anew: there is another after it.
        ahead.at = 1;
        ahead.due = Some(300);
        ahead.stir(240);
        assert_eq!(ahead.next(240), Some(300));
        ahead.changed.push(LoadBalancerName::new("web").unwrap());
        assert_eq!((ahead.next(240), ahead.calls(240)), (Some(240), true));
    }

    #[test]
    fn what_room_there_is_is_shared() {
        let shares = |room, all| (0..all).map(|at| share(room, all, at)).collect::<Vec<_>>();
        assert_eq!(shares(9, 3), [3, 3, 3]);
        assert_eq!(shares(5, 3), [1, 1, 1]);
        assert_eq!(shares(2, 3), [1, 1, 0]);
        assert!(shares(9, 0).is_empty());
    }
}
