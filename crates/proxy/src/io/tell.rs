//! What a connection tells the access log.
//!
//! Owns the moments at which something is learned, and nothing else: without a log each of them is one test of a pointer.
//! Must never wait: [`crate::log::queue`] takes a record or drops it. Next: `log/record.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::client::Client;
use super::pipe::Tunnel;
use super::view::{Lane, Place};
use super::worker::Worker;
use crate::fault::Fault;
use crate::log::record::{Asked, Mismatch, Secured, Times};
use crate::log::{Kind, Record, Said, Side};
use crate::proto::emit::Forwarded;
use crate::request::Notes;

/// A record in the making; nothing while there is none.
#[derive(Default)]
pub(super) struct Tale(Option<Box<Draft>>);

struct Draft {
    at: SystemTime,
    began: Instant,
    /// When an instance had been sent the request, or its first byte (TCP).
    sent: Option<Instant>,
    /// When an instance's answer began.
    heard: Option<Instant>,
    /// When it began to go to the client.
    told: Option<Instant>,
    /// The time to connect (TCP).
    connected: Duration,
    place: Option<(Arc<str>, SocketAddr)>,
    instance_status: u16,
    retries: u32,
    fault: Option<Fault>,
    /// The status of an answer that the balancer had itself.
    served: u16,
    denied: bool,
    said: Option<Box<Said>>,
    carried: (u64, u64),
}

impl Tale {
    /// Begins a record.
    pub(super) fn begin(&mut self, said: Option<Box<Said>>) {
        self.0 = Some(Box::new(Draft {
            at: SystemTime::now(),
            began: Instant::now(),
            sent: None,
            heard: None,
            told: None,
            connected: Duration::ZERO,
            place: None,
            instance_status: 0,
            retries: 0,
            fault: None,
            served: 0,
            denied: false,
            said,
            carried: (0, 0),
        }));
    }

    /// That instance was chosen.
    pub(super) fn asks(&mut self, place: &Place, port: u16) {
        if let Some(draft) = &mut self.0 {
            draft.place = Some((Arc::clone(&place.called), SocketAddr::new(place.address, port)));
        }
    }

    /// The instance has been sent all there is of the request.
    pub(super) fn sent(&mut self) {
        if let Some(draft) = &mut self.0
            && draft.heard.is_none()
        {
            draft.sent = Some(Instant::now());
        }
    }

    /// Something goes to the client.
    pub(super) fn tells(&mut self) {
        if let Some(draft) = &mut self.0
            && draft.heard.is_some()
            && draft.told.is_none()
        {
            draft.told = Some(Instant::now());
        }
    }

    /// Another try could not be afforded.
    pub(super) fn denied(&mut self) {
        if let Some(draft) = &mut self.0 {
            draft.denied = true;
        }
    }

    /// A connection to the instance was made after so long (TCP).
    pub(super) fn connected(&mut self, took: Duration) {
        if let Some(draft) = &mut self.0 {
            draft.connected = took;
        }
    }

    /// So many bytes went up and down, of which nobody knows what they are.
    pub(super) fn carried(&mut self, up: u64, down: u64) {
        if let Some(draft) = &mut self.0 {
            draft.carried.0 += up;
            draft.carried.1 += down;
            if up > 0 && draft.sent.is_none() {
                draft.sent = Some(Instant::now());
            }
        }
    }

    /// The record, once it is over.
    fn end(
        &mut self,
        kind: Kind,
        side: &Arc<Side>,
        client: SocketAddr,
        (secured, mismatch): (Option<Secured>, Option<Mismatch>),
    ) -> Option<Box<Record>> {
        let draft = self.0.take()?;
        let now = Instant::now();
        let times = match (kind, draft.heard) {
            (Kind::Http, None) => None,
            (Kind::Http, Some(heard)) => {
                // An answer may come before the request was sent to its end.
                let sent = draft.sent.unwrap_or(heard).min(heard);
                Some(Times {
                    request: sent.duration_since(draft.began),
                    instance: heard.duration_since(sent),
                    response: draft.told.unwrap_or(now).duration_since(heard),
                })
            }
            // What an instance sends is passed on in the same step.
            (Kind::Tcp, _) => draft.sent.map(|sent| Times {
                request: sent.duration_since(draft.began),
                instance: draft.connected,
                response: Duration::ZERO,
            }),
        };
        let own = draft.fault.map_or(draft.served, |fault| fault.verdict().status);
        let status = match (kind, draft.instance_status) {
            (Kind::Tcp, _) => 0,
            (Kind::Http, 0) => own,
            (Kind::Http, status) => status,
        };
        Some(Box::new(Record {
            kind,
            at: draft.at,
            total: now.duration_since(draft.began),
            side: Arc::clone(side),
            client,
            asked: draft.place.map(|(instance, address)| Asked { instance, address }),
            times,
            status,
            instance_status: draft.instance_status,
            received: draft.carried.0,
            sent: draft.carried.1,
            said: draft.said,
            retries: draft.retries,
            fault: draft.fault,
            denied: draft.denied,
            secured,
            mismatch,
        }))
    }
}

