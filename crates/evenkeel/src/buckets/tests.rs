//! Names, folders, and a small store that is strict: it verifies what it is sent as S3 would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use evenkeel_aws::{Request, sigv4};
use percent_encoding::percent_decode_str;

use super::*;

const NOW: Time = Time(1_780_272_000_000);

fn route(prefix: &str) -> AccessLogRoute {
    AccessLogRoute {
        bucket: "logs".into(),
        prefix: prefix.into(),
        minutes: 5,
        account: "123456789012".into(),
        region: "us-east-1".into(),
    }
}

fn web() -> LoadBalancerName {
    LoadBalancerName::new("web").unwrap()
}

fn keys() -> BucketKeys {
    let credentials =
        Credentials { access_key_id: "AKIDEXAMPLE".into(), secret_access_key: "a secret".into(), session_token: None };
    BucketKeys { credentials, region: "eu-central-1".into() }
}

/// A store that answers with what is next in `answers`, and with 200 once there is nothing left. What it took lies in the
/// second.
pub(crate) fn store(answers: Vec<&'static str>) -> (SocketAddr, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, taken) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let (mut answers, seen) = (answers.into_iter(), Arc::clone(&taken));
    // Ends with the test's process; nothing waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let request = read(&stream);
            let answer = answers.next().unwrap_or("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            if answer.starts_with("HTTP/1.1 200") {
                seen.lock().unwrap().push(request);
            }
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (at, taken)
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.body = body;
    request
}

/// As S3 verifies: the path is signed as it is encoded once.
fn verified(request: &Request) -> Result<sigv4::Identity, sigv4::AuthError> {
    let mut plain = request.clone();
    plain.target = percent_decode_str(&request.target).decode_utf8().unwrap().into_owned();
    sigv4::verify(&plain, |id| (id == "AKIDEXAMPLE").then(|| "a secret".to_owned()), NOW)
}

#[test]
fn mappings_say_where_a_bucket_is() {
    let good = |text: &str| text.parse::<Mapping>().unwrap();
    assert_eq!(good("logs=/var/logs").place, Place::Folder("/var/logs".into()));
    let at = |text: &str| match good(text).place {
        Place::Store(store) => format!("{store:?}"),
        Place::Folder(folder) => panic!("{folder:?}"),
    };
    assert_eq!(
        at("logs=http://10.0.0.1:9000/other/deep/"),
        "Store { secure: false, host: \"10.0.0.1\", port: 9000, base: \"other/deep\" }"
    );
    assert_eq!(at("logs=https://[fd00::1]/b"), "Store { secure: true, host: \"fd00::1\", port: 443, base: \"b\" }");
    let bad = |text: &str, wanted: &str| {
        let said = text.parse::<Mapping>().unwrap_err();
        assert!(said.contains(wanted), "{text}: {said}");
    };
    bad("logs", "it must be NAME=DIR");
    bad("Logs=/x", "`Logs` is no bucket");
    bad("l/../ogs=/x", "is no bucket");
    bad("logs=", "the folder is empty");
    bad("logs=ftp://x/y", "must be at http:// or https://");
    bad("logs=http://x", "must end in a bucket's name");
    bad("logs=http://x/a/../b", "must end in a bucket's name");
    bad("logs=http:///b", "is no host");
    bad("logs=http://user:pass@x/b", "is no host");
    bad("logs=http://x:99999/b", "is no host");
}

#[test]
fn names_and_prefixes_are_those_that_folders_can_have_too() {
    for good in ["abc", "my-logs.2026", "0-9"] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "ab", "-abc", "abc.", "a..b", "A-b", "a/b", "a_b", &"a".repeat(64)] {
        assert!(!is_name(bad), "{bad}");
    }
    for good in ["", "my-app", "my/app", "a.b/c(1)"] {
        assert!(is_prefix(good), "{good}");
    }
    for bad in [
        "/a",
        "a/",
        "a//b",
        "a/../b",
        ".",
        "a b",
        "a?b",
        "a%b",
        "AWSLogs",
        "a/AWSLogs/b",
        &"a".repeat(513),
        &"a".repeat(201),
    ] {
        assert!(!is_prefix(bad), "{bad}");
    }
}

#[test]
fn a_bucket_without_a_mapping_is_a_folder_of_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mapping = format!("mapped={}", elsewhere.path().display()).parse().unwrap();
    let buckets = Buckets::new(dir.path(), &[mapping], None);
    buckets.check(&route("p/q"), &web(), NOW).unwrap();
    let text =
        fs::read_to_string(dir.path().join("buckets/logs/p/q/AWSLogs/123456789012/ELBAccessLogTestFile")).unwrap();
    assert_eq!(text, "Enable AccessLog for ELB: web at 2026-06-01T00:00:00.000Z\n");
    for body in ["one", "two"] {
        buckets.put("mapped", "a/b", body.into(), NOW).unwrap();
        assert_eq!(fs::read_to_string(elsewhere.path().join("a/b")).unwrap(), body);
    }
    assert_eq!(fs::read_dir(elsewhere.path().join("a")).unwrap().count(), 1);
    let refused = |bucket: &str, key: &str, wanted: &str| {
        let said = buckets.put(bucket, key, b"x".to_vec(), NOW).unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}");
    };
    refused("../logs", "a", "its name must be 3 to 63");
    refused("logs", "../a", "a key's parts must not be");
    refused("mapped", "a/b/c", "File exists");
    let said = buckets.check(&route("a/../b"), &web(), NOW).unwrap_err().to_string();
    assert!(said.starts_with("write below `a/../b`: a prefix is"), "{said}");
}

