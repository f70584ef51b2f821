//! The file's grammar, by example and by mistake.

use evenkeel_core::routes::Stickiness;

use super::*;

const WHOLE: &str = r#"
threads = 2

[[balancer]]
name = "web"
addresses = ["127.0.0.1", "::1"]
cross_zone = true
idle_timeout = 30
timeouts = { head = 5, connect = 0.25, pool = 20.5, least_rate = 100 }
limits = { streams = 16, max_header_bytes = 8192, max_header_fields = 50 }
health_check = { target = "HTTP:8080/ping", interval = 10, timeout = 2, unhealthy = 2, healthy = 2 }

[[balancer.listener]]
port = 8000
protocol = "http"
instance_port = 9000

[[balancer.listener]]
port = 8001
protocol = "TCP"

[[balancer.target]]
address = "127.0.0.1:9001"
zone = "a"

[[balancer.target]]
address = "10.0.0.7"

[[balancer]]
name = "db"

[[balancer.node]]
zone = "a"
address = "127.0.0.2"

[[balancer.listener]]
port = 5432
protocol = "tcp"

[[balancer.target]]
address = "[fd00::1]:5433"
zone = "a"

[[balancer.target]]
address = "10.0.0.8"
zone = "b"
"#;

#[test]
fn a_log_is_described_or_absent() {
    let plain = parse(WHOLE, 7).unwrap();
    assert_eq!((plain.log, plain.trace_ids), (None, false));
    let short = parse(&format!("{}\n[log]\npath = \"a.log\"\n", WHOLE.trim_start()), 7).unwrap();
    let config = LogConfig { path: "a.log".into(), format: Format::Json, rotate_bytes: 64 << 20, keep: 4 };
    assert_eq!(short.log, Some(config.clone()));
    let text = "trace_ids = true\n[log]\npath = \"a.log\"\nformat = \"aws\"\nrotate_mb = 1\nkeep = 0\n";
    let whole = parse(&format!("{text}{}", WHOLE.replace("threads = 2", "")), 7).unwrap();
    assert_eq!(whole.log, Some(LogConfig { format: Format::Aws, rotate_bytes: 1 << 20, keep: 0, ..config }));
    assert!(whole.trace_ids);
}

#[test]
fn spans_are_described_or_absent() {
    let spans = |text: &str| parse(&format!("[spans]\n{text}{}", WHOLE.replace("threads = 2", "")), 7).unwrap().spans;
    assert_eq!(parse(WHOLE, 7).unwrap().spans, None);
    let endpoint = "http://10.0.0.1:4318/v1/traces".parse().unwrap();
    let short = SpansConfig { endpoint, per_million: 10_000, service: "evenkeel".into() };
    assert_eq!(spans("endpoint = \"http://10.0.0.1\"\n"), Some(short.clone()));
    let whole = SpansConfig { per_million: 500_000, service: "edge".into(), ..short };
    assert_eq!(spans("endpoint = \"http://10.0.0.1/\"\nshare = 0.5\nservice = \"edge\"\n"), Some(whole));
}

