//! Routes as one worker sees them.
//!
//! Owns the worker's turns, its idle connections and its counters beside what was published; all of it survives a
//! change of Routes where the thing itself did. Must never be shared: another worker has its own.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use evenkeel_core::balance::budget::Budget;
use evenkeel_core::balance::{Candidate, Rota, Scope, Standing};
use evenkeel_core::name::{LoadBalancerName, ZoneName};
use evenkeel_core::noun::{Balancing, DesyncMode, Protocol};
use evenkeel_core::routes::{AddressSet, InstanceHttp, ListenerRoute, Node, Phase, Target};

use super::choose::Weighed;
use super::listen::Bound;
use super::shared::{Gate, Plan, PlannedBalancer, Shared};
use super::spans::Spans;
use super::stock::Backoff;
use super::trunk::Trunk;
use crate::challenge::Pending;
use crate::h2::mux::STREAM_LIMIT;
use crate::load::Load;
use crate::log::Side;
use crate::log::record::Queued;
use crate::log::spool::Delivery;
use crate::meter::{Book, LatencyBlock, NodeBlock, TargetBlock};
use crate::proto::emit::Forwarded;
use crate::request::{Bounds, Reuse, Tag};
use crate::surge::Surge;
use crate::target::{TargetKey, TargetState};
use crate::tls::back::Back;
use crate::tls::front::Front;
use crate::upstream::{SHELF_CAP, Shelf};

/// One target as a worker knows it.
pub(super) struct Place {
    pub(super) key: TargetKey,
    /// The instance's id, for the log.
    pub(super) called: Arc<str>,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) state: Arc<TargetState>,
    pub(super) meter: Arc<TargetBlock>,
    pub(super) phase: Cell<Phase>,
    /// Not in Routes any more.
    pub(super) gone: Cell<bool>,
    shelves: RefCell<BTreeMap<Via, Shelf>>,
    /// Connections that many requests share.
    trunks: RefCell<Vec<(Via, Rc<Trunk>)>>,
    /// Streams that it allows on a connection, as far as is known.
    pub(super) streams: Cell<usize>,
    /// How fast connections to it are made ahead.
    pub(super) backoff: Cell<Backoff>,
}

/// How a place is reached: only connections that are reached the same way may stand for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Via {
    pub(super) port: u16,
    /// The number of the TLS settings; 0 for none.
    tls: u64,
    /// In HTTP/2.
    http2: bool,
}

impl Place {
    /// Whether connections to it may be kept for later.
    pub(super) fn keeps(&self) -> bool {
        !self.gone.get() && self.phase.get() == Phase::Serving
    }

    /// An idle connection of the kind that may be used.
    pub(super) fn lend(&self, via: Via, reuse: Reuse) -> Option<u64> {
        let mut shelves = self.shelves.borrow_mut();
        match reuse {
            Reuse::Never => None,
            Reuse::Unused => shelves.get_mut(&via)?.lend_unused(),
            Reuse::Freely | Reuse::Checked => shelves.get_mut(&via)?.lend(),
        }
    }

    /// Puts one there that was made ahead.
    pub(super) fn stock(&self, via: Via, key: u64) -> bool {
        self.keeps() && self.shelves.borrow_mut().entry(via).or_default().put_unused(key)
    }

    /// How many of those are there, and how many more may be.
    pub(super) fn stocked(&self, via: Via) -> (usize, usize) {
        let shelves = self.shelves.borrow();
        shelves.get(&via).map_or((0, SHELF_CAP), |shelf| (shelf.unused(), shelf.room()))
    }

    /// The oldest of them.
    pub(super) fn oldest(&self, via: Via) -> Option<u64> {
        self.shelves.borrow().get(&via)?.oldest_unused()
    }

    pub(super) fn shelve(&self, via: Via, key: u64) -> bool {
        self.keeps() && self.shelves.borrow_mut().entry(via).or_default().put(key)
    }

    pub(super) fn unshelve(&self, via: Via, key: u64) {
        let mut shelves = self.shelves.borrow_mut();
        let Some(shelf) = shelves.get_mut(&via) else { return };
        shelf.remove(key);
        // Every change of TLS settings has a number of its own.
        if shelf.is_empty() {
            shelves.remove(&via);
        }
    }

