//! What one road leaves to the next: the process that takes over from another serves on the same sockets.
//!
//! Owns the shape of the estate, and how a road takes one on and retires. Must never talk to the other process: whoever
//! owns the road does. Sockets are handed over as they are and never bound anew, so that what waits in their queues is
//! served by whoever accepts first.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_core::name::{LoadBalancerName, Port};
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};

use crate::io::listen::Bound;
use crate::io::shared::{Gate, Plan, Retirement};
use crate::road::Road;
pub use crate::tls::tickets::TicketKey;

/// How long a client of a road that retires may be idle before its connection is closed: a request that it sends within
/// this time is answered, and told that it was the last one. Closing at once would cross with requests on their way.
pub const IDLE_GRACE: Duration = Duration::from_secs(2);
/// How long the workers may take to stop accepting. They do it in their next turn.
const LETTING_GO: Duration = Duration::from_secs(5);

/// The keys of one listener's session tickets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// The balancer.
    pub balancer: LoadBalancerName,
    /// The listener's port, as clients were told it.
    pub port: Port,
    /// Its keys, the newest last.
    pub keys: Vec<TicketKey>,
}

/// What a road leaves.
#[derive(Debug, Default)]
pub struct Estate {
    /// The listening sockets; each says itself where it is bound.
    pub sockets: Vec<OwnedFd>,
    /// The keys of the session tickets.
    pub tickets: Vec<Tickets>,
}

/// An estate on its way into the first Routes.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: BTreeMap<SocketAddr, OwnedFd>,
    tickets: Vec<Tickets>,
}

impl Inherited {
    /// The socket bound there, if there is one. It is given away once.
    pub(crate) fn socket(&mut self, address: SocketAddr) -> Option<Bound> {
        self.sockets.remove(&address).map(|fd| Bound { fd: Some(fd), address })
    }

    /// The keys of a listener's tickets.
    pub(crate) fn keys(&self, balancer: &LoadBalancerName, port: Port) -> &[TicketKey] {
        let found = self.tickets.iter().find(|tickets| tickets.balancer == *balancer && tickets.port == port);
        found.map_or(&[], |tickets| &tickets.keys)
    }
}

impl Road {
    /// What the next road needs to serve the same clients: the sockets are shared with it, not given up.
    ///
    /// # Errors
    /// No descriptor to be had.
    pub fn estate(&self) -> io::Result<Estate> {
        let plan = self.shared.plan.load_full();
        let mut estate = Estate::default();
        for gate in &plan.gates {
            if let Some(fd) = &gate.socket.fd {
                estate.sockets.push(fd.try_clone()?);
            }
        }
        for (name, planned) in &plan.balancers {
            for (listener, secured) in planned.routes.listeners.iter().zip(&planned.secured) {
                if let Some(front) = &secured.front {
                    let (balancer, port) = (name.clone(), listener.port);
                    estate.tickets.push(Tickets { balancer, port, keys: front.ticket_keys() });
                }
            }
        }
        Ok(estate)
    }

    /// Takes an estate on, before the first [`Road::publish`]: listeners of those Routes that are bound in it are not
    /// bound anew. What those Routes do not want is let go of.
    ///
    /// # Errors
    /// A descriptor that is no listening TCP socket.
    pub fn inherit(&self, estate: Estate) -> io::Result<()> {
        let mut sockets = BTreeMap::new();
        for fd in estate.sockets {
            let listens = sockopt::socket_acceptconn(&fd)?;
            let address = SocketAddr::try_from(rustix::net::getsockname(&fd)?).ok().filter(|_| listens);
            let address = address.ok_or_else(|| io::Error::other("what was handed over is no listening socket"))?;
            sockets.insert(address, fd);
        }
        let tickets = estate.tickets;
        *self.inherited.lock().unwrap_or_else(PoisonError::into_inner) = Inherited { sockets, tickets };
        Ok(())
    }

    /// Leaves the listeners to whoever has them now: accepts nothing more, ends connections as soon as that costs no
    /// client a request, and what is left after `drain`. It goes on driving by what is published, so that targets that
    /// leave get nothing more of it. [`Road::wait`] returns when all is over.
    pub fn retire(&self, drain: Duration) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.stopping().is_some() {
            return;
        }
        let hollow = |at: &SocketAddr| (*at, Arc::new(Bound { fd: None, address: *at }));
        let hollow: BTreeMap<_, _> = bound.keys().map(hollow).collect();
        self.shared.retire(Retirement { hollow: hollow.clone() }, Instant::now() + drain);
        self.shared.all_left(LETTING_GO);
        // A socket of which one process holds a copy goes on taking clients in, though nobody accepts them.
        let before = self.shared.plan.load_full();
        let empty = |gate: &Gate| {
            let socket = Arc::clone(hollow.get(&gate.socket.address)?);
            let (node_index, listener_index) = (gate.node_index, gate.listener_index);
            Some(Gate { balancer: Arc::clone(&gate.balancer), node_index, listener_index, socket })
        };
        let gates = before.gates.iter().filter_map(empty).collect();
        let plan = Plan { generation: before.generation, balancers: before.balancers.clone(), gates };
        *bound = hollow.iter().map(|(at, socket)| (*at, Arc::downgrade(socket))).collect();
        self.shared.publish(plan);
    }

    /// Cuts what is left of a road that retires after `drain`, if that is sooner than it was told before.
    pub fn hurry(&self, drain: Duration) {
        self.shared.hurry(Instant::now() + drain);
    }

    /// Waits until a road that was told to stop or to retire has ended.
    pub fn wait(&self) {
        self.join();
    }
}