#[test]
fn a_whole_file_becomes_routes() {
    let file = parse(WHOLE, 7).unwrap();
    assert_eq!((file.threads, file.routes.generation), (Some(2), 7));
    let web = &file.routes.balancers[&LoadBalancerName::new("web").unwrap()];
    assert!(web.cross_zone);
    assert_eq!(web.idle_timeout, Duration::from_secs(30));
    let stated = Timeouts {
        head: Some(Duration::from_secs(5)),
        connect: Some(Duration::from_millis(250)),
        pool: Some(Duration::from_millis(20_500)),
        least_rate: Some(100),
        ..Timeouts::default()
    };
    assert_eq!(web.timeouts, stated);
    let stated = Limits { streams: Some(16), max_header_bytes: Some(8192), max_header_fields: Some(50) };
    assert_eq!(web.limits, stated);
    assert_eq!(web.health_check.target.to_string(), "HTTP:8080/ping");
    assert_eq!((web.health_check.interval, web.health_check.healthy_threshold), (Duration::from_secs(10), 2));
    assert_eq!(
        web.nodes.iter().map(|n| (n.zone.clone(), n.address.to_string())).collect::<Vec<_>>(),
        [(None, "127.0.0.1".to_owned()), (None, "::1".to_owned())]
    );
    let listeners: Vec<_> = web
        .listeners
        .iter()
        .map(|l| (l.port.number(), l.protocol, l.instance_port.number(), l.instance_protocol))
        .collect();
    assert_eq!(listeners, [(8000, Protocol::Http, 9000, Protocol::Http), (8001, Protocol::Tcp, 8001, Protocol::Tcp)]);
    let targets = |balancer: &BalancerRoutes| -> Vec<(String, Option<u16>, String, Phase)> {
        balancer
            .targets
            .iter()
            .map(|t| (t.address.to_string(), t.port.map(Port::number), t.zone.to_string(), t.phase))
            .collect()
    };
    assert_eq!(
        targets(web),
        [
            ("127.0.0.1".into(), Some(9001), "a".into(), Phase::Serving),
            ("10.0.0.7".into(), None, "default".into(), Phase::Serving)
        ]
    );
    let db = &file.routes.balancers[&LoadBalancerName::new("db").unwrap()];
    assert_eq!(db.health_check, HealthCheck::default_for(Port::new(5432).unwrap()));
    assert_eq!(
        targets(db),
        [
            ("fd00::1".into(), Some(5433), "a".into(), Phase::Serving),
            ("10.0.0.8".into(), None, "b".into(), Phase::ZoneDisabled)
        ]
    );
    let key = (web.name.clone(), web.targets[0].instance.clone());
    assert_eq!(file.names[&key], "127.0.0.1:9001");
}

#[test]
fn ids_are_stable_and_differ() {
    let id = |name: &str, address: &str| instance_id(&LoadBalancerName::new(name).unwrap(), address).unwrap();
    assert_eq!(id("web", "127.0.0.1:9001").as_str(), "i-bf8467ec7df74607e");
    assert_ne!(id("web", "127.0.0.1:9001"), id("web", "127.0.0.1:9002"));
    assert_ne!(id("web", "127.0.0.1:9001"), id("we", "b127.0.0.1:9001"));
}