#[test]
fn a_store_is_sent_what_it_can_verify() {
    let (at, taken) = store(vec![]);
    let dir = tempfile::tempdir().unwrap();
    let mapping = format!("logs=http://{at}/real-bucket").parse().unwrap();
    let buckets = Buckets::new(dir.path(), &[mapping], Some(keys()));
    buckets.put("logs", "p'(1)/AWSLogs/x_y.log", b"line\n".to_vec(), NOW).unwrap();
    buckets.check(&route("p"), &web(), NOW).unwrap();
    let taken = taken.lock().unwrap();
    assert_eq!(taken[0].target, "/real-bucket/p%27%281%29/AWSLogs/x_y.log");
    assert_eq!((taken[0].method.as_str(), taken[0].body.as_slice()), ("PUT", &b"line\n"[..]));
    let wanted = sigv4::Identity {
        access_key_id: "AKIDEXAMPLE".into(),
        region: "eu-central-1".into(),
        service: "s3".into(),
        session_token: None,
    };
    assert_eq!(verified(&taken[0]).unwrap(), wanted);
    assert!(verified(&taken[1]).is_ok());
    assert_eq!(taken[1].target, "/real-bucket/p/AWSLogs/123456789012/ELBAccessLogTestFile");
    let mut altered = taken[0].clone();
    altered.body = b"lime\n".to_vec();
    assert!(verified(&altered).is_err());
    let mut altered = taken[0].clone();
    altered.target = "/real-bucket/other".into();
    assert!(verified(&altered).is_err());
    let hash = taken[0].header("x-amz-content-sha256").unwrap();
    assert_eq!(hash.len(), 64);
}

#[test]
fn what_a_store_says_is_told_without_the_keys() {
    let denied = "HTTP/1.1 403 Forbidden\r\nContent-Length: 59\r\n\r\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let (at, taken) = store(vec![denied, "SSH-2.0-x\r\n", "", "HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n"]);
    let dir = tempfile::tempdir().unwrap();
    let mapping = format!("logs=http://{at}/real").parse().unwrap();
    let buckets = Buckets::new(dir.path(), &[mapping], Some(keys()));
    let said = || buckets.check(&route("p"), &web(), NOW).unwrap_err().to_string();
    assert_eq!(said(), format!("write to bucket `logs` at {at}: it said 403 AccessDenied"));
    assert_eq!(said(), format!("write to bucket `logs` at {at}: it said nothing that is HTTP"));
    assert_eq!(said(), format!("write to bucket `logs` at {at}: it said nothing that is HTTP"));
    assert_eq!(said(), format!("write to bucket `logs` at {at}: it said 301 "));
    assert_eq!(taken.lock().unwrap().len(), 0);
    assert!(!format!("{buckets:?}").contains("a secret"));
}

#[test]
fn keys_come_from_a_file_that_nobody_else_reads_or_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    let write = |text: &str, mode: u32| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let nothing = |_: &str| None;
    let find = || BucketKeys::find(Some(&path), "us-east-1", nothing).map_err(|error| error.to_string());
    write("access_key_id = \"a\"\nsecret_access_key = \"hush\"\n", 0o600);
    let found = find().unwrap().unwrap();
    assert_eq!((found.region.as_str(), found.credentials.access_key_id.as_str()), ("us-east-1", "a"));
    assert!(!format!("{found:?}").contains("hush"));
    write("access_key_id = \"a\"\nsecret_access_key = \"hush\"\nregion = \"eu-west-1\"\nsession_token = \"t\"", 0o400);
    assert_eq!(find().unwrap().unwrap().region, "eu-west-1");
    write("access_key_id = \"a\"\nsecret_access_key = \"hush\"\n", 0o640);
    assert!(find().unwrap_err().contains("others may read it (its mode is 0640"));
    write("secret_access_key = hush", 0o600);
    let said = find().unwrap_err();
    assert!(said.contains("it must have `access_key_id`") && !said.contains("hush"), "{said}");
    let env =
        |name: &str| [(KEY_ID, "id"), (SECRET, "s")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    assert_eq!(BucketKeys::find(None, "r", env).unwrap().unwrap().credentials.access_key_id, "id");
    assert_eq!(BucketKeys::find(None, "r", nothing).unwrap(), None);
}
