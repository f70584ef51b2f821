//! A connection in memory, for `h2` to read and write.
//!
//! Owns the bytes that were received and not yet understood, and those that are to be sent. Must never grow beyond what was
//! given to it and [`OUT_LIMIT`].

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mux::OUT_LIMIT;

/// Capacity that an empty buffer may keep.
const KEEP: usize = 4096;

/// One end of it; all clones are the same end.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Rc<Ends>);

#[derive(Debug, Default)]
struct Ends {
    heard: RefCell<Vec<u8>>,
    /// How many of the bytes that were heard were read.
    read: Cell<usize>,
    ended: Cell<bool>,
    said: RefCell<Vec<u8>>,
}

impl Wire {
    /// Takes what was received.
    pub(super) fn hear(&self, bytes: &[u8]) {
        self.0.heard.borrow_mut().extend_from_slice(bytes);
    }

    /// Nothing more will be received.
    pub(super) fn end(&self) {
        self.0.ended.set(true);
    }

    /// Bytes that were received and not read: nothing more is to be received while there are any.
    pub(super) fn unread(&self) -> usize {
        self.0.heard.borrow().len() - self.0.read.get()
    }

    /// Bytes that are to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.0.said.borrow().len()
    }

    /// Takes what is to be sent, and leaves an empty buffer.
    pub(super) fn take(&self, empty: Vec<u8>) -> Vec<u8> {
        self.0.said.replace(empty)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut heard = self.0.heard.borrow_mut();
        let from = self.0.read.get();
        let rest = &heard[from..];
        if rest.is_empty() {
            return if self.0.ended.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.0.read.set(from + count);
        if from + count == heard.len() {
            self.0.read.set(0);
            heard.clear();
            heard.shrink_to(KEEP);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut said = self.0.said.borrow_mut();
        if said.len() >= OUT_LIMIT {
            return Poll::Pending;
        }
        said.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