impl Worker {
    /// What an instance is told of the client at hand.
    pub(super) fn front(&mut self, c: &Client) -> Forwarded {
        let mut front = c.lane.forwarded(c.peer.ip());
        if let Some(ids) = &mut self.ids {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            front.trace = Some(ids.next(since.as_secs() as u32));
        }
        front
    }

    /// Whether anybody keeps a record of what comes that way.
    pub(super) fn hears(&self, lane: &Lane) -> bool {
        self.teller.as_ref().is_some_and(|teller| teller.hears(&lane.side))
    }

    /// Takes note of what a session noted.
    pub(super) fn note(&self, c: &mut Client, notes: &Notes) {
        if !self.hears(&c.lane) {
            return;
        }
        if notes.request {
            self.tell_client(c);
            let said = c.session.take_said();
            c.tale.begin(said);
        } else if let Some(fault) = notes.fault
            && c.tale.0.is_none()
            && fault.verdict().status > 0
        {
            // A head that was refused, or never came to its end.
            let said = c.session.take_said();
            c.tale.begin(said);
        }
        let Some(draft) = &mut c.tale.0 else { return };
        draft.retries += u32::from(notes.retried);
        draft.denied |= notes.denied;
        if let Some(status) = notes.answered {
            draft.instance_status = status;
            draft.heard = Some(Instant::now());
        }
        if notes.fault.is_some() {
            draft.fault = notes.fault;
        }
        draft.served = notes.served.unwrap_or(draft.served);
        if (notes.fault.is_some() || notes.served.is_some()) && !c.session.is_busy() {
            self.tell_client(c);
        }
    }

    /// Hands over the record of a request that is over, or whose connection is.
    pub(super) fn tell_client(&self, c: &mut Client) {
        let Some(teller) = &self.teller else { return };
        let carried = c.session.carried();
        if let Some(draft) = &mut c.tale.0 {
            draft.carried = (carried.up, carried.down);
        }
        if let Some(record) = c.tale.end(Kind::Http, &c.lane.side, c.peer, (c.stream.agreed(), None)) {
            teller.tell(record);
        }
    }

    /// Counts a handshake that failed for want of something in common, and hands over the record of its connection: there
    /// never was a request.
    pub(super) fn tell_mismatch(&self, c: &mut Client) {
        let Some(mismatch) = c.stream.mismatch() else { return };
        c.lane.meter.from_balancer[Fault::HandshakeFailed.index()].add(1);
        let Some(teller) = self.teller.as_ref().filter(|teller| teller.hears(&c.lane.side)) else { return };
        c.tale.begin(None);
        if let Some(draft) = &mut c.tale.0 {
            draft.fault = Some(Fault::HandshakeFailed);
        }
        if let Some(record) = c.tale.end(Kind::Tcp, &c.lane.side, c.peer, (None, Some(mismatch))) {
            teller.tell(record);
        }
    }

    /// Hands over the record of a tunnel that is over.
    pub(super) fn tell_tunnel(&self, t: &mut Tunnel, fault: Option<Fault>) {
        let Some(teller) = &self.teller else { return };
        if let Some(draft) = &mut t.tale.0 {
            draft.fault = fault;
        }
        if let Some(record) = t.tale.end(t.kind, &t.lane.side, t.ends.source, (t.client.agreed(), t.client.mismatch()))
        {
            teller.tell(record);
        }
    }
}
