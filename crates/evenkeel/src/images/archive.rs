//! Tar archives as streams, compressed or not. Owns which compressions are read and written, and how much of an archive
//! is read before it is given up; must never touch the files of an image: `unpack.rs` and `pack.rs` do.
//!
//! A few kilobytes of zstd or gzip can say gigabytes, and so can the header of one long name. So what comes out of the
//! decompression is metered: whoever reads says how much it expects next, and all of it together has a limit.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{ImageError, failed};

/// Bytes of a tar in one zstd frame: what compresses well, and is held in memory at a time.
const FRAME: usize = 4 * 1024 * 1024;

/// How a tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    /// What a file of this name is to hold: `.tar`, `.tar.gz`, `.tgz`, `.tar.zst` or `.tzst`; `None` for another name.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        ENDINGS.into_iter().find_map(|(ending, coding)| name.ends_with(ending).then_some(coding))
    }
}

/// The endings of archives' names, longer ones before those they end with.
pub const ENDINGS: [(&str, Coding); 5] = [
    (".tar.zst", Coding::Zstd),
    (".tzst", Coding::Zstd),
    (".tar.gz", Coding::Gzip),
    (".tgz", Coding::Gzip),
    (".tar", Coding::Plain),
];

/// How much a reader may still read.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    now: Rc<Cell<u64>>,
    total: Rc<Cell<u64>>,
}

impl Meter {
    /// From here on so many bytes are expected.
    pub(super) fn expect(&self, bytes: u64) {
        self.now.set(bytes);
    }

    /// What all of it may still be.
    pub(super) fn left(&self) -> u64 {
        self.total.get()
    }
}

/// A reader that ends in an error above its meter, or above what all of it may be.
struct Metered<R> {
    source: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.now.get().min(self.meter.total.get());
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 && !buf.is_empty() {
            let why = "it has a header of more than 1 MiB, or more in it than an image may have";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let read = self.source.read(&mut buf[..most])?;
        self.meter.now.set(self.meter.now.get() - read as u64);
        self.meter.total.set(self.meter.total.get() - read as u64);
        Ok(read)
    }
}

/// Opens a tar and reads through its compression; at most `total` bytes come out, and no more than its meter allows.
pub(super) fn open(path: &Path, total: u64) -> Result<(Box<dyn Read>, Meter), ImageError> {
    let reading = || format!("read `{}`", path.display());
    let mut stream = decoded(File::open(path).map_err(failed(reading()))?, path)?;
    // What a compressed file holds is looked at as well, before anything is made of it.
    let mut head = Vec::with_capacity(512);
    (&mut stream).take(512).read_to_end(&mut head).map_err(failed(reading()))?;
    if !is_header(&head) {
        return Err(ImageError::NotAnImage(path.to_owned()));
    }
    Ok(metered(io::Cursor::new(head).chain(stream), total))
}

/// As [`open`], of a layer of an OCI image, which may be a tar with nothing in it. It is called `name`.
pub(super) fn layer(file: File, name: &Path, total: u64) -> Result<(Box<dyn Read>, Meter), ImageError> {
    Ok(metered(decoded(file, name)?, total))
}

fn metered(source: impl Read + 'static, total: u64) -> (Box<dyn Read>, Meter) {
    let meter = Meter { now: Rc::default(), total: Rc::new(Cell::new(total)) };
    (Box::new(Metered { source, meter: meter.clone() }), meter)
}

fn decoded(mut file: File, path: &Path) -> Result<Box<dyn Read>, ImageError> {
    let coding = sniff(path, &mut file)?;
    let file = BufReader::with_capacity(64 * 1024, file);
    Ok(match coding {
        Coding::Plain => Box::new(file),
        Coding::Gzip => Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(file))),
        Coding::Zstd => Box::new(BufReader::with_capacity(64 * 1024, Frames::new(file))),
    })
}

/// Tells compressions by their first bytes.
fn sniff(path: &Path, file: &mut File) -> Result<Coding, ImageError> {
    let mut head = Vec::with_capacity(8);
    let read = file.take(8).read_to_end(&mut head).and_then(|_| file.rewind());
    read.map_err(failed(format!("read `{}`", path.display())))?;
    let foreign: [(&[u8], _, _); 2] = [(b"\xfd7zXZ\0", "xz", "unxz --keep"), (b"BZh", "bzip2", "bunzip2 --keep")];
    if let Some((_, by, tool)) = foreign.into_iter().find(|(magic, ..)| head.starts_with(magic)) {
        let command = format!("{tool} {}", path.display());
        return Err(ImageError::Compressed { path: path.to_owned(), by, command });
    }
    // A skippable frame may stand before others.
    let skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
    Ok(match &head {
        head if head.starts_with(b"\x1f\x8b") => Coding::Gzip,
        head if skippable || head.starts_with(b"\x28\xb5\x2f\xfd") => Coding::Zstd,
        _ => Coding::Plain,
    })
}