#[test]
fn mistakes_are_named_with_their_line_and_key() {
    let base = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 80\n";
    let check = |text: &str, wanted: &str| {
        let got = parse(text, 1).map(|_| ()).map_err(|error| error.to_string());
        let got = got.expect_err(text);
        assert!(got.starts_with(wanted), "{text}\n  should be: {wanted}\n  is:        {got}");
    };
    let change = |from: &str, to: &str| {
        assert!(base.contains(from));
        base.replace(from, to)
    };
    let add = |more: &str| format!("{base}{more}");
    assert!(parse(base, 1).is_ok());
    check("", "line 1: the file needs a `[[balancer]]`");
    check(&format!("threads = 0\n{base}"), "line 1: `threads` is 0; it must be from 1 to 256");
    check("threads = 2\nthread = 3", "line 2: unknown field `thread`");
    check("threads = \"two\"", "line 1: invalid type: string \"two\"");
    check("threads = ", "line 1: ");
    check(&format!("[log]\npath = \"\"\n{base}"), "line 2: `log.path` is empty");
    check(&format!("[spans]\nendpoint = \"https://a\"\n{base}"), "line 2: `spans.endpoint` must be `http://");
    let spans = "[spans]\nendpoint = \"http://a\"";
    check(&format!("{spans}\nshare = 1.1\n{base}"), "line 3: `spans.share` must be a share of requests");
    check(&format!("{spans}\nservice = \"\"\n{base}"), "line 3: `spans.service` is empty");
    check(&format!("[log]\nformat = \"aws\"\n{base}"), "line 1: missing field `path`");
    check(&format!("[log]\npath = \"x\"\nformat = \"xml\"\n{base}"), "line 3: `log.format` must be `json` or `aws`");
    check(
        &format!("[log]\npath = \"x\"\nrotate_mb = 0\n{base}"),
        "line 3: `log.rotate_mb` is 0; it must be from 1 to 1048576",
    );
    check(
        &format!("[log]\npath = \"x\"\nkeep = 1001\n{base}"),
        "line 3: `log.keep` is 1001; it must be from 0 to 1000",
    );
    check("\n\n[[balancer]]\n", "line 3: missing field `name`");
    check(&change("\"web\"", "\"-web\""), "line 2: `name` must not begin or end with `-`");
    check(
        &change("addresses = [\"127.0.0.1\"]\n", ""),
        "line 1: balancer `web` needs `addresses` or a `[[balancer.node]]`",
    );
    check(&change("[\"127.0.0.1\"]", "[]"), "line 1: balancer `web` needs `addresses`");
    check(&change("127.0.0.1", "localhost"), "line 3: `addresses` must be an IP address without a port");
    check(&change("127.0.0.1", "127.0.0.1:80"), "line 3: `addresses` must be an IP address without a port");
    check(
        &change("[\"127.0.0.1\"]", "[\"127.0.0.1\",\n\"127.0.0.1\"]"),
        "line 4: `address` `127.0.0.1` is there twice",
    );
    check(&change("[[balancer.listener]]\nport = 80\n", ""), "line 1: balancer `web` needs a `[[balancer.listener]]`");
    check(&change("80", "0"), "line 5: `port` is 0; it must be from 1 to 65535");
    check(&change("80", "65536"), "line 5: `port` is 65536;");
    check(&add("protocol = \"udp\""), "line 6: `protocol` must be `http`, `https`, `tcp` or `ssl`");
    check(&add("protocol = \"https\""), "line 5: `certificates` is missing: `https` and `ssl` need at least one");
    check(&add("certificates = []"), "line 6: `certificates` is for listeners whose `protocol` is `https` or `ssl`");
    check(&add("oldest_tls = \"1.3\""), "line 6: `oldest_tls` is for listeners whose `protocol`");
    check(&add("protocol = \"ssl\"\noldest_tls = \"1.1\""), "line 7: `oldest_tls` must be `1.2` or `1.3`");
    check(&add("newest_tls = \"1.3\""), "line 6: `newest_tls` is for listeners whose `protocol`");
    check(&add("ciphers = []"), "line 6: `ciphers` is for listeners whose `protocol`");
    check(&add("cipher_order = \"client\""), "line 6: `cipher_order` is for listeners whose `protocol`");
    let ssl = |more: &str| add(&format!("protocol = \"ssl\"\n{more}"));
    check(&ssl("newest_tls = \"1.4\""), "line 7: `newest_tls` must be `1.2` or `1.3`");
    check(&ssl("oldest_tls = \"1.3\"\nnewest_tls = \"1.2\""), "line 8: `newest_tls` is older than `oldest_tls`");
    check(&ssl("cipher_order = \"server\""), "line 7: `cipher_order` must be `listener` or `client`");
    check(&ssl("ciphers = [\n\"RC4-MD5\"]"), "line 8: `ciphers` must be some of TLS_AES_128_GCM_SHA256, TLS_AES_256");
    check(&ssl("ciphers = \"RC4-MD5\""), "line 7: invalid type: string \"RC4-MD5\", expected a sequence");
    check(
        &add("allow_from = [\n\"10.0.0.0/8\",\n\"10.0.0.0/33\"]"),
        "line 8: `allow_from` must be an IP address, or one",
    );
    check(&add("allow_from = \"10.0.0.0/8\""), "line 6: invalid type: string");
    let many = vec!["\"::1\""; 10_001].join(",");
    check(&add(&format!("allow_from = [{many}]")), "line 6: `allow_from` has more than 10000 ranges");
    check(&add("instance_tls = {}"), "line 6: `instance_tls` is for listeners whose `instance_protocol` is `https`");
    let secure = "instance_protocol = \"https\"\n";
    check(&add(&format!("{secure}instance_tls = {{ verify = true }}")), "line 7: `instance_tls` needs `ca`");
    check(
        &add(&format!("{secure}instance_tls = {{ verify = false, ca = \"x\" }}")),
        "line 7: `ca` is for `verify = true`",
    );
    check(
        &add(&format!("{secure}instance_tls = {{ name = \"a b\" }}")),
        "line 7: `instance_tls` is refused: `a b` is no name",
    );
    let keys = |list: &str| add(&format!("{secure}instance_tls = {{ public_keys = [{list}] }}"));
    check(&keys("\"/nowhere\""), "line 7: `public_keys` `/nowhere` cannot be read: No such");
    check(&keys("1"), "line 7: invalid type: integer `1`");
    check(&keys(&vec!["\"a\""; 101].join(",")), "line 7: `public_keys` are more than 100");
    check(
        &add(&format!("{secure}instance_tls = {{ ca = \"/nowhere\" }}")),
        "line 7: `ca` `/nowhere` cannot be read: No such",
    );
    check(
        &add("instance_protocol = \"tcp\""),
        "line 6: `instance_protocol` must be `http` or `https`, as the listener's protocol",
    );
    check(&add("send_proxy = \"v1\""), "line 6: `send_proxy` needs `protocol = \"tcp\"`");
    check(&add("protocol = \"tcp\"\nsend_proxy = \"v3\""), "line 7: `send_proxy` must be `v1` or `v2`");
    check(&add("stickiness = { expires = 0 }"), "line 6: `expires` is 0; it must be from 1 to 34560000");
    check(
        &add("stickiness = { expires = 1, application_cookie = \"a\" }"),
        "line 6: `expires` and `application_cookie` exclude each other",
    );
    check(&add("stickiness = { application_cookie = \"a;b\" }"), "line 6: `application_cookie` must be 1-255 letters");
    check(
        &add("stickiness = { application_cookie = \"AWSELB\" }"),
        "line 6: `application_cookie` `AWSELB` is the balancer's own",
    );
    check(&add("protocol = \"tcp\"\nstickiness = {}"), "line 7: `stickiness` needs `protocol = \"http\"`");
    check(
        &add("accept_proxy_from = [\n\"10.0.0.0/33\"]"),
        "line 7: `accept_proxy_from` must be an IP address, or one with",
    );
    check(
        &change("[[balancer.listener]]", "desync = \"lax\"\n[[balancer.listener]]"),
        "line 4: `desync` must be `monitor`",
    );
    check(&add("[[balancer.listener]]\nport = 80\n"), "line 7: `port` 80 has a listener already");
    check(
        &add("[[balancer.node]]\nzone = \"a\"\naddress = \"127.0.0.2\"\n"),
        "line 3: `addresses` and `[[balancer.node]]` exclude each other",
    );
    check(
        &add("[[balancer.target]]\naddress = \"web.example\"\n"),
        "line 7: `address` must be an IP address, with or without a port",
    );
    check(
        &add("[[balancer.target]]\naddress = \"10.0.0.1:0\"\n"),
        "line 7: `address` has a port that must be from 1 to 65535",
    );
    check(&add("[[balancer.target]]\naddress = \"0.0.0.0:81\"\n"), "line 7: `address` must be one machine's address");
    check(
        &add("[[balancer.target]]\naddress = \"10.0.0.1\"\nzone = \"A\"\n"),
        "line 8: `zone` must be 1 to 64 characters",
    );
    let twice = "[[balancer.target]]\naddress = \"10.0.0.1\"\n[[balancer.target]]\naddress = \"10.0.0.1\"\n";
    check(&add(twice), "line 9: `address` `10.0.0.1` is there twice");
    check(&add("[[balancer.target]]\naddress = \"127.0.0.1\"\n"), "line 7: `address` `127.0.0.1` is `web` itself");
    let health = |inside: &str| change("addresses", &format!("health_check = {{ {inside} }}\naddresses"));
    check(&health("target = \"HTTP:80\""), "line 3: `health_check.target` is refused: HealthCheck HTTP Target must");
    check(&health("interval = 4"), "line 3: `health_check.interval` is 4; it must be from 5 to 300");
    check(&health("interval = 5"), "line 3: `health_check` is refused: HealthCheck timeout must be less than interval");
    check(&health("healthy = 1"), "line 3: `health_check.healthy` is 1; it must be from 2 to 10");
    check(&health("tries = 1"), "line 3: unknown field `tries`");
    check(
        &change("addresses", "idle_timeout = 4001\naddresses"),
        "line 3: `idle_timeout` is 4001; it must be from 1 to 4000",
    );
    let timeouts = |said: &str| change("addresses", &format!("timeouts = {{ {said} }}\naddresses"));
    let limits = |said: &str| change("addresses", &format!("limits = {{ {said} }}\naddresses"));
    check(&limits("head = 1"), "line 3: unknown field `head`");
    check(&timeouts("heads = 1"), "line 3: unknown field `heads`");
    check(&timeouts("head = 0"), "line 3: `timeouts.head` is 0; it must be from 0.1 to 4000 seconds");
    check(&timeouts("tunnel = nan"), "line 3: `timeouts.tunnel` is NaN; it must be from 0.1 to 4000 seconds");
    check(&limits("streams = 129"), "line 3: `limits.streams` is 129; it must be from 1 to 128");
    check(&limits("max_header_bytes = 255"), "line 3: `limits.max_header_bytes` is 255; it must be from 256 to 65535");
    check(&limits("max_header_fields = 129"), "line 3: `limits.max_header_fields` is 129; it must be from 1 to 128");
    check(&timeouts("least_rate = 0"), "line 3: `timeouts.least_rate` is 0; it must be from 1 to 1073741824");
    check(&format!("max_connections = 0\n{base}"), "line 1: `max_connections` is 0; it must be from 1 to 10000000");
    check(&format!("{base}{base}"), "line 6: balancer `web` listens on 127.0.0.1:80, and so does `web`");
    check(&format!("{base}{}", base.replace("127.0.0.1", "127.0.0.2")), "line 6: `name` is taken");
    check(
        &format!("{base}{}", base.replace("web", "b")),
        "line 6: balancer `b` listens on 127.0.0.1:80, and so does `web`",
    );
    let zoned = change("addresses = [\"127.0.0.1\"]\n", "")
        .replace("[[balancer.l", "[[balancer.node]]\nzone = \"a\"\naddress = \"127.0.0.1\"\n[[balancer.l");
    assert!(parse(&zoned, 1).is_ok());
    check(&format!("{zoned}[[balancer.target]]\naddress = \"10.0.0.1\"\n"), "line 9: `zone` is missing");
}

