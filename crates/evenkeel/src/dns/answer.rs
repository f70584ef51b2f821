//! One question, one answer: the whole protocol between the bytes that came and the bytes that go, without I/O.
//!
//! Owns what is answered, refused, and passed over in silence. Nothing that a peer sends may panic here or cost more than a
//! small multiple of its size. Next: [`super::table`] for what there is.

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::table::Table;

/// Seconds for which a balancer's addresses may be kept (AWS: 60).
pub const TTL: u32 = 60;
/// Seconds for which it may be kept that there is nothing (RFC 2308): short, for names about to be made.
pub const NEGATIVE_TTL: u32 = 5;
/// The most bytes of an answer over UDP to whoever does not state another size (RFC 1035 §4.2.1).
const PLAIN_PAYLOAD: u16 = 512;
/// The most to whoever does: what passes every network without fragments (DNS flag day 2020).
pub const EDNS_PAYLOAD: u16 = 1232;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// An answer, and what is counted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What goes back.
    pub bytes: Vec<u8>,
    /// How it went.
    pub code: ResponseCode,
    /// Whether it did not fit into a datagram.
    pub truncated: bool,
}

/// Answers what came. `turn` counts up, so that addresses take turns in coming first. `None` for what is no question:
/// answers to nobody's question, and what is shorter than a header, are passed over.
#[must_use]
pub fn answer(table: &Table, asked: &[u8], transport: Transport, turn: usize) -> Option<Answer> {
    let (id, flags) = (u16::from_be_bytes([*asked.first()?, *asked.get(1)?]), *asked.get(2)?);
    if asked.len() < 12 || flags & 0x80 != 0 {
        return None;
    }
    let op_code = OpCode::from_u8(flags >> 3 & 0x0f);
    if op_code != OpCode::Query {
        return encoded(Message::error_msg(id, op_code, ResponseCode::NotImp), transport, None);
    }
    let Ok(question) = Message::from_vec(asked) else {
        return encoded(Message::error_msg(id, op_code, ResponseCode::FormErr), transport, None);
    };
    let mut reply = Message::response(id, op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.add_queries(question.queries.iter().cloned());
    if let Some(stated) = &question.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_PAYLOAD).set_version(0);
        if stated.version() != 0 {
            // RFC 6891 §6.1.3: the high bits of the code stand in the EDNS record.
            edns.set_rcode_high(ResponseCode::BADVERS.high());
            reply.metadata.response_code = ResponseCode::BADVERS;
            reply.set_edns(edns);
            return encoded(reply, transport, question.edns.as_ref());
        }
        reply.set_edns(edns);
    }
    let code = match &question.queries[..] {
        [query] if query.query_class() == DNSClass::IN => {
            look_up(table, query.name(), query.query_type(), turn, &mut reply)
        }
        [_] => ResponseCode::Refused,
        _ => ResponseCode::FormErr,
    };
    reply.metadata.response_code = code;
    encoded(reply, transport, question.edns.as_ref())
}

/// An answer that sends whoever asked to TCP: what those who ask too often are told.
#[must_use]
pub fn come_by_tcp(asked: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(asked).ok()?;
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.truncation = true;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    // One, as a query has: eight long ones would not fit where this must.
    reply.add_queries(question.queries.into_iter().take(1));
    reply.to_vec().ok()
}

fn look_up(table: &Table, name: &Name, kind: RecordType, turn: usize, reply: &mut Message) -> ResponseCode {
    let Some(zone) = table.zone_of(name) else { return ResponseCode::Refused };
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return ResponseCode::Refused;
    }
    reply.metadata.authoritative = true;
    let apex = name == zone;
    let host = table.host(name).cloned().unwrap_or_default();
    let v4 = || turned(&host.v4, turn).map(|v4| RData::A(A(v4)));
    let v6 = || turned(&host.v6, turn).map(|v6| RData::AAAA(AAAA(v6)));
    let found: Vec<RData> = match kind {
        RecordType::A => v4().collect(),
        RecordType::AAAA => v6().collect(),
        RecordType::SOA if apex => soa(table, zone).into_iter().map(RData::SOA).collect(),
        RecordType::NS if apex => name_server(zone).into_iter().map(|ns| RData::NS(NS(ns))).collect(),
        // RFC 8482 §4.1: some of what there is.
        RecordType::ANY if apex => soa(table, zone).into_iter().map(RData::SOA).collect(),
        RecordType::ANY => v4().chain(v6()).take(1).collect(),
        _ => Vec::new(),
    };
    if !found.is_empty() {
        // Under the name as it was asked for, letter by letter (draft-vixie-dnsext-dns0x20).
        reply.add_answers(found.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)));
        if kind == RecordType::NS {
            reply.add_additionals(glue(table, zone));
        }
        return ResponseCode::NoError;
    }
    // RFC 2308 §3: what is not there comes with the zone's SOA, whose time to live says how long that holds.
    reply.add_authorities(soa(table, zone).map(|soa| Record::from_rdata(zone.clone(), NEGATIVE_TTL, RData::SOA(soa))));
    if table.exists(name) { ResponseCode::NoError } else { ResponseCode::NXDomain }
}

/// All of them, beginning with another one each time.
fn turned<T: Copy>(all: &[T], turn: usize) -> impl Iterator<Item = T> {
    let start = if all.is_empty() { 0 } else { turn % all.len() };
    all[start..].iter().chain(&all[..start]).copied().collect::<Vec<_>>().into_iter()
}

fn name_server(zone: &Name) -> Option<Name> {
    zone.prepend_label("ns").ok()
}

fn soa(table: &Table, zone: &Name) -> Option<SOA> {
    let people = zone.prepend_label("hostmaster").ok()?;
    Some(SOA::new(name_server(zone)?, people, table.serial(), 60, 60, 86_400, NEGATIVE_TTL))
}

fn glue(table: &Table, zone: &Name) -> Vec<Record> {
    let Some(name) = name_server(zone) else { return Vec::new() };
    let Some(host) = table.host(&name) else { return Vec::new() };
    let v4 = host.v4.iter().map(|v4| RData::A(A(*v4)));
    let v6 = host.v6.iter().map(|v6| RData::AAAA(AAAA(*v6)));
    v4.chain(v6).map(|data| Record::from_rdata(name.clone(), TTL, data)).collect()
}

fn encoded(reply: Message, transport: Transport, stated: Option<&Edns>) -> Option<Answer> {
    let code = reply.metadata.response_code;
    let bytes = reply.to_vec().ok()?;
    let most = match (transport, stated) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => PLAIN_PAYLOAD,
        (Transport::Udp, Some(edns)) => edns.max_payload().clamp(PLAIN_PAYLOAD, EDNS_PAYLOAD),
    };
    if bytes.len() <= usize::from(most) {
        return Some(Answer { bytes, code, truncated: false });
    }
    Some(Answer { bytes: reply.truncate().to_vec().ok()?, code, truncated: true })
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
