//! Clients that take their answers slowly, and instances that take requests so: who is cut, and who is let.
//!
//! What a client takes shows late and in lumps: the kernel holds megabytes for it, and tells of room only once a third of
//! that is gone. So each of them takes its bytes by the clock.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::Timeouts;
use evenkeel_proxy::fault::Fault;
use evenkeel_proxy::road::RoadConfig;

use crate::rig::{Rig, address};
use crate::tls_rig::{Made, connect, front, settings};

/// Far more than all buffers on the way.
const GET: &[u8] = b"GET /big?100000000 HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// How a client takes its answer.
#[derive(Clone, Copy, Debug)]
enum How {
    Plain,
    Tls,
    /// Over HTTP/2, with windows that are never shut.
    Connection,
    /// Over HTTP/2, where it reads everything and lets its window grow as slowly.
    Window,
    /// Through a TCP listener, which does not know what is said.
    Tunnel,
}

fn rig(how: How, made: &Made, timeouts: Timeouts) -> Rig {
    let mut rig = Rig::with(&["a"], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.timeouts = timeouts;
    let listener = &mut rig.routes.listeners[0];
    match how {
        How::Plain => {}
        How::Tls => (listener.protocol, listener.tls) = (Protocol::Https, front(&[made])),
        How::Connection | How::Window => listener.http2 = true,
        How::Tunnel => (listener.protocol, listener.instance_protocol) = (Protocol::Tcp, Protocol::Tcp),
    }
    rig.publish();
    rig
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn grant(stream: u32, bytes: u32) -> Vec<u8> {
    frame(8, 0, stream, &bytes.to_be_bytes())
}

/// A connection on which that much is asked for.
fn asked(how: How, rig: &Rig, made: &Made) -> TcpStream {
    if let How::Tls = how {
        let config = Arc::new(settings(&[made], &[&rustls::version::TLS13]));
        let mut tls = connect(rig.address(), &config, "a.example").unwrap();
        tls.write_all(GET).unwrap();
        tls.flush().unwrap();
        // From here on it matters how fast bytes are taken, and not what they say.
        return tls.sock;
    }
    let mut stream = TcpStream::connect(rig.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let text = match how {
        How::Plain | How::Tls | How::Tunnel => GET.to_vec(),
        How::Connection | How::Window => {
            let (most, fields) = (0x7fff_0000u32, b"\x82\x86\x01\x09a.example\x04\x0e/big?100000000");
            let wide = matches!(how, How::Connection);
            let settings = if wide { [&[0, 4][..], &most.to_be_bytes()].concat() } else { Vec::new() };
            let more = if wide { grant(0, most) } else { Vec::new() };
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &settings), more, frame(1, 5, 1, fields)]
                .concat()
        }
    };
    stream.write_all(&text).unwrap();
    stream
}

/// Takes so many bytes a second, by the clock, until it is cut or that time has passed; says how long that was.
fn takes(how: How, rate: u64, timeouts: Timeouts, until: Duration) -> (Duration, Rig) {
    let made = Made::new(&["a.example"]);
    let rig = rig(how, &made, timeouts);
    let mut stream = asked(how, &rig, &made);
    let mut buffer = vec![0; 64 * 1024];
    stream.read_exact(&mut buffer[..100]).unwrap();
    let began = Instant::now();
    let is_over = || {
        let meters = rig.meters();
        let (clients, streams) = (meters.open_clients == 0, meters.open_streams == 0);
        clients || (streams && matches!(how, How::Connection | How::Window))
    };
    assert!(!is_over(), "{how:?}");
    let mut taken = 0;
    while began.elapsed() < until && !is_over() {
        thread::park_timeout(Duration::from_millis(50));
        let due = rate * began.elapsed().as_millis() as u64 / 1000;
        match how {
            How::Window => {
                let grown = (due - taken) as u32;
                // It may have been cut meanwhile.
                if grown > 0 && stream.write_all(&[grant(0, grown), grant(1, grown)].concat()).is_err() {
                    break;
                }
                taken = due;
                stream.set_nonblocking(true).unwrap();
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                stream.set_nonblocking(false).unwrap();
            }
            _ => {
                while taken < due {
                    let room = buffer.len().min((due - taken) as usize);
                    match stream.read(&mut buffer[..room]) {
                        Ok(0) | Err(_) => return (began.elapsed(), rig),
                        Ok(count) => taken += count as u64,
                    }
                }
            }
        }
    }
    (began.elapsed(), rig)
}

#[test]
fn whoever_crawls_is_cut_and_whoever_is_only_slow_is_not() {
    const LEAST: u32 = 20_000;
    let timeouts = Timeouts { least_rate: Some(LEAST), ..Timeouts::default() };
    let all = [How::Plain, How::Tls, How::Connection, How::Window];
    thread::scope(|scope| {
        for how in all {
            scope.spawn(move || {
                let (lasted, rig) = takes(how, u64::from(LEAST) / 20, timeouts, Duration::from_secs(29));
                // What is on its way when it begins to be watched may count for it once.
                assert!(
                    lasted > Duration::from_secs(9) && lasted < Duration::from_secs(25),
                    "crawls, {how:?}: {lasted:?}"
                );
                crate::rig::eventually("nothing is in flight", || {
                    rig.road.board().all().iter().all(|(_, state)| state.outstanding() == 0)
                });
                let blamed = if matches!(how, How::Connection) { Fault::ClientGone } else { Fault::ClientStalled };
                assert_eq!(rig.meters().from_balancer, [(blamed, 1)].into(), "{how:?}");
            });
            scope.spawn(move || {
                let until = Duration::from_secs(22);
                let (lasted, _) = takes(how, u64::from(LEAST) * 2, timeouts, until);
                assert!(lasted >= until, "slow, {how:?}: cut after {lasted:?}");
            });
        }
    });
}

#[test]
fn whoever_takes_something_in_time_is_not_cut_however_much_the_kernel_holds_for_it() {
    let short = Some(Duration::from_secs(2));
    let timeouts = Timeouts { body: short, tunnel: short, ..Timeouts::default() };
    let all = [How::Plain, How::Tls, How::Connection, How::Window, How::Tunnel];
    thread::scope(|scope| {
        for how in all {
            scope.spawn(move || {
                let until = Duration::from_secs(8);
                let (lasted, _) = takes(how, 250_000, timeouts, until);
                assert!(lasted >= until, "slow, {how:?}: cut after {lasted:?}");
            });
            scope.spawn(move || {
                let (lasted, _) = takes(how, 0, timeouts, Duration::from_secs(19));
                assert!(
                    lasted > Duration::from_millis(1900) && lasted < Duration::from_secs(8),
                    "stalls, {how:?}: {lasted:?}"
                );
            });
        }
    });
}

/// Has an instance take so many bytes of an upload a second, until its client is answered or that time has passed; says how
/// long that was, and what the client was told.
fn instance_takes(rate: u64, until: Duration) -> (Duration, Option<u16>) {
    let listener = TcpListener::bind((address(), 0)).unwrap();
    let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
    rig.routes.timeouts.response = Some(Duration::from_secs(2));
    rig.add_target("a", listener.local_addr().unwrap());
    rig.publish();
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let mut up = client.stream.try_clone().unwrap();
    // It ends with the connection.
    thread::spawn(move || while up.write_all(&[b'x'; 64 * 1024]).is_ok() {});
    let (mut instance, mut buffer) = (listener.accept().unwrap().0, vec![0; 64 * 1024]);
    instance.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (began, mut taken) = (Instant::now(), 0);
    while began.elapsed() < until && rig.meters().from_balancer.is_empty() {
        thread::park_timeout(Duration::from_millis(50));
        let due = rate * began.elapsed().as_millis() as u64 / 1000;
        while taken < due {
            let room = buffer.len().min((due - taken) as usize);
            match instance.read(&mut buffer[..room]) {
                Ok(count @ 1..) => taken += count as u64,
                _ => break,
            }
        }
    }
    let lasted = began.elapsed();
    (lasted, (lasted < until).then(|| client.read().unwrap().status))
}

#[test]
fn an_instance_that_takes_a_request_slowly_is_waited_for_and_one_that_does_not_is_not() {
    thread::scope(|scope| {
        let stalls = scope.spawn(|| instance_takes(0, Duration::from_secs(19)));
        let (lasted, told) = instance_takes(250_000, Duration::from_secs(8));
        assert_eq!(told, None, "cut after {lasted:?}");
        let (lasted, told) = stalls.join().unwrap();
        assert!(lasted > Duration::from_millis(1900) && lasted < Duration::from_secs(8), "{lasted:?}");
        assert_eq!(told, Some(504));
    });
}
