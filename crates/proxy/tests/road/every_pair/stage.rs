//! A client, a road and an instance of one pair of protocols.
//!
//! Owns what an instance does, by path, the same whatever it speaks.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use evenkeel_core::noun::Protocol;
use evenkeel_core::routes::InstanceHttp;
use evenkeel_proxy::road::RoadConfig;
use h2::Reason;
use rustls::Connection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::talk::{Client, Ear, Fields, Head, Mouth, Size, cut, has_arrived};
use crate::h2_rig::{Wire, dial_as, until};
use crate::rig::{Rig, address};
use crate::tls_rig::{Made, front};

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// HTTP/1.0 with `Connection: keep-alive`.
    Old,
    Http,
    Https,
    /// HTTP/2 by prior knowledge.
    H2c,
    H2,
}

/// What instances are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Http,
    Https,
    H2c,
    H2,
}

const FRONTS: [Front; 5] = [Front::Old, Front::Http, Front::Https, Front::H2c, Front::H2];
const BACKS: [Back; 4] = [Back::Http, Back::Https, Back::H2c, Back::H2];

impl Front {
    pub fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::H2)
    }

    /// A body whose length is not said, trailers and `100 Continue` came with HTTP/1.1.
    pub fn is_old(self) -> bool {
        self == Self::Old
    }
}

impl Back {
    pub fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::H2)
    }
}

/// What the instance saw, and what it waits for.
pub struct Scene {
    /// Requests, and how their bodies ended.
    seen: Mutex<Vec<String>>,
    /// One permit for each thing that it may say now.
    pub go: Semaphore,
}

impl Scene {
    pub fn note(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub fn has(&self, what: &str) -> bool {
        self.seen().iter().any(|seen| seen == what)
    }

    async fn cue(&self) {
        self.go.acquire().await.unwrap().forget();
    }
}

/// What becomes of the instance's connection.
enum After {
    Keep,
    Close,
    /// The same, once what it has said has arrived: a reset may overtake that, and then nobody could deliver it.
    Leave,
    Reset,
}

pub struct Stage {
    pub front: Front,
    pub back: Back,
    pub rig: Rig,
    pub scene: Arc<Scene>,
    made: Made,
    instance: tokio::task::JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.instance.abort();
    }
}

impl Stage {
    async fn set(front_side: Front, back: Back) -> Self {
        let made = Made::new(&["a.example"]);
        let scene = Arc::new(Scene { seen: Mutex::default(), go: Semaphore::new(0) });
        let listener = TcpListener::bind((address(), 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let tls = matches!(back, Back::Https | Back::H2).then(|| {
            let mut config = made.server();
            config.alpn_protocols = vec![if back.is_http2() { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
            Arc::new(config)
        });
        let shared = Arc::clone(&scene);
        let instance = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).unwrap();
                let tls = tls.clone().map(|c| Connection::Server(rustls::ServerConnection::new(c).unwrap()));
                tokio::spawn(serve(tcp, tls, Arc::clone(&shared), back.is_http2()));
            }
        });
        let mut rig = Rig::with(&[], Protocol::Http, RoadConfig { workers: 1, ..RoadConfig::default() });
        let listener = &mut rig.routes.listeners[0];
        listener.http2 = front_side.is_http2();
        if matches!(front_side, Front::Https | Front::H2) {
            listener.protocol = Protocol::Https;
            listener.tls = front(&[&made]);
        }
        if matches!(back, Back::Https | Back::H2) {
            listener.instance_protocol = Protocol::Https;
        }
        if back.is_http2() {
            listener.instance_http = InstanceHttp::Two;
        }
        rig.add_target("a", at);
        rig.publish();
        Self { front: front_side, back, rig, scene, made, instance }
    }

    pub async fn client(&self) -> Client {
        let made = matches!(self.front, Front::Https | Front::H2).then_some(&self.made);
        let alpn: &[&[u8]] = if self.front.is_http2() { &[b"h2"] } else { &[b"http/1.1"] };
        let wire = dial_as(self.rig.address(), made, alpn).await;
        match self.front {
            Front::Old => Client::text(wire, 0),
            Front::Http | Front::Https => Client::text(wire, 1),
            Front::H2c | Front::H2 => Client::frames(wire).await,
        }
    }

    /// How a body whose length is not known is announced by this front.
    pub fn open(&self, length: usize) -> Size {
        if self.front.is_old() { Size::Length(length) } else { Size::Open }
    }

    /// Lets the instance say so many more things.
    pub fn go(&self, count: usize) {
        self.scene.go.add_permits(count);
    }
}

/// Plays the same over every pair; afterwards nothing may be left on the road.
pub fn over_every_pair(play: impl AsyncFn(&Stage)) {
    for front in FRONTS {
        for back in BACKS {
            // Shown with a failure.
            println!("{front:?} to {back:?}");
            crate::h2_rig::run(async {
                let stage = Stage::set(front, back).await;
                play(&stage).await;
                until("nothing is left", || stage.rig.is_empty()).await;
            });
        }
    }
}

