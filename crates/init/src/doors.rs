//! Doors of an instance: listeners inside, whose connections travel over this program's input and output to the house.
//!
//! Owns the way of the bytes; what is answered is the house's. A connection whose peer does not read for a while is given
//! up, so that it does not hold up the others. Must never hold more of a connection than one frame.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use evenkeel_init::CONNECTIONS;
use evenkeel_init::frames::{Frame, Frames, MOST};

/// How long a peer may take to read what it was sent.
const PATIENCE: Duration = Duration::from_secs(5);

type Connections = Arc<Mutex<HashMap<u32, TcpStream>>>;

/// Listens at these addresses until its input ends.
pub fn run(addresses: &[String]) -> io::Result<()> {
    let connections = Connections::default();
    for (door, address) in (0..).zip(addresses) {
        let address: SocketAddr = address.parse().map_err(io::Error::other)?;
        let listener =
            TcpListener::bind(address).map_err(|e| io::Error::new(e.kind(), format!("listen at {address}: {e}")))?;
        let connections = Arc::clone(&connections);
        thread::Builder::new().spawn(move || accept(&listener, door, &connections))?;
    }
    // Whoever started us waits for this before it starts anything else: an empty frame of no connection.
    say(&Frame::Gone { connection: 0 })?;
    let mut frames = Frames::default();
    let mut buffer = vec![0; MOST];
    let mut input = io::stdin().lock();
    loop {
        let n = input.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        frames.push(&buffer[..n]);
        while let Some(frame) = frames.next_frame().map_err(|_| io::Error::other("what came is no frame"))? {
            hear(frame, &connections);
        }
    }
}

fn accept(listener: &TcpListener, door: u8, connections: &Connections) {
    // Doors are few, so the numbers of each have room of their own; 0 is no connection.
    let mut connection = u32::from(door) << 24;
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: what is there may end meanwhile.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        connection = (connection & 0xff00_0000) | (connection.wrapping_add(1) & 0x00ff_ffff);
        let kept = stream.set_write_timeout(Some(PATIENCE)).and_then(|()| stream.try_clone());
        let Ok(kept) = kept else { continue };
        {
            let mut all = lock(connections);
            if all.len() >= CONNECTIONS || all.contains_key(&connection) || connection & 0x00ff_ffff == 0 {
                continue;
            }
            all.insert(connection, kept);
        }
        let all = Arc::clone(connections);
        if thread::Builder::new().spawn(move || carry(stream, connection, door, &all)).is_err() {
            give_up(connection, connections);
        }
    }
}

/// From a peer to the house.
fn carry(mut stream: TcpStream, connection: u32, door: u8, connections: &Connections) {
    let mut buffer = vec![0; MOST];
    if say(&Frame::Open { connection, door }).is_err() {
        return;
    }
    loop {
        let frame = match stream.read(&mut buffer) {
            Ok(0) => Frame::End { connection },
            Ok(n) => Frame::Bytes { connection, bytes: buffer[..n].to_vec() },
            Err(_) => Frame::Gone { connection },
        };
        let more = matches!(frame, Frame::Bytes { .. });
        if matches!(frame, Frame::Gone { .. }) {
            lock(connections).remove(&connection);
        }
        if say(&frame).is_err() || !more {
            return;
        }
    }
}

/// From the house to a peer.
fn hear(frame: Frame, connections: &Connections) {
    match frame {
        Frame::Bytes { connection, bytes } => {
            let stream = lock(connections).get(&connection).and_then(|stream| stream.try_clone().ok());
            let Some(mut stream) = stream else { return };
            if stream.write_all(&bytes).is_err() {
                give_up(connection, connections);
                // Should this not be heard either, the stream has ended, and so do we.
                let _ = say(&Frame::Gone { connection });
            }
        }
        Frame::End { connection } => {
            if let Some(stream) = lock(connections).remove(&connection) {
                // One that has ended is no error. Its reader goes on until the peer has ended too.
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
        Frame::Gone { connection } => give_up(connection, connections),
        Frame::Open { .. } => {}
    }
}

fn give_up(connection: u32, connections: &Connections) {
    if let Some(stream) = lock(connections).remove(&connection) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn lock(connections: &Connections) -> std::sync::MutexGuard<'_, HashMap<u32, TcpStream>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole frames only, one after the other.
fn say(frame: &Frame) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(&frame.encoded())?;
    out.flush()
}
