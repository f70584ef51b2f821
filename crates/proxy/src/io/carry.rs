//! One way through a tunnel, driven.
//!
//! Owns how bytes get from one connection to the other: through the worker's scratch buffer, or where much flows between two
//! plain ones, through a pipe of the kernel's (`splice`), which copies nothing. Must never hold a pipe, or a buffer, for a way
//! that idles. What it saves: `docs/decisions.md`, "Bytes that nobody looks at".

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags};

use super::stream::{Read, Stream, Write};
use crate::tunnel::Pipe;

/// Full reads in a row after which a pipe is worth its calls.
const FULL_READS: u8 = 2;
/// Bytes that a pipe holds.
const CHANNEL_BYTES: usize = 256 * 1024;
/// Pipes of a worker, in use and not: 32 MiB of the kernel's memory at most, and two descriptors each. Ways that get none copy.
const CHANNELS: usize = 128;
/// Pipes that a worker keeps for the next.
const SPARES: usize = 8;
/// Fewer bytes at once are not worth a pipe.
const TRICKLE: usize = 16 * 1024;

/// A pipe of the kernel's, and how many bytes are in it.
#[derive(Debug)]
struct Channel {
    out: OwnedFd,
    into: OwnedFd,
    held: usize,
    /// One for each that there is.
    _alive: Rc<()>,
}

/// The pipes of a worker.
#[derive(Debug, Default)]
pub(super) struct Channels {
    spare: Vec<Channel>,
    alive: Rc<()>,
}

impl Channels {
    /// One that is empty; nothing where there are enough, or no descriptor is to be had.
    fn take(&mut self) -> Option<Channel> {
        if let Some(channel) = self.spare.pop() {
            return Some(channel);
        }
        if Rc::strong_count(&self.alive) > CHANNELS {
            return None;
        }
        let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Whoever may not have a large one has a small one.
        let _ = rustix::pipe::fcntl_setpipe_size(&into, CHANNEL_BYTES);
        Some(Channel { out, into, held: 0, _alive: Rc::clone(&self.alive) })
    }

    fn put(&mut self, channel: Channel) {
        if channel.held == 0 && self.spare.len() < SPARES {
            self.spare.push(channel);
        }
    }
}

/// One direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub(super) pipe: Pipe,
    channel: Option<Channel>,
    full: u8,
}

/// Who is broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Sink,
}

impl Way {
    /// Leaves its pipe to others while nothing is in it.
    pub(super) fn rest(&mut self, channels: &mut Channels) {
        if let Some(channel) = self.channel.take_if(|channel| channel.held == 0) {
            channels.put(channel);
        }
    }

    /// Moves what can be moved. Returns whether anything moved, and the bytes read.
    pub(super) fn carry(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
        channels: &mut Channels,
    ) -> Result<(bool, u64), End> {
        let (mut moved, mut read) = (self.push(to)?, 0);
        let empty = self.channel.as_ref().is_none_or(|channel| channel.held == 0);
        if self.pipe.wants() && empty && from.readable {
            let got = if self.is_fast(from, to, channels) { self.splice(from) } else { self.copy(from, to, scratch)? };
            match got {
                Read::Bytes(count) => {
                    moved = true;
                    read = count as u64;
                    self.push(to)?;
                }
                Read::NotReady => {}
                Read::End => {
                    self.pipe.end();
                    moved = true;
                }
                Read::Broken => return Err(End::Source),
            }
        }
        let empty = self.channel.as_ref().is_none_or(|channel| channel.held == 0);
        if empty && self.pipe.closes() {
            to.finish();
            moved = true;
        }
        Ok((moved, read))
    }

    /// Writes what waits.
    fn push(&mut self, to: &mut Stream) -> Result<bool, End> {
        let mut moved = false;
        if !self.pipe.unsent().is_empty() && to.writable {
            match to.write(self.pipe.unsent()) {
                Write::Took(count) => {
                    self.pipe.sent(count);
                    moved = true;
                }
                Write::NotReady => {}
                Write::Broken => return Err(End::Sink),
            }
        }
        let Some(channel) = &mut self.channel else { return Ok(moved) };
        while channel.held > 0
            && to.writable
            && let Some(sink) = to.bare()
        {
            // Less than was asked for may be taken though there is room: only this is the end of it.
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match retry_on_intr(|| rustix::pipe::splice(&channel.out, None, sink, None, channel.held, flags)) {
                Ok(count @ 1..) => {
                    channel.held = channel.held.saturating_sub(count);
                    moved = true;
                }
                Err(Errno::AGAIN) => to.writable = false,
                Ok(_) | Err(_) => return Err(End::Sink),
            }
        }
        Ok(moved)
    }

    /// Whether the next bytes go through a pipe, which it has then.
    fn is_fast(&mut self, from: &Stream, to: &Stream, channels: &mut Channels) -> bool {
        if self.full < FULL_READS || from.bare().is_none() || to.bare().is_none() {
            return false;
        }
        if self.channel.is_none() {
            self.channel = channels.take();
        }
        self.channel.is_some()
    }

    fn splice(&mut self, from: &mut Stream) -> Read {
        let (Some(channel), Some(source)) = (&mut self.channel, from.bare()) else { return Read::NotReady };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let got = retry_on_intr(|| rustix::pipe::splice(source, None, &channel.into, None, CHANNEL_BYTES, flags));
        match got {
            Ok(0) => {
                from.readable = false;
                Read::End
            }
            Ok(count) => {
                channel.held = count;
                // A short one says nothing of the socket: the pipe may have had no room for more pieces.
                if count < TRICKLE {
                    self.full = 0;
                }
                Read::Bytes(count)
            }
            // The pipe is empty, so it is the socket that has nothing.
            Err(Errno::AGAIN) => {
                from.readable = false;
                Read::NotReady
            }
            Err(_) => {
                from.readable = false;
                Read::Broken
            }
        }
    }

