//! Questions and answers: every kind of name, and every kind of refusal. Nonsense by the million is `tests/dns_corpus.rs`'s.

use hickory_proto::op::{MessageType, Query};

use super::*;
use crate::dns::table::tests::table;

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

fn ask(message: &Message, turn: usize) -> Message {
    let answer = answer(&table(), &message.to_vec().unwrap(), Transport::Udp, turn).unwrap();
    Message::from_vec(&answer.bytes).unwrap()
}

/// The code, the addresses or other data in order, and how many records say why there are none.
fn told(reply: &Message) -> (ResponseCode, Vec<String>, usize) {
    let data = reply.answers.iter().map(|record| record.data.to_string()).collect();
    (reply.metadata.response_code, data, reply.authorities.len())
}

#[test]
fn names_have_the_addresses_of_their_live_zones() {
    use RecordType as T;
    let check = |name: &str, kind: T, code: ResponseCode, data: &[&str]| {
        let reply = ask(&question(name, kind), 0);
        let (got, found, authorities) = told(&reply);
        assert_eq!((got, found), (code, data.iter().map(ToString::to_string).collect::<Vec<_>>()), "{name} {kind}");
        assert_eq!(authorities, usize::from(data.is_empty() && code != ResponseCode::Refused), "{name} {kind}");
        assert_eq!(reply.metadata.authoritative, code != ResponseCode::Refused, "{name}");
        assert!(!reply.metadata.recursion_available);
    };
    let (ok, none, refused) = (ResponseCode::NoError, ResponseCode::NXDomain, ResponseCode::Refused);
    // `web` is live in zone a alone, `idle` nowhere, `wide` in zone b with cross-zone balancing.
    check("web-1.us-east-1.elb.evenkeel.test", T::A, ok, &["127.80.0.1"]);
    check("WEB-1.us-EAST-1.elb.evenkeel.test", T::A, ok, &["127.80.0.1"]);
    check("dualstack.web-1.us-east-1.elb.evenkeel.test", T::A, ok, &["127.80.0.1"]);
    check("ipv6.web-1.us-east-1.elb.evenkeel.test", T::A, ok, &[]);
    check("web-1.us-east-1.elb.evenkeel.test", T::AAAA, ok, &[]);
    check("web-1.us-east-1.elb.evenkeel.test", T::MX, ok, &[]);
    check("web-1.us-east-1.elb.evenkeel.test", T::ANY, ok, &["127.80.0.1"]);
    check("internal-idle-2.us-east-1.elb.evenkeel.test", T::A, ok, &["127.80.0.3", "127.80.0.4"]);
    check("wide-3.us-east-1.elb.evenkeel.test", T::A, ok, &["127.80.0.5", "127.80.0.6"]);
    check("web.example.test", T::A, ok, &["127.80.0.1"]);
    check("ip-127-81-0-1.internal", T::A, ok, &["127.81.0.1"]);
    check("ns.elb.evenkeel.test", T::A, ok, &["127.0.0.1"]);
    // Nothing there, but something below.
    check("us-east-1.elb.evenkeel.test", T::A, ok, &[]);
    check("elb.evenkeel.test", T::A, ok, &[]);
    check("elb.evenkeel.test", T::NS, ok, &["ns.elb.evenkeel.test."]);
    check("nope.us-east-1.elb.evenkeel.test", T::A, none, &[]);
    check("a.web-1.us-east-1.elb.evenkeel.test", T::A, none, &[]);
    check("evenkeel.test", T::A, refused, &[]);
    check("example.com", T::A, refused, &[]);
    check(".", T::NS, refused, &[]);
    check("elb.evenkeel.test", T::AXFR, refused, &[]);
    let soa = told(&ask(&question("elb.evenkeel.test", T::SOA), 0)).1.remove(0);
    assert!(soa.starts_with("ns.elb.evenkeel.test. hostmaster.elb.evenkeel.test. "), "{soa}");
    let ns = ask(&question("elb.evenkeel.test", T::NS), 0);
    assert_eq!(ns.additionals.len(), 1);
}

#[test]
fn addresses_take_turns_and_the_name_comes_back_as_it_was_written() {
    let wide = question("WiDe-3.us-east-1.elb.evenkeel.test", RecordType::A);
    let first = |turn| told(&ask(&wide, turn)).1.remove(0);
    assert_eq!((first(0), first(1), first(2)), ("127.80.0.5".into(), "127.80.0.6".into(), "127.80.0.5".into()));
    let reply = ask(&wide, 0);
    assert_eq!(reply.answers[0].name.to_ascii(), "WiDe-3.us-east-1.elb.evenkeel.test.");
    assert_eq!((reply.answers[0].ttl, reply.queries[0].name().to_ascii()), (60, reply.answers[0].name.to_ascii()));
}

#[test]
fn what_is_not_spoken_is_said() {
    let name = "web-1.us-east-1.elb.evenkeel.test";
    let check = |message: &Message, code: ResponseCode| {
        let reply = ask(message, 0);
        assert_eq!((reply.metadata.response_code, reply.metadata.id), (code, 7));
    };
    let mut update = question(name, RecordType::A);
    update.metadata.op_code = OpCode::Update;
    check(&update, ResponseCode::NotImp);
    let mut chaos = question("version.bind", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    check(&chaos, ResponseCode::Refused);
    let mut none = question(name, RecordType::A);
    none.queries.clear();
    check(&none, ResponseCode::FormErr);
    let mut two = question(name, RecordType::A);
    two.add_query(Query::query(Name::root(), RecordType::A));
    check(&two, ResponseCode::FormErr);
    let mut newer = question(name, RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    newer.set_edns(edns);
    let reply = ask(&newer, 0);
    assert_eq!(reply.edns.as_ref().map(|edns| (edns.version(), edns.rcode_high())), Some((0, 1)));
    assert!(reply.answers.is_empty());
    // Answers to nobody's question are passed over, so that two servers never talk to each other for ever.
    let mut response = question(name, RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(answer(&table(), &response.to_vec().unwrap(), Transport::Udp, 0), None);
    assert_eq!(answer(&table(), &[0; 11], Transport::Udp, 0), None);
    let garbage =
        answer(&table(), &[&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[0xff; 9]].concat(), Transport::Udp, 0);
    assert_eq!(garbage.unwrap().code, ResponseCode::FormErr);
}

#[test]
fn what_does_not_fit_sends_its_asker_to_tcp() {
    let many = question("many-4.us-east-1.elb.evenkeel.test", RecordType::A);
    let asked = many.to_vec().unwrap();
    let plain = answer(&table(), &asked, Transport::Udp, 0).unwrap();
    assert!(plain.truncated && plain.bytes.len() <= 512);
    assert!(Message::from_vec(&plain.bytes).unwrap().metadata.truncation);
    let all = answer(&table(), &asked, Transport::Tcp, 0).unwrap();
    assert_eq!((all.truncated, Message::from_vec(&all.bytes).unwrap().answers.len()), (false, 40));
    let mut roomy = many;
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    roomy.set_edns(edns);
    let roomy = answer(&table(), &roomy.to_vec().unwrap(), Transport::Udp, 0).unwrap();
    assert!(!roomy.truncated && roomy.bytes.len() > 512 && roomy.bytes.len() <= 1232);
    let slipped = Message::from_vec(&come_by_tcp(&asked).unwrap()).unwrap();
    assert!(slipped.metadata.truncation && slipped.answers.is_empty());
}
