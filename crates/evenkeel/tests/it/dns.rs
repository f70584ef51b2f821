//! The name server through the whole product: `dig`, `kdig`, a real recursive resolver, a zone that dies, and a flood.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use evenkeel_aws::elb;

use crate::rig::Rig;

/// A program that answers questions, or `None` where it is missing, which is said.
fn tool(name: &str) -> Option<&'static str> {
    let known = ["dig", "kdig", "unbound"].into_iter().find(|known| *known == name)?;
    let paths = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    if std::env::split_paths(&paths).any(|folder| folder.join(known).is_file()) {
        return Some(known);
    }
    assert!(std::env::var("EVENKEEL_DNS").is_err(), "EVENKEEL_DNS=must, and `{name}` is missing");
    eprintln!("SKIPPED: this needs `{name}` (Debian: bind9-dnsutils, knot-dnsutils, unbound)");
    None
}

/// What a client says, line by line.
fn ask(program: &str, server: SocketAddr, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program)
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(if program == "kdig" { ["+retry=0", "+timeout=5"] } else { ["+tries=1", "+time=5"] })
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

fn dns_name(rig: &Rig, name: &str) -> String {
    let input = elb::DescribeLoadBalancers { load_balancer_names: vec![name.to_owned()].into(), ..Default::default() };
    rig.call(&input).unwrap().load_balancer_descriptions[0].dns_name.clone()
}

/// The addresses that the name server gives now, in order of their value.
fn addresses(server: SocketAddr, name: &str) -> Vec<String> {
    heard(server, name).expect("an answer")
}

/// The same, or `None` where no answer comes.
fn heard(server: SocketAddr, name: &str) -> Option<Vec<String>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(server).unwrap();
    socket.send(&question(name)).unwrap();
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).ok()?;
    let answer = &answer[..length];
    // Each answer points back at the question's name, has type, class, time to live and four octets.
    let count = usize::from(u16::from_be_bytes([answer[6], answer[7]]));
    let mut at = question(name).len();
    let mut found: Vec<String> = Vec::new();
    for _ in 0..count {
        let octets: [u8; 4] = answer[at + 12..at + 16].try_into().unwrap();
        found.push(std::net::Ipv4Addr::from(octets).to_string());
        at += 16;
    }
    found.sort();
    Some(found)
}

fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

#[test]
fn dig_and_kdig_read_every_answer() {
    let mut rig = Rig::start_with(&["--dns-alias", "apps.example.test"]);
    let ids = rig.serving(&[("us-east-1a", 1), ("us-east-1b", 1)]);
    let (server, name) = (rig.dns(), dns_name(&rig, "test"));
    let mut nodes: Vec<String> = rig.nodes("test").iter().map(|(_, at)| at.ip().to_string()).collect();
    nodes.sort();
    let both = nodes.clone();
    rig.wait("both zones to be in answers", Duration::from_secs(5), |_| {
        (addresses(server, &name) == both).then_some(())
    });
    for program in ["dig", "kdig"].into_iter().filter_map(tool) {
        let short = |arguments: &[&str]| {
            let mut lines = ask(program, server, &[&["+short"], arguments].concat());
            lines.sort();
            lines
        };
        assert_eq!(short(&[&name, "A"]), nodes, "{program}");
        assert_eq!(short(&[&name.to_uppercase(), "A"]), nodes, "{program}");
        assert_eq!(short(&["+tcp", &name, "A"]), nodes, "{program}");
        assert_eq!(short(&[&format!("dualstack.{name}"), "A"]), nodes, "{program}");
        assert_eq!(short(&["test.apps.example.test", "A"]), nodes, "{program}");
        let whole = ask(program, server, &[&name, "A"]).join("\n").to_lowercase();
        assert!(whole.contains("noerror") && whole.contains("60"), "{program}: {whole}");
        let flags = |text: &str| text.contains(" aa") && !text.contains(" ra");
        assert!(flags(&whole), "{program}: {whole}");
        let absent = ask(program, server, &["nope.us-east-1.elb.evenkeel.test", "A"]).join("\n");
        assert!(absent.contains("NXDOMAIN") && absent.contains("SOA"), "{program}: {absent}");
        let nothing = ask(program, server, &[&name, "MX"]).join("\n");
        assert!(nothing.contains("NOERROR") && nothing.contains("SOA"), "{program}: {nothing}");
        let foreign = ask(program, server, &["example.com", "A"]).join("\n");
        assert!(foreign.contains("REFUSED"), "{program}: {foreign}");
        let soa = short(&["elb.evenkeel.test", "SOA"]);
        assert!(soa[0].starts_with("ns.elb.evenkeel.test. hostmaster.elb.evenkeel.test."), "{program}: {soa:?}");
        let instance = rig.private_name(&ids[0]);
        assert_eq!(short(&[&instance, "A"]).len(), 1, "{program}: {instance}");
    }
    rig.finish();
}

