//! Big bodies, slow readers, chunks.

use std::io::Write;
use std::thread;

use crate::rig::Rig;

#[test]
fn big_bodies_pass_both_ways_at_once() {
    let rig = Rig::new(&["a"]);
    let body: Vec<u8> = (0..8_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut client = rig.client();
    client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut writer = client.stream.try_clone().unwrap();
    let sent = body.clone();
    let sender = thread::spawn(move || writer.write_all(&sent).unwrap());
    assert!(client.read().unwrap().body == body);
    sender.join().unwrap();
    assert_eq!(client.get("/big?5000000").body.len(), 5_000_000);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(rig.origins[0].connections(), 1);
    let meters = rig.meters();
    assert!(meters.bytes_in > 8_000_000 && meters.bytes_out > 13_000_000, "{meters:?}");
}

#[test]
fn chunks_pass_both_ways() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    let answer = client.get("/chunked");
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("abcdefgh", Some("chunked")));
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let block = vec![b'y'; 100_000];
    for _ in 0..20 {
        client.send(format!("{:x};ext=\"1;2\"\r\n", block.len()));
        client.send(&block);
        client.send("\r\n");
    }
    client.send("0\r\nX-Trailer: 1\r\n\r\n");
    assert_eq!(client.read().unwrap().body.len(), 2_000_000);
    // An instance that ends its answer by closing: chunked for who understands it, so that its end is seen.
    let answer = client.get("/until-close");
    assert_eq!((answer.text().as_str(), answer.field("transfer-encoding")), ("until the end", Some("chunked")));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn slow_answers_are_passed_on_as_they_come() {
    let rig = Rig::new(&["a"]);
    let mut client = rig.client();
    client.send("GET /drip?30 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read().unwrap().text(), "abc");
}