    /// A shared connection that has room for one more request.
    pub(super) fn trunk(&self, via: Via) -> Option<Rc<Trunk>> {
        let trunks = self.trunks.borrow();
        trunks.iter().find(|(at, trunk)| *at == via && trunk.has_room()).map(|(_, trunk)| Rc::clone(trunk))
    }

    /// One more shared connection.
    pub(super) fn tie(&self, via: Via, trunk: &Rc<Trunk>) {
        self.trunks.borrow_mut().push((via, Rc::clone(trunk)));
    }

    /// One less.
    pub(super) fn untie(&self, key: u64) {
        self.trunks.borrow_mut().retain(|(_, trunk)| trunk.key() != key);
    }

    fn clear(&self) -> Vec<u64> {
        let shelves = std::mem::take(&mut *self.shelves.borrow_mut());
        let mut keys: Vec<u64> = shelves.into_values().flat_map(|mut shelf| shelf.clear()).collect();
        keys.extend(self.trunks.take().iter().map(|(_, trunk)| trunk.key()));
        keys
    }

    /// Marks it suspect and asks for a check, once until it is trusted again.
    pub(super) fn suspect(&self, shared: &Shared) {
        if self.state.suspect() {
            // Nobody may be listening: then suspicion only passes it over.
            let _ = shared.suspicion.send(self.key.clone());
        }
    }

    pub(super) fn standing(&self) -> Standing {
        match self.phase.get() {
            Phase::Serving => self.state.standing(self.state.load().look().1),
            _ => Standing::Out,
        }
    }

    fn is_same(&self, target: &Target, state: &Arc<TargetState>) -> bool {
        let port = target.port.map(evenkeel_core::name::Port::number);
        self.address == target.address && self.port == port && Arc::ptr_eq(&self.state, state)
    }
}

/// One balancer as a worker knows it.
pub(super) struct BalancerView {
    planned: Arc<PlannedBalancer>,
    seen: Cell<u64>,
    pub(super) places: Vec<Rc<Place>>,
    zones: Vec<ZoneName>,
    pub(super) zone_of: Vec<usize>,
    /// Of each place, in their order, with whether intent allows it new requests.
    loads: Vec<(Load, bool)>,
    pub(super) rota: RefCell<Rota>,
    /// Where instances are not all alike.
    pub(super) weighed: Option<Weighed>,
    /// How many tries beyond the first this worker may make.
    budget: RefCell<Budget>,
    pub(super) latency: Arc<LatencyBlock>,
}

impl BalancerView {
    /// How instances are chosen.
    pub(super) fn balancing(&self) -> &Balancing {
        &self.planned.routes.balancing
    }

    /// What AWS's own choice looks at. Of each candidate only its load is touched, and not its place or its state: with a
    /// hundred of them that shows.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.loads.iter().zip(&self.planned.states).zip(&self.zone_of).map(|(((load, serves), state), zone)| {
            let (load, reasons) = load.look();
            Candidate { zone: *zone, load, standing: if *serves { state.standing(reasons) } else { Standing::Out } }
        })
    }

    /// Whether instances come for those who wait.
    pub(super) fn wakes(&self) -> bool {
        self.planned.routes.wakes
    }

    /// Those who wait for one of its instances.
    pub(super) fn surge(&self) -> &Arc<Surge> {
        &self.planned.surge
    }

    /// A request began.
    pub(super) fn asked(&self, now: u64) {
        self.budget.borrow_mut().request(now);
    }

    /// Whether one may be tried again now; if so, that is counted.
    pub(super) fn may_retry(&self, now: u64) -> bool {
        self.budget.borrow_mut().retry(self.balancing().retries, now)
    }
}

/// One listener on one node: all that a connection accepted there needs to know.
pub(super) struct Lane {
    pub(super) balancer: Rc<BalancerView>,
    pub(super) listener: ListenerRoute,
    pub(super) address: SocketAddr,
    pub(super) scope: Scope,
    /// What clients know each place by; made for the first client that shows something.
    pub(super) tags: OnceCell<Vec<Tag>>,
    pub(super) meter: Arc<NodeBlock>,
    pub(super) spans: Spans,
    /// How large a request's head may be.
    pub(super) bounds: Bounds,
    /// Requests at once on an HTTP/2 connection of a client.
    pub(super) streams: usize,
    /// Who may connect; everybody where there is none.
    allowed: Option<AddressSet>,
    /// What the log says of it.
    pub(super) side: Arc<Side>,
    /// How clients are spoken to in TLS.
    pub(super) front: Option<Arc<Front>>,
    /// How instances are.
    pub(super) back: Option<Arc<Back>>,
}

