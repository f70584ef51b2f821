//! Bad input and faults of the whole product: each a clear error or a bounded wait, and the rest goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_aws::{ec2, elb};

use crate::rig::{PORT, PROGRAM, Rig, processes_of_instance};

/// A folder that is an image of anything.
fn folder(rig: &Rig, name: &str, toml: &str) -> std::path::PathBuf {
    let dir = rig.file(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("image.toml"), toml).unwrap();
    dir
}

#[test]
fn a_second_daemon_says_who_holds_the_directory() {
    let rig = Rig::start();
    let second = rig.up_command().output().unwrap();
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{text}");
    let pid = rig.daemon.as_ref().unwrap().id();
    assert!(text.contains(&format!("process {pid}")) && text.contains(&rig.api.to_string()), "{text}");
    rig.finish();
}

#[test]
fn a_corrupt_database_is_refused_and_named_and_not_touched() {
    let mut rig = Rig::start();
    rig.kill_daemon();
    let path = rig.file("state.db");
    let kept = std::fs::read(&path).unwrap();
    let wal = rig.file("state.db-wal");
    let kept_wal = std::fs::read(&wal).unwrap_or_default();
    let mut bad = kept.clone();
    bad[..64].fill(0x5a);
    std::fs::write(&path, &bad).unwrap();
    drop(std::fs::remove_file(&wal));
    let refused = rig.up_command().output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("state.db") && text.contains("corrupt"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), bad, "the daemon wrote to a database that it cannot read");
    std::fs::write(&path, &kept).unwrap();
    std::fs::write(&wal, &kept_wal).unwrap();
    rig.up();
    rig.finish();
}

