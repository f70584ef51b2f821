//! Following a file that is rotated and emptied, and lines for people.

use std::fs::{self, File};

use super::follow::LINE_LIMIT;
use super::*;

const RECORD: &str = r#"{"time":"2026-11-23T10:20:30.123456Z","kind":"http","balancer":"web","zone":"us-east-1a","client":"127.0.0.1:5","instance":"i-0a","instance_address":"127.0.0.2:80","status":200,"instance_status":200,"request_time":0.000001,"instance_time":0.001000,"response_time":0.000001,"total_time":0.001002,"received":0,"sent":2,"request":"GET http://h:80/ HTTP/1.1","user_agent":null,"trace":null,"retries":0,"fault":null,"cause":null,"cipher":null,"protocol":null}"#;

fn plain(balancer: Option<&str>) -> Show {
    Show { balancer: balancer.map(Into::into), json: false, colours: false }
}

#[test]
fn what_is_rotated_away_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let mut follower = Follower::new(path.clone());
    let mut lines = Vec::new();
    let mut more = |follower: &mut Follower| {
        follower
            .more(|line| {
                lines.push(String::from_utf8(line.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        std::mem::take(&mut lines)
    };
    assert_eq!(more(&mut follower), [""; 0]);
    fs::write(&path, "1\n2\nhal").unwrap();
    assert_eq!(more(&mut follower), ["1", "2"]);
    let mut old = File::options().append(true).open(&path).unwrap();
    old.write_all(b"f\n").unwrap();
    fs::rename(&path, dir.path().join("access.log.1")).unwrap();
    assert_eq!(more(&mut follower), ["half"]);
    old.write_all(b"late\n").unwrap();
    fs::write(&path, "new\n").unwrap();
    assert_eq!(more(&mut follower), ["late", "new"]);
    assert_eq!(more(&mut follower), [""; 0]);
    // Emptied in place.
    fs::write(&path, "").unwrap();
    assert_eq!(more(&mut follower), [""; 0]);
    fs::write(&path, "again\n").unwrap();
    assert_eq!(more(&mut follower), ["again"]);
    // A line beyond all limits is passed over, and only that.
    let mut log = File::options().append(true).open(&path).unwrap();
    log.write_all(&vec![b'x'; 3 << 20]).unwrap();
    assert_eq!(more(&mut follower), [""; 0]);
    assert!(follower.held() <= LINE_LIMIT, "{}", follower.held());
    log.write_all(b"\nafter\n").unwrap();
    assert_eq!(more(&mut follower), ["after"]);
}

#[test]
fn it_begins_with_the_newest_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let aws = |n: usize, name: &str| format!("2026-11-23T00:00:00.000000Z {name} {n}\n");
    fs::write(dir.path().join("access.log.1"), aws(1, "a") + &aws(2, "b") + &aws(3, "a")).unwrap();
    fs::write(&path, aws(4, "b") + &aws(5, "a")).unwrap();
    let mut out = Vec::new();
    let mut waits = 0;
    let mut log = File::options().append(true).open(&path).unwrap();
    let mut follower = Follower::new(path.clone());
    tail(&mut follower, &plain(Some("a")), 2, &mut out, || {
        waits += 1;
        match waits {
            1 => log.write_all((aws(6, "b") + &aws(7, "a")).as_bytes()).unwrap(),
            2 => {
                fs::rename(&path, dir.path().join("access.log.1")).unwrap();
                fs::write(&path, aws(8, "a")).unwrap();
            }
            _ => return false,
        }
        true
    })
    .unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), [3, 5, 7, 8].map(|n| aws(n, "a")).concat());
}

#[test]
fn lines_for_people_say_what_matters() {
    let show = plain(None);
    assert_eq!(
        show.line(RECORD.as_bytes()).unwrap(),
        "10:20:30.123 200     1.002 ms  web/us-east-1a  127.0.0.1:5 -> i-0a  GET http://h:80/ HTTP/1.1\n"
    );
    let failed = RECORD
        .replace("\"status\":200", "\"status\":503")
        .replace("\"instance\":\"i-0a\"", "\"instance\":null")
        .replace("\"retries\":0", "\"retries\":2")
        .replace("\"cause\":null", "\"cause\":\"no instance in service in us-east-1a\"");
    assert_eq!(
        show.line(failed.as_bytes()).unwrap(),
        "10:20:30.123 503     1.002 ms  web/us-east-1a  127.0.0.1:5 -> -  GET http://h:80/ HTTP/1.1  (2 retries)  no instance in service in us-east-1a\n"
    );
    let tcp = RECORD.replace("\"GET http://h:80/ HTTP/1.1\"", "null").replace("\"status\":200", "\"status\":null");
    assert!(show.line(tcp.as_bytes()).unwrap().ends_with("-> i-0a  0 bytes in, 2 out\n"));
    let coloured = Show { colours: true, ..plain(None) };
    let text = coloured.line(failed.as_bytes()).unwrap();
    assert!(
        text.starts_with("10:20:30.123 \u{1b}[31m503\u{1b}[0m ") && text.ends_with("us-east-1a\u{1b}[0m\n"),
        "{text:?}"
    );
    // What a client chose orders nobody about.
    let hostile = RECORD.replace("http://h:80/", "/\\u001b[2J\\u009b\\u202e\\u000a");
    for show in [&show, &coloured] {
        let text = show.line(hostile.as_bytes()).unwrap();
        assert!(text.contains("GET /\\u{1b}[2J\\u{9b}\\u{202e}\\u{a} HTTP/1.1\n"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J"));
    }
    // Filters, and the records as they are.
    assert_eq!(plain(Some("web2")).line(RECORD.as_bytes()), None);
    let json = Show { json: true, ..plain(Some("web")) };
    assert_eq!(json.line(RECORD.as_bytes()).unwrap(), format!("{RECORD}\n"));
    assert_eq!(json.line(b"2026 web x"), None);
}