#[test]
fn what_left_the_file_drains() {
    let file = |targets: &[&str]| {
        let mut text =
            "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 80\n".to_owned();
        for target in targets {
            text.push_str(&format!("[[balancer.target]]\naddress = \"{target}\"\n"));
        }
        parse(&text, 1).unwrap().routes
    };
    let phases = |routes: &Routes| {
        let targets = routes.balancers.values().next().unwrap().targets.iter();
        targets.map(|t| (t.address.to_string(), t.phase)).collect::<Vec<_>>()
    };
    let before = file(&["10.0.0.1", "10.0.0.2"]);
    let mut after = file(&["10.0.0.2", "10.0.0.3"]);
    let_drain(&before, &mut after, Timestamp(1));
    let draining = |until| Phase::Draining { until: Timestamp(until) };
    assert_eq!(
        phases(&after),
        [("10.0.0.2".into(), Phase::Serving), ("10.0.0.3".into(), Phase::Serving), ("10.0.0.1".into(), draining(1))]
    );
    // Another reload does not give it more time; coming back, it serves.
    let mut later = file(&["10.0.0.2"]);
    let_drain(&after, &mut later, Timestamp(9));
    assert_eq!(phases(&later)[1..], [("10.0.0.3".to_owned(), draining(9)), ("10.0.0.1".into(), draining(1))]);
    let mut back = file(&["10.0.0.1", "10.0.0.2"]);
    let_drain(&before, &mut back, Timestamp(9));
    assert!(
        Arc::ptr_eq(back.balancers.values().next().unwrap(), before.balancers.values().next().unwrap()),
        "unchanged is shared"
    );
}

