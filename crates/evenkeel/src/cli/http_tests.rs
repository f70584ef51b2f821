//! Answers well and ill framed, and endpoints well and ill written.

use super::*;

#[track_caller]
fn check(answer: &str, expected: Option<(u16, &str)>) {
    let read = read_answer(&mut BufReader::new(answer.as_bytes()));
    let expected = expected.map(|(status, body)| (status, body.as_bytes().to_vec()));
    assert_eq!(read.ok(), expected, "{answer:?}");
}

#[test]
fn answers_are_read_in_every_framing() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, "hi")));
    check("HTTP/1.1 400\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi, too much", Some((400, "hi")));
    check("HTTP/1.0 200 OK\r\n\r\nto the end", Some((200, "to the end")));
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some((200, "")));
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x=y\r\n, 10 bytes\r\n0\r\nT: t\r\n\r\n",
        Some((200, "hi, 10 bytes")),
    );
}

#[test]
fn broken_answers_are_refused() {
    for answer in [
        "",
        "hello",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 2é0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
    ] {
        check(answer, None);
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
    let error = read_answer(&mut BufReader::new(endless.as_bytes())).unwrap_err();
    assert!(matches!(limit_in(&error), Some(Error::TooLarge(_))));
}

#[test]
fn endpoints_are_a_host_and_a_port() {
    let check = |text: &str, expected: Option<(&str, u16, &str)>| {
        let read = text.parse::<Endpoint>().ok();
        let read = read.map(|e| (e.host().to_owned(), e.port(), e.authority()));
        assert_eq!(read, expected.map(|(host, port, authority)| (host.into(), port, authority.into())), "{text}");
    };
    check("http://127.0.0.1:7480", Some(("127.0.0.1", 7480, "127.0.0.1:7480")));
    check("HTTP://localhost/", Some(("localhost", 80, "localhost")));
    check("http://[::1]:7480", Some(("[::1]", 7480, "[::1]:7480")));
    check("http://[::1]", Some(("[::1]", 80, "[::1]")));
    for bad in [
        "",
        "127.0.0.1:7480",
        "https://x",
        "http://",
        "http://:80",
        "http://x:0",
        "http://x:y",
        "http://x/path",
        "http://u@x",
        "http://::1",
        "http://[x]",
        "http://a b",
        "ftp://x",
        "http://x:65536",
    ] {
        check(bad, None);
    }
}