/// Every tar's first header carries the sum of its bytes, the old ones without `ustar` too.
fn is_header(head: &[u8]) -> bool {
    head.len() == 512 && {
        let header = tar::Header::from_byte_slice(head);
        let sum: u32 =
            head.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        header.cksum().is_ok_and(|claimed| claimed == sum)
    }
}

/// The contents of all Zstandard frames of a stream, one after another; their checksums are held against them.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), within: false }
    }

    /// Begins the next frame; whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while !buf.is_empty() {
            if !self.within && !self.begin()? {
                break;
            }
            while self.decoder.can_collect() < buf.len() && !self.decoder.is_finished() {
                let wanted = BlockDecodingStrategy::UptoBytes(buf.len() - self.decoder.can_collect());
                self.decoder.decode_blocks(&mut self.source, wanted).map_err(invalid)?;
            }
            let read = self.decoder.read(buf)?;
            if self.decoder.is_finished() && self.decoder.can_collect() == 0 {
                self.within = false;
                let stated = self.decoder.get_checksum_from_data();
                if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not agree"));
                }
            }
            if read > 0 {
                return Ok(read);
            }
        }
        Ok(0)
    }
}

/// Compresses what is written to it. Only what was finished is whole.
pub(super) enum Encoder<W: Write> {
    /// As it is.
    Plain(W),
    /// gzip, without a name or a time.
    Gzip(GzEncoder<W>),
    /// Zstandard, a frame at a time, so that no more than a frame is in memory.
    Zstd(W, Vec<u8>),
}

impl<W: Write> Encoder<W> {
    /// Compresses into `to`.
    pub(super) fn new(to: W, coding: Coding) -> Self {
        match coding {
            Coding::Plain => Self::Plain(to),
            Coding::Gzip => Self::Gzip(GzEncoder::new(to, flate2::Compression::default())),
            Coding::Zstd => Self::Zstd(to, Vec::with_capacity(FRAME)),
        }
    }

    /// Writes the end, and gives back what it wrote to.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Gzip(to) => to.finish(),
            Self::Zstd(mut to, frame) => {
                if !frame.is_empty() {
                    to.write_all(&compress_to_vec(frame.as_slice(), CompressionLevel::Fastest))?;
                }
                Ok(to)
            }
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Gzip(to) => to.write(bytes),
            Self::Zstd(to, frame) => {
                let taken = bytes.len().min(FRAME - frame.len());
                frame.extend_from_slice(&bytes[..taken]);
                if frame.len() == FRAME {
                    to.write_all(&compress_to_vec(frame.as_slice(), CompressionLevel::Fastest))?;
                    frame.clear();
                }
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) | Self::Zstd(to, _) => to.flush(),
            Self::Gzip(to) => to.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(bytes: &[u8], coding: Coding) -> Vec<u8> {
        let mut to = Encoder::new(Vec::new(), coding);
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_comes_out_again() {
        let noise: Vec<u8> = (0..FRAME + 70_000).map(|i| (i * i / 7) as u8).collect();
        for bytes in [&noise[..], &noise[..FRAME], b"short"] {
            let zstd = coded(bytes, Coding::Zstd);
            let mut back = Vec::new();
            Frames::new(zstd.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{} bytes", bytes.len());
            Frames::new(&zstd[..zstd.len() - 1]).read_to_end(&mut Vec::new()).unwrap_err();
            let mut bent = zstd.clone();
            *bent.last_mut().unwrap() ^= 1;
            Frames::new(bent.as_slice()).read_to_end(&mut Vec::new()).unwrap_err();
            let mut back = Vec::new();
            MultiGzDecoder::new(coded(bytes, Coding::Gzip).as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
    }

    #[test]
    fn frames_that_say_nothing_are_skipped() {
        let mut zstd = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        zstd.extend(coded(b"hello", Coding::Zstd));
        let mut back = Vec::new();
        Frames::new(zstd.as_slice()).read_to_end(&mut back).unwrap();
        assert_eq!(back, b"hello");
        Frames::new(&b"\x50\x2a\x4d\x18\xff\xff\xff\xffabc"[..]).read_to_end(&mut back).unwrap_err();
    }

    #[test]
    fn names_say_how_a_tar_is_compressed() {
        let check = |name: &str, want| assert_eq!(Coding::of_name(Path::new(name)), want, "{name}");
        check("a/app.tar", Some(Coding::Plain));
        check("app-1.2.tar.zst", Some(Coding::Zstd));
        check("app.tzst", Some(Coding::Zstd));
        check("app.tgz", Some(Coding::Gzip));
        check("app.tar.gz", Some(Coding::Gzip));
        check("app.tar.xz", None);
        check("app", None);
    }
}