    fn copy(&mut self, from: &mut Stream, to: &mut Stream, scratch: &mut [u8]) -> Result<Read, End> {
        let got = from.read(scratch);
        let Read::Bytes(count) = got else { return Ok(got) };
        self.full = if count == scratch.len() { (self.full + 1).min(FULL_READS) } else { 0 };
        let took = match if to.writable { to.write(&scratch[..count]) } else { Write::NotReady } {
            Write::Took(took) => took,
            Write::NotReady => 0,
            Write::Broken => return Err(End::Sink),
        };
        self.pipe.keep(&scratch[took..count]);
        Ok(Read::Bytes(count))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::Shutdown;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::io::stream::tests::pair;

    /// What an edge-triggered loop would be told, told all the time.
    fn drive(
        way: &mut Way,
        from: &mut Stream,
        to: &mut Stream,
        channels: &mut Channels,
        mut until: impl FnMut(&Way, bool, u64) -> bool,
    ) {
        let (mut scratch, end) = (vec![0; 64 * 1024], Instant::now() + Duration::from_secs(20));
        loop {
            (from.readable, to.writable) = (true, true);
            let (moved, read) = way.carry(from, to, &mut scratch, channels).unwrap();
            if until(way, moved, read) {
                return way.rest(channels);
            }
            assert!(Instant::now() < end, "too slow");
        }
    }

    #[test]
    fn much_goes_through_a_pipe_and_arrives_whole() {
        let ((mut from, mut source), (mut to, mut sink)) = (pair(), pair());
        let body: Vec<u8> = (0..8_000_000u32).map(|n| (n % 251) as u8).collect();
        let (sent, wanted) = (body.clone(), body);
        let writer = std::thread::spawn(move || {
            source.write_all(&sent).unwrap();
            source.shutdown(Shutdown::Write).unwrap();
        });
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            sink.read_to_end(&mut all).unwrap();
            all
        });
        let (mut way, mut channels, mut spliced, mut total) = (Way::default(), Channels::default(), false, 0);
        drive(&mut way, &mut from, &mut to, &mut channels, |way, _, read| {
            spliced |= way.channel.is_some();
            total += read;
            way.pipe.is_closed()
        });
        assert!(reader.join().unwrap() == wanted);
        writer.join().unwrap();
        assert!(spliced && total == 8_000_000, "{spliced} {total}");
        // The pipe is there for the next, and is the only one.
        assert_eq!((way.channel.is_none(), channels.spare.len(), Rc::strong_count(&channels.alive)), (true, 1, 2));
    }

    #[test]
    fn a_sink_that_does_not_read_stops_its_source() {
        let ((mut from, mut source), (mut to, mut sink)) = (pair(), pair());
        source.set_nonblocking(true).unwrap();
        let (mut way, mut channels, mut total) = (Way::default(), Channels::default(), 0);
        let (block, mut offered, mut still) = (vec![7; 64 * 1024], 0, 0);
        drive(&mut way, &mut from, &mut to, &mut channels, |_, moved, read| {
            total += read;
            let wrote = source.write(&block).unwrap_or(0);
            offered += wrote as u64;
            still = if moved || wrote > 0 { 0 } else { still + 1 };
            if still > 0 {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            still == 100
        });
        let held = way.channel.as_ref().map_or(0, |channel| channel.held);
        assert!(held <= CHANNEL_BYTES && way.pipe.unsent().len() <= 64 * 1024, "{held}");
        // It goes on where it stopped, and lets go of the pipe.
        source.set_nonblocking(false).unwrap();
        source.shutdown(Shutdown::Write).unwrap();
        let reader = std::thread::spawn(move || std::io::copy(&mut sink, &mut std::io::sink()).unwrap());
        drive(&mut way, &mut from, &mut to, &mut channels, |way, _, read| {
            total += read;
            way.pipe.is_closed()
        });
        assert_eq!((total, reader.join().unwrap(), way.channel.is_none()), (offered, offered, true));
    }

    #[test]
    fn pipes_are_few_and_a_full_one_is_not_kept() {
        let mut channels = Channels::default();
        let mut taken: Vec<_> = (0..CHANNELS).map(|_| channels.take().unwrap()).collect();
        assert!(channels.take().is_none());
        taken[0].held = 1;
        taken.into_iter().for_each(|channel| channels.put(channel));
        assert_eq!((channels.spare.len(), Rc::strong_count(&channels.alive)), (SPARES, SPARES + 1));
    }

    #[test]
    fn little_is_copied() {
        let ((mut from, mut source), (mut to, mut sink)) = (pair(), pair());
        let (mut way, mut channels) = (Way::default(), Channels::default());
        for _ in 0..8 {
            source.write_all(&[b'x'; 1000]).unwrap();
            drive(&mut way, &mut from, &mut to, &mut channels, |_, _, read| read == 1000);
            sink.read_exact(&mut [0; 1000]).unwrap();
        }
        assert!(way.channel.is_none() && channels.spare.is_empty());
        drop(sink);
        source.write_all(&[b'x'; 1000]).unwrap();
        let ended = (0..1000).find_map(|_| {
            (from.readable, to.writable) = (true, true);
            source.write_all(b"x").unwrap();
            std::thread::park_timeout(Duration::from_millis(1));
            way.carry(&mut from, &mut to, &mut [0; 4096], &mut channels).err()
        });
        assert_eq!(ended, Some(End::Sink));
    }
}