#[test]
fn a_full_disk_refuses_writes_and_goes_on_answering() {
    // A private mount of a small file system: needs the right to mount in a namespace of one's own.
    let probe = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !probe.is_ok_and(|p| p.status.success()) {
        eprintln!(
            "SKIPPED a_full_disk_refuses_writes_and_goes_on_answering: this machine does not permit a private tmpfs"
        );
        return;
    }
    let mut rig = Rig::start();
    let down = Command::new(PROGRAM).arg("down").arg("--data-dir").arg(rig.data_dir()).output().unwrap();
    assert!(down.status.success());
    rig.daemon.take().unwrap().wait().unwrap();
    let small = rig.file("small");
    std::fs::create_dir(&small).unwrap();
    let script = r#"mount -t tmpfs -o size=1500k none "$0" && exec "$@""#;
    let mut up = rig.up_command();
    up.arg("--data-dir").arg(&small);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&small).arg(up.get_program());
    let mut skip = false;
    for argument in up.get_args() {
        // The data directory is given once.
        if skip {
            skip = false;
        } else if argument == "--data-dir" {
            skip = true;
        } else {
            command.arg(argument);
        }
    }
    let mut daemon = command.arg("--data-dir").arg(&small).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let inside = format!("/proc/{}/root{}", daemon.id(), small.display());
    let read = |name: &str| std::fs::read_to_string(format!("{inside}/{name}")).ok();
    let endpoint = rig.wait("the daemon to answer", Duration::from_secs(20), |_| read("endpoint"));
    rig.api = endpoint.trim().strip_prefix("http://").unwrap().parse().unwrap();
    let keys: toml::Table = read("credentials.toml").unwrap().parse().unwrap();
    rig.credentials.access_key_id = keys["access_key_id"].as_str().unwrap().into();
    rig.credentials.secret_access_key = keys["secret_access_key"].as_str().unwrap().into();

    let mut made = 0;
    let refused = loop {
        match rig.create(&format!("lb-{made}"), &["us-east-1a"], "tcp") {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 250, "the disk never filled");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.message.contains("full"), "{refused:?}");
    let described = rig.call(&elb::DescribeLoadBalancers::default()).unwrap();
    assert_eq!(described.load_balancer_descriptions.len(), made, "what was refused is not there, and the rest is");
    assert!(made > 3);

    let pid = rustix::process::Pid::from_raw(i32::try_from(daemon.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    daemon.wait().unwrap();
    // The road of that daemon lives in its own mount; it is this test's to end.
    for pid in crate::rig::processes_of(&small) {
        crate::rig::kill9(pid);
    }
}

#[test]
fn a_privileged_port_without_the_privilege_says_how_to_grant_it() {
    let rig = Rig::start();
    let limited = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]);
        command
    } else {
        Command::new("env")
    };
    let start: u16 =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap().trim().parse().unwrap();
    if start <= 80 {
        eprintln!(
            "SKIPPED a_privileged_port_without_the_privilege_says_how_to_grant_it: everybody may bind port 80 here"
        );
        return;
    }
    let run = |shift: Option<&str>, name: &str| -> Result<String, evenkeel_aws::Error> {
        let dir = rig.file(name);
        let mut command = Command::new(limited.get_program());
        command.args(limited.get_args()).arg(PROGRAM);
        let up = rig.up_command();
        let mut arguments: Vec<std::ffi::OsString> = up.get_args().map(Into::into).collect();
        let at = arguments.iter().position(|a| a == "--data-dir").unwrap();
        arguments[at + 1] = dir.clone().into();
        command.args(arguments).args(shift.map(|s| ["--port-shift", s]).into_iter().flatten());
        let mut daemon = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let endpoint = loop {
            if let Ok(text) = std::fs::read_to_string(dir.join("endpoint")) {
                break text;
            }
            assert!(Instant::now() < until && daemon.try_wait().unwrap().is_none(), "the daemon did not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        let answer = Command::new(PROGRAM)
            .args(["elbadmin", "-l", "80,8081,http", "-z", "us-east-1a", "create", "web", "--data-dir"])
            .arg(&dir)
            .env_remove("AWS_ENDPOINT_URL")
            .output()
            .unwrap();
        let down = Command::new(PROGRAM).args(["down", "--data-dir"]).arg(&dir).output().unwrap();
        assert!(down.status.success(), "{endpoint}");
        daemon.wait().unwrap();
        if answer.status.success() {
            Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
        } else {
            Err(evenkeel_aws::Error::told(1, "exit", String::from_utf8_lossy(&answer.stderr).into_owned()))
        }
    };
    let refused = run(None, "unprivileged").unwrap_err();
    assert!(refused.message.contains("port 80") && refused.message.contains("setcap"), "{refused:?}");
    let shifted = run(Some("8000"), "shifted").unwrap();
    assert!(shifted.contains("80       8081     HTTP"), "{shifted}");
    rig.finish();
}

#[test]
fn images_that_cannot_be_are_refused_with_the_reason() {
    let rig = Rig::start();
    let check = |name: &str, toml: &str, word: &str| {
        let error = rig.register("an app", &folder(&rig, name, toml)).unwrap_err();
        assert!(error.message.contains(word) && error.status == 400, "{name}: {error:?}");
    };
    check("no-command", "name = 'app'\nport = 80", "command");
    check("no-port", "name = 'app'\ncommand = ['x']", "port");
    check("bad-port", "name = 'app'\ncommand = ['x']\nport = 70000", "port");
    check("typo", "name = 'app'\ncommand = ['x']\nport = 80\nprot = 1", "prot");
    check("reserved", "name = 'app'\ncommand = ['x']\nport = 80\n[env]\nHOST = 'x'", "HOST");
    check("not-toml", "name = ", "image.toml");
    let missing = rig.register("an app", &rig.file("nowhere")).unwrap_err();
    assert!(missing.message.contains("nowhere"), "{missing:?}");
    assert!(rig.call(&ec2::DescribeImages::default()).unwrap().images_set.is_empty());
    rig.finish();
}

#[test]
fn a_command_that_does_not_exist_ends_the_instance_with_the_reason() {
    let mut rig = Rig::start();
    let toml = "name = 'broken'\ncommand = ['./no-such-program']\nport = 80";
    let image = rig.register("broken", &folder(&rig, "broken", toml)).unwrap();
    let id = rig.launch(&image, "us-east-1a", 1).remove(0);
    let why = rig.wait_state(&id, "terminated");
    assert!(why.contains("no-such-program"), "{why}");
    let console = rig.call(&ec2::GetConsoleOutput { instance_id: id.clone(), ..Default::default() }).unwrap();
    assert!(format!("{console:?}").len() > 10);
    rig.finish();
}

#[test]
fn an_application_that_never_listens_is_never_sent_a_request() {
    let mut rig = Rig::start();
    let (deaf, good) = (rig.image("deaf", &[("NEVER_LISTEN", "1")]), rig.image("good", &[]));
    let deaf = rig.run(&deaf, "us-east-1a", 1);
    let good = rig.run(&good, "us-east-1a", 1);
    rig.balancer("test", &["us-east-1a"]);
    rig.add("test", &deaf);
    rig.add("test", &good);
    rig.wait_in_service("test", &good);
    let node = rig.nodes("test")[0].1;
    for _ in 0..50 {
        let (status, body) = rig.get(node, "/").unwrap();
        assert!(status == 200 && body.contains(&good[0]), "{status}: {body}");
    }
    rig.wait("the deaf one to be called unhealthy", Duration::from_secs(40), |rig| {
        let health = rig.health("test");
        let failed =
            "OutOfService: Instance has failed at least the UnhealthyThreshold number of health checks consecutively.";
        health.contains(&(deaf[0].clone(), failed.into())).then_some(())
    });
    assert_eq!(rig.state(&deaf[0]).0, "running");
    rig.finish();
}

#[test]
fn an_application_that_ignores_term_and_leaves_children_is_gone_after_its_grace() {
    let mut rig = Rig::start();
    let image = rig.image("stubborn", &[("IGNORE_TERM", "1"), ("FORK_CHILD", "1")]);
    let ids = rig.run(&image, "us-east-1a", 1);
    rig.wait("its daemonised child", Duration::from_secs(10), |_| {
        (processes_of_instance(&ids[0]).len() >= 2).then_some(())
    });
    rig.terminate(&ids);
    let begin = Instant::now();
    rig.wait_state(&ids[0], "terminated");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(processes_of_instance(&ids[0]), Vec::<i32>::new());
    rig.finish();
}

#[test]
fn slow_and_lying_health_endpoints_keep_an_instance_out() {
    let mut rig = Rig::start();
    let slow = rig.image("slow", &[("HEALTH_DELAY_MS", "4000")]);
    let lying = rig.image("lying", &[("HEALTH_STATUS", "302")]);
    let good = rig.image("good", &[]);
    let mut bad = rig.run(&slow, "us-east-1a", 1);
    bad.extend(rig.run(&lying, "us-east-1a", 1));
    let good = rig.run(&good, "us-east-1a", 1);
    rig.balancer("test", &["us-east-1a"]);
    rig.add("test", &bad);
    rig.add("test", &good);
    rig.wait_in_service("test", &good);
    rig.wait("both to be called unhealthy", Duration::from_secs(60), |rig| {
        let health = rig.health("test");
        let out = |id: &String| health.iter().any(|(i, h)| i == id && h.contains("UnhealthyThreshold"));
        bad.iter().all(out).then_some(())
    });
    let node = rig.nodes("test")[0].1;
    for _ in 0..20 {
        let (status, body) = rig.get(node, "/").unwrap();
        assert!(status == 200 && body.contains(&good[0]), "{status}: {body}");
    }
    rig.finish();
}

#[test]
fn nobody_in_service_is_a_503_and_a_balancer_without_instances_too() {
    let rig = Rig::start();
    rig.balancer("test", &["us-east-1a"]);
    let node = rig.nodes("test")[0].1;
    let until = Instant::now() + Duration::from_secs(5);
    let status = loop {
        match rig.get(node, "/") {
            Ok((status, _)) => break status,
            Err(error) => assert!(Instant::now() < until, "the node never listened: {error}"),
        }
    };
    assert_eq!(status, 503);
    rig.finish();
}

#[test]
fn clients_that_send_half_a_request_and_wait_cost_nobody_else() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let ids = rig.run(&image, "us-east-1a", 1);
    rig.balancer("test", &["us-east-1a"]);
    let attributes = elb::LoadBalancerAttributes {
        connection_settings: Some(elb::ConnectionSettings { idle_timeout: 2 }),
        ..Default::default()
    };
    let modify =
        elb::ModifyLoadBalancerAttributes { load_balancer_name: "test".into(), load_balancer_attributes: attributes };
    rig.call(&modify).unwrap();
    rig.add("test", &ids);
    rig.wait_in_service("test", &ids);
    let node = rig.nodes("test")[0].1;
    let halves: Vec<TcpStream> = [node, rig.api]
        .into_iter()
        .flat_map(|address| (0..100).map(move |_| address))
        .map(|address| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: te").unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(rig.get(node, "/").unwrap().0, 200);
        rig.call(&elb::DescribeLoadBalancers::default()).unwrap();
    }
    // Those at the road hear after the idle timeout of 2 s that they took too long.
    let mut first = &halves[0];
    first.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 REQUEST_TIMEOUT"), "{answer}");
    assert_eq!(node.port(), PORT);
    rig.finish();
}