#[test]
fn certificates_are_read_beside_the_file_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let made = || {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        (pem("CERTIFICATE", made.cert.der()), pem("PRIVATE KEY", &made.signing_key.serialize_der()))
    };
    let ((chain, key), (_, other)) = (made(), made());
    write("web.pem", &chain);
    write("web.key", &key);
    write("other.key", &other);
    let file = |more: &str| {
        let base = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 443\n";
        parse_in(&format!("{base}protocol = \"https\"\n{more}"), folder.path(), 1)
    };
    let good = file("certificates = [{ chain = \"web.pem\", key = \"web.key\" }]\noldest_tls = \"1.3\"").unwrap();
    let listener = &good.routes.balancers.values().next().unwrap().listeners[0];
    let front = listener.tls.as_ref().unwrap();
    assert_eq!(&*front.certificates[0].chain_pem, chain);
    assert_eq!((front.oldest, listener.instance_protocol), (evenkeel_core::routes::TlsVersion::Tls13, Protocol::Http));
    assert!(!format!("{good:?}").contains(&key[40..80]), "a key is shown");
    let refusal = |more: &str| file(more).map(drop).unwrap_err().to_string();
    let said = refusal(
        "certificates = [\n{ chain = \"web.pem\", key = \"web.key\" },\n{ chain = \"web.pem\", key = \"other.key\" }]",
    );
    let rule = "`certificates` is refused: certificate 1 has a key that does not match its certificate";
    assert_eq!(said, format!("line 9: {rule}"));
    let said = refusal("certificates = [{ chain = \"web.pem\", key = \"none.key\" }]");
    assert!(said.starts_with("line 7: `key` `") && said.contains("none.key` cannot be read: No such file"), "{said}");
    let said = refusal("certificates = [{ chain = \".\", key = \"web.key\" }]");
    assert!(said.ends_with("it must be a file of at most 1048576 bytes"), "{said}");
    let all = file(
        "certificates = [{ chain = \"web.pem\", key = \"web.key\" }]\nnewest_tls = \"1.2\"\ncipher_order = \"client\"\n\
         ciphers = [\"ECDHE-ECDSA-AES256-GCM-SHA384\", \"TLS_AES_128_GCM_SHA256\"]\nallow_from = [\"127.0.0.0/8\"]",
    );
    let listener = all.unwrap().routes.balancers.values().next().unwrap().listeners[0].clone();
    let front = listener.tls.unwrap();
    assert_eq!(front.suites().map(|suite| suite.name).collect::<Vec<_>>(), ["ECDHE-ECDSA-AES256-GCM-SHA384"]);
    assert!(!front.server_order);
    assert_eq!(listener.allowed_from.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.0/8"]);
    let rsa =
        "certificates = [{ chain = \"web.pem\", key = \"web.key\" }]\nciphers = [\"ECDHE-RSA-AES128-GCM-SHA256\"]";
    let rule = "`ciphers` is refused: the listed ciphers are for certificates with an RSA key, and there is none";
    assert_eq!(refusal(rsa), format!("line 8: {rule}"));
    let verified = "certificates = [{ chain = \"web.pem\", key = \"web.key\" }]\ninstance_protocol = \"https\"\n";
    let good = file(&format!("{verified}instance_tls = {{ ca = \"web.pem\", name = \"a.example\" }}")).unwrap();
    let back = good.routes.balancers.values().next().unwrap().listeners[0].instance_tls.clone().unwrap();
    assert_eq!((back.ca_pem.as_deref(), back.name.as_deref()), (Some(chain.as_str()), Some("a.example")));
    let public = {
        use rcgen::PublicKeyData as _;
        rcgen::KeyPair::generate().unwrap().subject_public_key_info()
    };
    write("app.pub", &pem("PUBLIC KEY", &public).replace('=', "=\n"));
    let good = file(&format!("{verified}instance_tls = {{ public_keys = [\"app.pub\"] }}")).unwrap();
    let back = good.routes.balancers.values().next().unwrap().listeners[0].instance_tls.clone().unwrap();
    assert!(pem("PUBLIC KEY", &public).contains(&*back.public_keys[0]) && back.ca_pem.is_none(), "{back:?}");
    let said = refusal(&format!("{verified}instance_tls = {{ public_keys = [\n\"web.pem\"] }}"));
    assert_eq!(said, "line 10: `public_keys` must be PEM files with a `BEGIN PUBLIC KEY`");
    write("bad.pub", &pem("PUBLIC KEY", &public[1..]));
    let said = refusal(&format!("{verified}instance_tls = {{ public_keys = [\"bad.pub\"] }}"));
    let rule =
        "`instance_tls` is refused: public key 1 for instances is no public key: base64 of a DER SubjectPublicKeyInfo";
    assert_eq!(said, format!("line 9: {rule}"));
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn clients_stick_by_either_cookie() {
    let sticky = |rule: &str| {
        let text = format!(
            "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 80\n{rule}\n"
        );
        let file = parse(&text, 1).unwrap();
        file.routes.balancers[&LoadBalancerName::new("web").unwrap()].listeners[0].stickiness.clone()
    };
    assert_eq!(sticky(""), None);
    assert_eq!(sticky("stickiness = {}"), Some(Stickiness::Duration(None)));
    let hour = Some(std::time::Duration::from_secs(3600));
    assert_eq!(sticky("stickiness = { expires = 3600 }"), Some(Stickiness::Duration(hour)));
    let application = Some(Stickiness::Application("SID".into()));
    assert_eq!(sticky("stickiness = { application_cookie = \"SID\" }"), application);
}

#[test]
fn who_is_believed_and_what_is_sent_to_targets() {
    let text = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\ndesync = \"strictest\"\n[[balancer.listener]]\nport = 80\n\
                accept_proxy_from = [\"10.0.0.0/8\", \"::1\"]\n[[balancer.listener]]\nport = 81\nprotocol = \"tcp\"\nsend_proxy = \"v2\"\n";
    let file = parse(text, 1).unwrap();
    let web = &file.routes.balancers[&LoadBalancerName::new("web").unwrap()];
    assert_eq!(web.desync, DesyncMode::Strictest);
    let believed: Vec<_> = web.listeners[0].accept_proxy_from.iter().map(ToString::to_string).collect();
    assert_eq!(believed, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(web.listeners[0].proxy_protocol, None);
    assert_eq!(web.listeners[1].proxy_protocol, Some(ProxyProtocol::V2));
    assert!(web.listeners[1].accept_proxy_from.is_empty());
    let plain = parse(&text.replace("desync = \"strictest\"\n", ""), 1).unwrap();
    assert_eq!(plain.routes.balancers.values().next().unwrap().desync, DesyncMode::Defensive);
}

#[test]
fn versions_of_http_are_chosen() {
    use evenkeel_core::routes::InstanceHttp::{One, Two};
    let spoken = |rule: &str| {
        let text = format!(
            "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[[balancer.listener]]\nport = 80\n{rule}\n"
        );
        let file = parse(&text, 1).map_err(|error| error.to_string())?;
        let listener = &file.routes.balancers[&LoadBalancerName::new("web").unwrap()].listeners[0];
        Ok::<_, String>((listener.http2, listener.instance_http))
    };
    assert_eq!(spoken(""), Ok((false, One)));
    assert_eq!(spoken("http2 = true\ninstance_http = \"2\""), Ok((true, Two)));
    assert_eq!(spoken("http2 = false\ninstance_http = \"1.1\""), Ok((false, One)));
    let refused = "line 6: `instance_http` must be `1.1` or `2`";
    assert_eq!(spoken("instance_http = \"3\""), Err(refused.into()));
    let tcp = spoken("protocol = \"tcp\"\nhttp2 = true").unwrap_err();
    assert!(tcp.starts_with("line 7: `http2` needs `protocol = "), "{tcp}");
    assert_eq!(super::versions::http2(None, Protocol::Https).ok(), Some(true));
}

#[test]
fn the_choice_of_a_target_is_described() {
    let base = "[[balancer]]\nname = \"web\"\naddresses = [\"127.0.0.1\"]\n[balancer.balance]\nalgorithm = \"consistent_hash\"\n\
        hash_on = \"cookie:SID\"\nslow_start = 30\nmax_in_flight = 7\neject_on_5xx = true\npreconnect = 8\n[[balancer.listener]]\nport = 80\n\
        [[balancer.target]]\naddress = \"10.0.0.1\"\nweight = 256\n[[balancer.target]]\naddress = \"10.0.0.2\"\n";
    let file = parse(base, 1).unwrap();
    let web = &file.routes.balancers[&LoadBalancerName::new("web").unwrap()];
    let stated = web.balancing.stated();
    let wanted = [
        ("algorithm", "consistent_hash"),
        ("hash_on", "cookie:SID"),
        ("slow_start", "30"),
        ("max_in_flight", "7"),
        ("preconnect", "8"),
        ("eject_on_5xx", "true"),
    ];
    assert_eq!(stated, wanted.map(|(key, value)| (key, value.to_owned())));
    assert_eq!(web.targets.iter().map(|target| target.weight).collect::<Vec<_>>(), [256, 1]);
    let refused = |from: &str, to: &str| parse(&base.replace(from, to), 1).unwrap_err().to_string();
    assert_eq!(refused("= 30", "= 901"), "line 7: `balance.slow_start` must be seconds, a whole number from 0 to 900");
    assert_eq!(
        refused("= 30", "= \"soon\""),
        "line 7: `balance.slow_start` must be seconds, a whole number from 0 to 900"
    );
    assert_eq!(
        refused("connect = 8", "connect = 65"),
        "line 10: `balance.preconnect` must be a whole number from 0 to 64"
    );
    assert_eq!(
        refused("connect = 8", "connect = -1"),
        "line 10: `balance.preconnect` must be a whole number from 0 to 64"
    );
    assert_eq!(refused("slow_start", "slow"), "line 7: `balance.slow` is no key of balancing");
    assert_eq!(refused("= 256", "= 257"), "line 15: `weight` is 257; it must be from 0 to 256");
}