impl Lane {
    fn new(gate: &Gate, listener: &ListenerRoute, balancer: &Rc<BalancerView>, node: &Node, book: &Book) -> Self {
        let routes = &gate.balancer.routes;
        let scope = match &node.zone {
            None if routes.cross_zone => Scope::Everyone,
            None => Scope::EqualZones,
            Some(_) if routes.cross_zone => Scope::Everyone,
            // A zone without instances has no number: nobody is in reach.
            Some(zone) => Scope::Zone(balancer.zones.iter().position(|z| z == zone).unwrap_or(usize::MAX)),
        };
        let secured = gate.balancer.secured.get(gate.listener_index);
        Self {
            balancer: Rc::clone(balancer),
            listener: listener.clone(),
            address: gate.socket.address,
            scope,
            tags: OnceCell::new(),
            meter: book.node(&routes.name, &node.zone),
            spans: Spans::of(routes),
            bounds: Bounds::of(&routes.limits),
            streams: routes.limits.streams.map_or(STREAM_LIMIT, usize::from),
            allowed: listener.allowed_from.as_deref().map(AddressSet::new),
            side: Arc::new(Side {
                balancer: routes.name.to_string(),
                zone: node.zone.as_ref().map(ToString::to_string),
                own_zone_only: node.zone.is_some() && !routes.cross_zone,
                idle: routes.idle_timeout,
                has_instances: !routes.targets.is_empty(),
                queued: Queued {
                    most: routes.balancing.queue_length,
                    wait: routes.balancing.queue_wait,
                    limit: routes.balancing.max_in_flight,
                    boot: routes.wakes.then_some(routes.balancing.boot_wait),
                },
                delivery: routes.access_log.as_ref().map(|route| Delivery {
                    balancer: routes.name.clone(),
                    node: gate.socket.address.ip(),
                    route: route.clone(),
                }),
            }),
            front: secured.and_then(|secured| secured.front.clone()),
            back: secured.and_then(|secured| secured.back.clone()),
        }
    }

    pub(super) fn forwarded(&self, client: IpAddr) -> Forwarded {
        let proto = if self.listener.protocol == Protocol::Https { "https" } else { "http" };
        Forwarded { client, node: self.address, proto, port: self.listener.port.number(), trace: None }
    }

    /// Challenges that its balancer may be asked now.
    pub(super) fn pending(&self) -> Option<&Arc<Pending>> {
        self.balancer.planned.pending.as_ref()
    }

    /// Whether a connection may come from that address.
    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(peer))
    }

    /// What becomes of requests that others may read in another way.
    pub(super) fn desync(&self) -> DesyncMode {
        self.balancer.planned.routes.desync
    }

    /// Whether its clients speak HTTP.
    pub(super) fn sees_requests(&self) -> bool {
        self.listener.protocol.sees_requests()
    }

    /// How that instance is reached.
    pub(super) fn via(&self, place: &Place) -> Via {
        let port = place.port.unwrap_or(self.listener.instance_port.number());
        Via { port, tls: self.back.as_ref().map_or(0, |back| back.number), http2: self.by_http2() }
    }

    /// Whether instances are spoken to in HTTP/2.
    pub(super) fn by_http2(&self) -> bool {
        self.listener.instance_http == InstanceHttp::Two && self.sees_requests()
    }
}

/// A listening socket in a worker's loop, and what is served on it now.
///
/// Clients hold it for as long as they live, so it must not hold the socket: a listener that is gone would go on taking
/// connections that nobody accepts.
pub(super) struct GateView {
    pub(super) at: SocketAddr,
    pub(super) open: Cell<bool>,
    /// When another road had it, in the worker's milliseconds.
    pub(super) left: Cell<u64>,
    pub(super) lane: RefCell<Rc<Lane>>,
    /// The turn of the loop in which clients last waited, and how many were then taken at once.
    pub(super) told: Cell<u64>,
    pub(super) haste: Cell<usize>,
    seen: Cell<u64>,
    pub(super) balancer: LoadBalancerName,
    protocol: Protocol,
}

