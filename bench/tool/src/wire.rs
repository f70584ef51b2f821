//! One connection of the load: plain, or inside TLS.
//!
//! Owns what bytes look like on the wire. Must never wait, but for the connect, which on loopback waits for the kernel only.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustls::ClientConnection;
use rustls::client::ClientConfig;

/// Bytes of TLS read with one call.
const SEALED: usize = 64 * 1024;

pub struct Wire {
    pub fd: OwnedFd,
    tls: Option<Box<ClientConnection>>,
}

pub enum Got {
    Bytes(usize),
    Nothing,
    End,
}

/// The socket as rustls writes to it.
struct Sink<'a>(&'a OwnedFd);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    pub fn connect(port: u16, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let fd = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        rustix::net::connect(&fd, &SocketAddr::from(([127, 0, 0, 1], port)))?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        let session = |config: &Arc<ClientConfig>| {
            ClientConnection::new(Arc::clone(config), super::trust::name()?).map(Box::new).map_err(io::Error::other)
        };
        Ok(Self { tls: tls.map(session).transpose()?, fd })
    }

    /// Whether there may be more after a read that did not fill its buffer.
    pub fn is_sealed(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes taken of these: all of them inside TLS, where what the kernel does not take waits for [`Wire::flush`].
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        match &mut self.tls {
            None => rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL).unwrap_or(0),
            Some(tls) => {
                let took = tls.writer().write(bytes).unwrap_or(0);
                self.flush();
                took
            }
        }
    }

    /// Sends what waits. What goes wrong shows at the next read.
    pub fn flush(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        while tls.wants_write() && tls.write_tls(&mut Sink(&self.fd)).is_ok() {}
    }

    /// Reads what there is. `sealed` is a place for bytes as they came; `into` must be larger than [`SEALED`].
    pub fn recv(&mut self, into: &mut [u8], sealed: &mut Vec<u8>) -> Got {
        let Some(tls) = &mut self.tls else {
            return match rustix::net::recv(&self.fd, into, RecvFlags::empty()) {
                Err(Errno::AGAIN) => Got::Nothing,
                Ok((_, got)) if got > 0 => Got::Bytes(got),
                _ => Got::End,
            };
        };
        let mut filled = 0;
        while filled == 0 {
            sealed.resize(SEALED, 0);
            let got = match rustix::net::recv(&self.fd, &mut **sealed, RecvFlags::empty()) {
                Err(Errno::AGAIN) => return Got::Nothing,
                Ok((_, got)) if got > 0 => got,
                _ => return Got::End,
            };
            let mut rest = &sealed[..got];
            while !rest.is_empty() {
                if !matches!(tls.read_tls(&mut rest), Ok(took) if took > 0) || tls.process_new_packets().is_err() {
                    return Got::End;
                }
                // It takes no more before what it has opened was read; `into` has room for all that was sealed.
                while let Ok(opened) = tls.reader().read(&mut into[filled..]) {
                    if opened == 0 {
                        return if filled == 0 { Got::End } else { Got::Bytes(filled) };
                    }
                    filled += opened;
                }
            }
            while tls.wants_write() && tls.write_tls(&mut Sink(&self.fd)).is_ok() {}
        }
        Got::Bytes(filled)
    }
}
