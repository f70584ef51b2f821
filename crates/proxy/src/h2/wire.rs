//! A connection in memory, for `h2` to read and write.
//!
//! Owns the bytes that were received and not yet understood, and those that are to be sent. Must never grow beyond what was
//! given to it and [`OUT_LIMIT`], or keep a buffer for a connection that waits: a thread's connections share some.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mux::OUT_LIMIT;

/// Empty buffers that a thread keeps, and the capacity that each may have.
const SPARES: (usize, usize) = (4, 2 * OUT_LIMIT);

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, with room where one was kept.
fn buffer() -> Vec<u8> {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// Leaves a buffer to whoever needs one next.
fn keep(mut spent: Vec<u8>) {
    if spent.capacity() == 0 || spent.capacity() > SPARES.1 {
        return;
    }
    spent.clear();
    // A thread that is ending has nowhere to keep it.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARES.0 {
            spare.push(spent);
        }
    });
}

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
        let mut heard = self.0.heard.borrow_mut();
        if heard.capacity() == 0 {
            *heard = buffer();
        }
        heard.extend_from_slice(bytes);
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

    /// Takes what is to be sent, in exchange for a buffer that is not needed any more.
    pub(super) fn take(&self, spent: Vec<u8>) -> Vec<u8> {
        keep(spent);
        self.0.said.take()
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
            keep(std::mem::take(&mut *heard));
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
        if said.capacity() == 0 {
            *said = buffer();
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