/// A socket and what is served on it.
pub(super) type Listening = (Arc<Bound>, Rc<GateView>);

/// Everything a worker drives by.
#[derive(Default)]
pub(super) struct View {
    balancers: BTreeMap<LoadBalancerName, Rc<BalancerView>>,
    gates: BTreeMap<SocketAddr, Listening>,
    /// How often it was turned: what was not met in the last turn is gone.
    turns: u64,
}

/// What a worker has to do after its view has changed.
#[derive(Default)]
pub(super) struct Turnover {
    /// Balancers that are new, changed or gone.
    pub(super) altered: BTreeSet<LoadBalancerName>,
    /// Gates to listen on.
    pub(super) opened: Vec<Listening>,
    /// Gates to stop listening on; some may have been opened anew on the same socket.
    pub(super) closed: Vec<Listening>,
    /// Idle connections to close.
    pub(super) idle: Vec<u64>,
    /// Targets that are draining.
    pub(super) draining: Vec<Rc<Place>>,
}

impl View {
    pub(super) fn gate(&self, at: &SocketAddr) -> Option<Rc<GateView>> {
        self.gates.get(at).map(|(_, gate)| Rc::clone(gate))
    }

    /// What is served now where that lane was, if it is the same balancer's and has changed.
    pub(super) fn lane_now(&self, old: &Rc<Lane>) -> Option<Rc<Lane>> {
        let (_, gate) =
            self.gates.get(&old.address).filter(|(_, gate)| gate.balancer == old.balancer.planned.routes.name)?;
        let lane = gate.lane.borrow();
        (!Rc::ptr_eq(&lane, old)).then(|| Rc::clone(&lane))
    }