/// A resolver of this test's own, ended with it.
struct Resolver(Child);

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_name_of_ones_own_leads_here_through_a_real_resolver() {
    let Some(unbound) = tool("unbound") else { return };
    let Some(dig) = tool("dig") else { return };
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let (server, name) = (rig.dns(), dns_name(&rig, "test"));
    let node = rig.nodes("test")[0].1.ip().to_string();
    let at = SocketAddr::new(server.ip(), 5355);
    let dir = rig.file("unbound");
    std::fs::create_dir(&dir).unwrap();
    let config = dir.join("unbound.conf");
    let text = format!(
        "server:\n  interface: {ip}@{port}\n  directory: \"{dir}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  \
         do-daemonize: no\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n  access-control: 127.0.0.0/8 allow\n  \
         local-zone: \"test.\" transparent\n  local-zone: \"www.shop.test.\" redirect\n  local-data: \"www.shop.test. IN CNAME {name}.\"\n\
         remote-control:\n  control-enable: no\n\
         forward-zone:\n  name: \"elb.evenkeel.test.\"\n  forward-addr: {server_ip}@{server_port}\n",
        ip = at.ip(),
        port = at.port(),
        dir = dir.display(),
        server_ip = server.ip(),
        server_port = server.port(),
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let child = Command::new(unbound)
        .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
        .args(["-d", "-c"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let resolver = Resolver(child);
    let seen = rig.wait("the resolver to follow the CNAME", Duration::from_secs(20), |_| {
        let lines = ask(dig, at, &["+short", "www.shop.test", "A"]);
        (lines.len() == 2).then_some(lines)
    });
    assert_eq!(seen, [format!("{name}."), node]);
    drop(resolver);
    rig.finish();
}

#[test]
fn a_zone_that_dies_is_out_of_answers_within_a_second() {
    let mut rig = Rig::start_alone();
    let ids = rig.serving(&[("us-east-1a", 1), ("us-east-1b", 1)]);
    let (server, name) = (rig.dns(), dns_name(&rig, "test"));
    let nodes: Vec<String> = rig.nodes("test").iter().map(|(_, at)| at.ip().to_string()).collect();
    rig.wait("both zones to be in answers", Duration::from_secs(5), |_| {
        (addresses(server, &name).len() == 2).then_some(())
    });
    rig.terminate(&ids[..1]);
    rig.wait_state(&ids[0], "terminated");
    let began = Instant::now();
    rig.wait("the zone to leave the answers", Duration::from_secs(5), |_| {
        (addresses(server, &name) == nodes[1..]).then_some(())
    });
    let took = began.elapsed();
    println!("out of answers {} ms after the instance's end", took.as_millis());
    assert!(took < Duration::from_secs(1), "{took:?}");
    // A zone that is enabled is in them as soon.
    let began = Instant::now();
    let zones = elb::EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "test".into(),
        availability_zones: vec!["us-east-1c".to_owned()].into(),
    };
    rig.call(&zones).unwrap();
    let gone = elb::DisableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "test".into(),
        availability_zones: vec!["us-east-1b".to_owned()].into(),
    };
    rig.call(&gone).unwrap();
    rig.wait("the change to be in answers", Duration::from_secs(5), |rig| {
        // Nobody is left alive: all enabled zones are named.
        let enabled: Vec<String> = rig.nodes("test").iter().map(|(_, at)| at.ip().to_string()).collect();
        (enabled.len() == 2 && addresses(server, &name) == enabled).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    rig.finish();
}

/// Processor time that a process has taken, in seconds.
fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

#[test]
fn twenty_thousand_questions_a_second_take_less_than_a_core_and_none_is_lost() {
    const RATE: u32 = 20_000;
    const SECONDS: u32 = 3;
    // The most that wait in the server's socket when it gets no processor for a while, as resolvers bound it too.
    const UNHEARD: u32 = 128;
    let mut rig = Rig::start_alone();
    rig.serving(&[("us-east-1a", 1)]);
    let (server, name) = (rig.dns(), dns_name(&rig, "test"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let question = question(&name);
    let before = processor_time(rig.daemon.as_ref().unwrap().id());
    let reader = socket.try_clone().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let heard = std::thread::spawn(move || {
        let mut answer = [0; 1500];
        while counted.load(Ordering::Relaxed) < RATE * SECONDS && reader.recv(&mut answer).is_ok() {
            assert_eq!((answer[0], answer[1], answer[7]), (0x12, 0x34, 1), "not the answer to that question");
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let began = Instant::now();
    for sent in 0..RATE * SECONDS {
        // Twenty at a time, a thousand times a second.
        if sent % 20 == 0 {
            let due = Duration::from_secs_f64(f64::from(sent) / f64::from(RATE));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        while sent - count.load(Ordering::Relaxed) >= UNHEARD && !heard.is_finished() {
            std::thread::sleep(Duration::from_micros(100));
        }
        socket.send(&question).unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    heard.join().unwrap();
    let heard = count.load(Ordering::Relaxed);
    let spent = processor_time(rig.daemon.as_ref().unwrap().id()) - before;
    println!("{heard} answers in {took:.2} s, {:.1} µs of processor time each", spent / f64::from(heard) * 1e6);
    assert_eq!(heard, RATE * SECONDS, "answers were lost");
    // So that one core has room for them all.
    assert!(spent / f64::from(heard) < 1.0 / f64::from(RATE), "{spent} s of processor time for {heard} answers");
    rig.finish();
}

#[test]
fn nonsense_on_the_socket_is_survived() {
    let mut rig = Rig::start();
    rig.serving(&[("us-east-1a", 1)]);
    let (server, name) = (rig.dns(), dns_name(&rig, "test"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let good = question(&name);
    let mut dice = 7u32;
    for n in 0..5000u32 {
        let mut packet = good.clone();
        for _ in 0..4 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = dice as usize % packet.len();
            packet[at] = (dice >> 16) as u8;
        }
        packet.truncate(packet.len() - n as usize % 9);
        socket.send_to(&packet, server).unwrap();
    }
    // What came before may fill the socket's queue; whoever hears nothing asks again.
    rig.wait("a sound question to be answered", Duration::from_secs(30), |_| {
        heard(server, &name).filter(|addresses| addresses.len() == 1)
    });
    rig.finish();
}