async fn serve(tcp: TcpStream, tls: Option<Connection>, scene: Arc<Scene>, http2: bool) {
    let wire = Wire::new(tcp, tls);
    let socket = wire.socket();
    if !http2 {
        let (from, to) = tokio::io::split(wire);
        let (mut ear, mut mouth) = (Ear::text(from), Mouth::Text { to, minor: 1, chunked: false });
        loop {
            let Ok(head) = ear.head(false).await else { return };
            match act(&scene, &head, &mut ear, &mut mouth).await {
                Ok(After::Keep) => {}
                Ok(After::Close) => return drop(mouth.finish().await),
                Ok(After::Leave) => {
                    until("what was said has arrived", || has_arrived(&socket)).await;
                    return drop(mouth.finish().await);
                }
                Ok(After::Reset) => return cut(&socket),
                Err(error) => return scene.note(format!("broken {}: {error}", head.path)),
            }
        }
    }
    let mut builder = h2::server::Builder::new();
    builder.max_header_list_size(256 * 1024);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(wire).await else { return };
    while let Some(Ok((request, reply))) = connection.accept().await {
        let scene = Arc::clone(&scene);
        tokio::spawn(async move {
            let (parts, body) = request.into_parts();
            let pairs =
                parts.headers.iter().map(|(n, value)| (n.to_string(), value.to_str().unwrap_or_default().to_owned()));
            let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
            let head = Head { method: parts.method.to_string(), path, status: 0, fields: pairs.collect() };
            let (mut ear, mut mouth) = (Ear::request(body), Mouth::Answers { reply, stream: None });
            match act(&scene, &head, &mut ear, &mut mouth).await {
                Ok(After::Reset) => mouth.reset(Reason::INTERNAL_ERROR),
                Ok(After::Keep | After::Close | After::Leave) => {}
                Err(error) => scene.note(format!("broken {}: {error}", head.path)),
            }
        });
    }
}

/// What an instance does.
async fn act(scene: &Scene, head: &Head, ear: &mut Ear, mouth: &mut Mouth) -> io::Result<After> {
    let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    scene.note(format!("{} {}", head.method, head.path));
    match path.as_str() {
        // Each event when it is asked for.
        "/events" => {
            let size = if query == "until-close" { Size::UntilClose } else { Size::Open };
            mouth.answer(200, size, &[("Content-Type", "text/event-stream")], false).await?;
            for n in 0..5 {
                scene.cue().await;
                mouth.say(format!("data: {n}\n\n")).await?;
            }
            mouth.end(&[]).await?;
            return Ok(if query == "until-close" { After::Close } else { After::Keep });
        }
        // The answer says how much came, and whether it was as it was sent.
        "/take" => {
            let body = ear.rest().await?;
            let sound = body.iter().enumerate().all(|(at, byte)| *byte == pattern(at));
            let text = format!("{} {sound} {:?}", body.len(), head.field("expect"));
            mouth.answer(200, Size::Length(text.len()), &[], false).await?;
            mouth.say(text).await?;
            mouth.end(&[]).await?;
        }
        // An answer at once, whatever is still on its way; then it reads on, stops reading, or leaves.
        "/early" => {
            let (status, then) = query.split_once('-').unwrap();
            let field: &[_] = if matches!(mouth, Mouth::Text { .. }) { &[("Connection", "close")] } else { &[] };
            mouth.answer(status.parse().unwrap(), Size::Length(5), field, false).await?;
            mouth.say("early").await?;
            mouth.end(&[]).await?;
            match then {
                "reads" => drop(ear.rest().await),
                "waits" => scene.cue().await,
                // What it has not read makes this a reset: of the connection, or of the stream once the answer has gone.
                _ => return Ok(After::Leave),
            }
            return Ok(After::Close);
        }
        // Ends its side in the midst of the connection, and goes on listening.
        "/half-close" => {
            mouth.answer(200, Size::UntilClose, &[], false).await?;
            mouth.say("all of it").await?;
            mouth.end(&[]).await?;
            mouth.finish().await?;
            let rest = ear.rest().await;
            scene.note(format!("after the end: {}", rest.is_ok_and(|rest| rest.is_empty())));
            return Ok(After::Close);
        }
        // Body and trailers go back.
        "/mirror" => {
            let body = ear.rest().await?;
            let trailers: Fields = ear.trailers().clone();
            let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            mouth.answer(200, Size::Open, &[], false).await?;
            // In pieces: none of the sizes that frame them may be taken for a part of the whole.
            for part in body.chunks(7) {
                mouth.say(part).await?;
            }
            mouth.end(&trailers).await?;
        }
        "/status" => {
            let status = query.parse().unwrap();
            mouth.answer(status, Size::None, &[], true).await?;
        }
        // A part of an answer, and then nothing more.
        "/cut" => {
            let (kind, how) = query.split_once('-').unwrap();
            let size = match kind {
                "length" => Size::Length(100_000),
                "open" => Size::Open,
                _ => Size::UntilClose,
            };
            mouth.answer(200, size, &[], false).await?;
            mouth.say("only this").await?;
            scene.cue().await;
            return Ok(if how == "reset" { After::Reset } else { After::Close });
        }
        // Nothing is said: the client may leave before.
        "/hold" => {
            match ear.rest().await {
                Ok(body) => scene.note(format!("whole: {}", body.len())),
                Err(_) => scene.note("cut short"),
            }
            match mouth {
                Mouth::Text { .. } => ear.closed().await,
                _ => mouth.taken_back().await,
            }
            scene.note("gone");
            return Ok(After::Close);
        }
        _ => {
            let size = if head.method == "HEAD" { Size::Length(2) } else { Size::Length(head.fields.len()) };
            mouth.answer(200, size, &[], head.method == "HEAD").await?;
            if head.method != "HEAD" {
                mouth.say("x".repeat(head.fields.len())).await?;
                mouth.end(&[]).await?;
            }
        }
    }
    Ok(After::Keep)
}

/// The byte of a body at that place.
pub fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}