    /// How many connections are to be kept ready to each instance of that balancer.
    pub(super) fn preconnect(&self, name: &LoadBalancerName) -> u32 {
        self.balancers.get(name).map_or(0, |view| view.balancing().preconnect)
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = &Listening> {
        self.gates.values()
    }

    /// Lets go of the listening sockets; what stands for them is the next plan's, too.
    pub(super) fn let_go(&mut self, hollow: &BTreeMap<SocketAddr, Arc<Bound>>) {
        for (at, (socket, _)) in &mut self.gates {
            if let Some(stand_in) = hollow.get(at) {
                *socket = Arc::clone(stand_in);
            }
        }
    }

    /// Takes over a plan. What has not changed costs a look-up and a comparison of pointers.
    pub(super) fn turn(&mut self, plan: &Plan, book: &Book) -> Turnover {
        let mut turnover = Turnover::default();
        self.turns += 1;
        for (name, planned) in &plan.balancers {
            let old = self.balancers.get(name);
            let view = match old {
                Some(old) if Arc::ptr_eq(&old.planned, planned) => {
                    old.seen.set(self.turns);
                    continue;
                }
                old => Rc::new(rebuild(planned, old.map(Rc::as_ref), (book, self.turns), &mut turnover)),
            };
            turnover.altered.insert(name.clone());
            self.balancers.insert(name.clone(), view);
        }
        let turns = self.turns;
        for (name, old) in self.balancers.extract_if(.., |_, view| view.seen.get() != turns) {
            turnover.altered.insert(name);
            for gone in &old.places {
                gone.gone.set(true);
                turnover.idle.append(&mut gone.clear());
            }
        }
        self.turn_gates(plan, book, &mut turnover);
        turnover
    }

    fn turn_gates(&mut self, plan: &Plan, book: &Book, turnover: &mut Turnover) {
        for gate in &plan.gates {
            let at = gate.socket.address;
            let old = self.gates.get(&at).filter(|(socket, _)| Arc::ptr_eq(socket, &gate.socket));
            if let Some((_, old)) = old
                && Arc::ptr_eq(&old.lane.borrow().balancer.planned, &gate.balancer)
            {
                old.seen.set(self.turns);
                continue;
            }
            let routes = &gate.balancer.routes;
            let parts = (self.balancers.get(&routes.name), gate.listener(), routes.nodes.get(gate.node_index));
            let (Some(balancer), Some(listener), Some(node)) = parts else { continue };
            let lane = Rc::new(Lane::new(gate, listener, balancer, node, book));
            if let Some((_, old)) =
                old.filter(|(_, old)| old.balancer == routes.name && old.protocol == listener.protocol)
            {
                old.lane.replace(lane);
                old.seen.set(self.turns);
                continue;
            }
            let view = Rc::new(GateView {
                at,
                open: Cell::new(true),
                left: Cell::new(0),
                lane: RefCell::new(lane),
                told: Cell::new(0),
                haste: Cell::new(1),
                seen: Cell::new(self.turns),
                balancer: routes.name.clone(),
                protocol: listener.protocol,
            });
            turnover.opened.push((Arc::clone(&gate.socket), Rc::clone(&view)));
            turnover.closed.extend(self.gates.insert(at, (Arc::clone(&gate.socket), view)));
        }
        let turns = self.turns;
        let gone = self.gates.extract_if(.., |_, (_, gate)| gate.seen.get() != turns);
        turnover.closed.extend(gone.map(|(_, listening)| listening));
        turnover.closed.iter().for_each(|(_, gate)| gate.open.set(false));
    }
}

fn rebuild(
    planned: &Arc<PlannedBalancer>,
    old: Option<&BalancerView>,
    (book, turns): (&Book, u64),
    turnover: &mut Turnover,
) -> BalancerView {
    let routes = &planned.routes;
    let mut zones: Vec<ZoneName> = routes.targets.iter().map(|target| target.zone.clone()).collect();
    zones.sort();
    zones.dedup();
    let mut known: BTreeMap<_, _> = old
        .iter()
        .flat_map(|old| old.places.iter().enumerate().map(|(at, place)| (place.key.1.clone(), (at, Rc::clone(place)))))
        .collect();
    let mut before = Vec::with_capacity(routes.targets.len());
    let mut places = Vec::with_capacity(routes.targets.len());
    for (target, state) in routes.targets.iter().zip(&planned.states) {
        let mut was = None;
        let place = match known.remove(&target.instance) {
            Some((at, place)) if place.is_same(target, state) => {
                before.push(Some(at));
                was = Some(place.phase.replace(target.phase));
                place
            }
            other => {
                before.push(None);
                if let Some((_, replaced)) = other {
                    replaced.gone.set(true);
                    turnover.idle.append(&mut replaced.clear());
                }
                Rc::new(Place {
                    key: (routes.name.clone(), target.instance.clone()),
                    called: target.instance.as_str().into(),
                    address: target.address,
                    port: target.port.map(evenkeel_core::name::Port::number),
                    state: Arc::clone(state),
                    meter: book.target(&routes.name, &target.instance),
                    phase: Cell::new(target.phase),
                    gone: Cell::new(false),
                    shelves: RefCell::default(),
                    trunks: RefCell::default(),
                    streams: Cell::new(STREAM_LIMIT),
                    backoff: Cell::default(),
                })
            }
        };
        if target.phase != Phase::Serving {
            turnover.idle.append(&mut place.clear());
        }
        // Only once for a moment: it is translated by the wall clock, which may have stepped since.
        if matches!(target.phase, Phase::Draining { .. }) && was != Some(target.phase) {
            turnover.draining.push(Rc::clone(&place));
        }
        places.push(place);
    }
    for (_, gone) in known.into_values() {
        gone.gone.set(true);
        turnover.idle.append(&mut gone.clear());
    }
    let zone_of = routes.targets.iter().map(|t| zones.binary_search(&t.zone).unwrap_or(usize::MAX)).collect();
    let rota = match old {
        Some(old) => old.rota.borrow().changed(&before, zones.len()),
        None => Rota::new(places.len(), zones.len()),
    };
    let weighed = Weighed::of(routes, &zones, old.and_then(|old| old.weighed.as_ref()), &before);
    let budget = old.map(|old| old.budget.borrow().clone()).unwrap_or_default();
    BalancerView {
        planned: Arc::clone(planned),
        seen: Cell::new(turns),
        loads: places.iter().map(|place| (place.state.load().clone(), place.phase.get() == Phase::Serving)).collect(),
        places,
        weighed,
        budget: RefCell::new(budget),
        zones,
        zone_of,
        rota: RefCell::new(rota),
        latency: book.latency(&routes.name),
    }
}
