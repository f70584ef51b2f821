//! A balancer's access log on its way to an S3-style store: over a store that is busy, and over deaths of road and office.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_aws::{Request, Time, elb, sigv4};

use crate::rig::{Rig, kill9};

/// An object: its key, and its text.
type Object = (String, String);

/// A store that turns the first log away, and takes nothing whose signature it does not verify.
struct Store {
    at: SocketAddr,
    taken: Arc<Mutex<Vec<Object>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = Self { at: listener.local_addr().unwrap(), taken: Arc::default(), refused: Arc::default() };
        let (taken, refused) = (Arc::clone(&store.taken), Arc::clone(&store.refused));
        // Ends with the test's process; nothing waits for it.
        std::thread::spawn(move || {
            let mut busy = true;
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                let key = request.target.strip_prefix("/real/").unwrap_or_default().to_owned();
                let identity = sigv4::verify(&request, |id| (id == "AKIDSTORE").then(|| "hush".to_owned()), now());
                let answer = match identity {
                    Ok(identity) if identity.service == "s3" && identity.region == "eu-west-1" => {
                        if key.ends_with(".log") && std::mem::take(&mut busy) {
                            refused.lock().unwrap().push("busy".into());
                            "503 Slow Down"
                        } else {
                            taken.lock().unwrap().push((key, String::from_utf8(request.body).unwrap()));
                            "200 OK"
                        }
                    }
                    other => {
                        refused.lock().unwrap().push(format!("{other:?}"));
                        "403 Forbidden"
                    }
                };
                let _ = write!(&stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        store
    }

    /// Logs that hold the word, and how often all of them together do.
    fn logs(&self, word: &str) -> (Vec<Object>, usize) {
        let taken = self.taken.lock().unwrap();
        let with: Vec<Object> = taken.iter().filter(|(_, text)| text.contains(word)).cloned().collect();
        let count = with.iter().map(|(_, text)| text.matches(word).count()).sum();
        (with, count)
    }
}

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(i64::try_from(since.as_millis()).unwrap())
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let mut body = vec![0; request.header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    request.body = body;
    Some(request)
}

fn log_to(rig: &Rig, bucket: &str) {
    let input = elb::ModifyLoadBalancerAttributes {
        load_balancer_name: "test".into(),
        load_balancer_attributes: elb::LoadBalancerAttributes {
            access_log: Some(elb::AccessLog {
                enabled: true,
                s3_bucket_name: Some(bucket.into()),
                emit_interval: Some(60),
                s3_bucket_prefix: Some("web".into()),
            }),
            ..Default::default()
        },
    };
    rig.call(&input).unwrap();
}

/// Sends requests until so many of them are on disk in the log that is being written; how many are.
fn ask(rig: &mut Rig, path: &str, wanted: usize) -> usize {
    let at = rig.nodes("test")[0].1;
    rig.wait("the log to be written", Duration::from_secs(30), |rig| {
        // The road may be on its way to the newest state, or to life: then nobody answers, or nothing is logged.
        let _ = rig.get(at, path);
        Some(written(rig, path)).filter(|count| *count >= wanted)
    })
}

fn written(rig: &Rig, word: &str) -> usize {
    let open = std::fs::read_dir(rig.file("spool/open")).into_iter().flatten().flatten();
    open.map(|entry| std::fs::read_to_string(entry.path()).unwrap_or_default().matches(word).count()).sum()
}

fn kill_road(rig: &Rig) {
    kill9(std::fs::read_to_string(rig.file("road.lock")).unwrap().trim().parse().unwrap());
}

#[test]
fn access_logs_reach_their_store_over_its_refusals_and_over_deaths_of_road_and_office() {
    let store = Store::start();
    let keys = tempfile::tempdir().unwrap();
    let path = keys.path().join("keys.toml");
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    file.write_all(b"access_key_id = \"AKIDSTORE\"\nsecret_access_key = \"hush\"\nregion = \"eu-west-1\"\n").unwrap();
    let mapping = format!("logs=http://{}/real", store.at);
    let mut rig = Rig::start_with(&["--log-bucket", &mapping, "--log-bucket-keys", path.to_str().unwrap()]);
    rig.balancer("test", &["us-east-1a"]);
    log_to(&rig, "logs");
    let tests = |store: &Store| store.logs("Enable AccessLog for ELB: test at 20").0;
    assert_eq!(tests(&store)[0].0, "web/AWSLogs/000000000000/ELBAccessLogTestFile");
    let first = ask(&mut rig, "/first", 3);
    // What was not finished is, by the next road; the store turns it away once.
    kill_road(&rig);
    rig.wait("the first log to arrive", Duration::from_secs(30), |_| (store.logs("/first").1 >= first).then_some(()));
    let node = rig.nodes("test")[0].1.ip();
    let (logs, _) = store.logs("/first");
    let (key, text) = &logs[0];
    let begins = "web/AWSLogs/000000000000/elasticloadbalancing/us-east-1/20";
    assert!(key.starts_with(begins) && key.contains("_elasticloadbalancing_us-east-1_test_20"), "{key}");
    assert!(key.contains(&format!("00Z_{node}_")) && key.ends_with(".log"), "{key}");
    let line = text.lines().find(|line| line.contains("/first")).unwrap();
    assert!(
        line.contains(" test 127.") && line.contains(" - -1 -1 -1 503 0 0 0 \"GET http://test:8080/first HTTP/1.1\"")
    );
    assert_eq!(*store.refused.lock().unwrap(), ["busy"]);
    // Road and office die together; the next ones go on with what they left.
    let second = ask(&mut rig, "/second", 3);
    rig.kill_daemon();
    kill_road(&rig);
    rig.up();
    rig.wait("the second log to arrive", Duration::from_secs(30), |_| {
        (store.logs("/second").1 >= second).then_some(())
    });
    // A bucket that nobody mapped is a folder of the data directory.
    log_to(&rig, "unmapped");
    let third = ask(&mut rig, "/third", 1);
    kill_road(&rig);
    rig.wait("the third log to arrive", Duration::from_secs(30), |rig| {
        let all = walk(&rig.file("buckets/unmapped/web"));
        (all.iter().map(|text| text.matches("/third").count()).sum::<usize>() >= third).then_some(())
    });
    assert_eq!(*store.refused.lock().unwrap(), ["busy"]);
    rig.wait("the spool to be empty", Duration::from_secs(10), |rig| {
        std::fs::read_dir(rig.file("spool/done")).unwrap().next().is_none().then_some(())
    });
    rig.finish();
}

/// The texts of all files below.
fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            texts.extend(walk(&entry.path()));
        } else {
            texts.push(std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    texts
}