#[test]
fn ports_zones_and_names_out_of_range_are_refused_and_leave_nothing_behind() {
    let rig = Rig::start();
    let check = |name: &str, zone: &str, port: i64, code: &str| {
        let listener = elb::Listener {
            protocol: "http".into(),
            load_balancer_port: port,
            instance_port: 80,
            ..Default::default()
        };
        let created = rig.call(&elb::CreateLoadBalancer {
            load_balancer_name: name.into(),
            listeners: vec![listener].into(),
            availability_zones: Some(vec![zone.to_owned()].into()),
            ..Default::default()
        });
        let error = created.unwrap_err();
        assert_eq!((error.code.as_ref(), error.status), (code, 400), "{name} {zone} {port}: {error:?}");
    };
    check("web", "us-east-1a", 0, "ValidationError");
    check("web", "us-east-1a", 65_536, "ValidationError");
    check("web", "us-east-1z", 8080, "ValidationError");
    check("-web", "us-east-1a", 8080, "ValidationError");
    check("", "us-east-1a", 8080, "ValidationError");
    let unknown = elb::DescribeInstanceHealth { load_balancer_name: "web".into(), ..Default::default() };
    assert_eq!(rig.call(&unknown).unwrap_err().code, "LoadBalancerNotFound");
    assert!(rig.call(&elb::DescribeLoadBalancers::default()).unwrap().load_balancer_descriptions.is_empty());
    rig.finish();
}
