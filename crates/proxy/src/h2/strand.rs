//! One stream of a connection.
//!
//! Owns what the peer says on it, as HTTP/1 text: a head, and then no more than a piece of a body that somebody is about to
//! take, so that the peer's window is what holds it back. Must never decide about the connection: `mux.rs` does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};

use super::outlet::Outlet;
use super::text::{self, Body};
use crate::proto::emit;
use crate::proto::scan::HEAD_LIMIT;

/// Streams that `h2` has news of.
pub(super) type News = Arc<Mutex<Vec<u32>>>;

/// Tells whose news it is.
struct Bell {
    stream: u32,
    news: News,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(self.stream);
    }
}

/// A stream.
#[derive(Debug)]
pub(super) struct Strand {
    /// Who is to be told of news; 0 for nobody yet.
    pub(super) owner: u64,
    /// Told, and has not looked since.
    pub(super) rung: bool,
    pub(super) waker: Waker,
    pub(super) inlet: Inlet,
    inbox: Vec<u8>,
    taken: usize,
    body: Body,
    /// The peer's head is here; with a client's role interim ones do not count.
    pub(super) headed: bool,
    /// The peer has said everything.
    pub(super) ended: bool,
    /// The peer takes no more, but what it said stands.
    pub(super) deaf: bool,
    /// It was ended before it was over.
    pub(super) gone: Option<Reason>,
    pub(super) outlet: Outlet,
    /// Its owner wants to write and cannot.
    pub(super) waiting: bool,
    /// It waits for the connection, and not for its own window.
    pub(super) crowded_out: bool,
    /// Bytes written in which round.
    pub(super) wrote: (u64, usize),
}

/// Where the peer's words come from.
#[derive(Debug)]
pub(super) enum Inlet {
    /// Nobody has asked yet, or everything is said.
    None,
    Answer(ResponseFuture),
    Body(RecvStream),
}

/// The peer says more, or less, than it announced, or what is no message.
struct Bad;

impl Strand {
    /// A stream that is yet to be asked on, or answered.
    pub(super) fn new(id: u32, owner: u64, outlet: Outlet, news: &News) -> Self {
        Self {
            owner,
            rung: false,
            waker: Waker::from(Arc::new(Bell { stream: id, news: Arc::clone(news) })),
            inlet: Inlet::None,
            inbox: Vec::new(),
            taken: 0,
            body: Body::None,
            headed: false,
            ended: false,
            deaf: false,
            gone: None,
            outlet,
            waiting: false,
            crowded_out: false,
            wrote: (0, 0),
        }
    }

    /// A stream that the peer has opened with that head.
    pub(super) fn asked(mut self, head: Vec<u8>, body: Body, stream: RecvStream) -> Self {
        self.inbox = head;
        self.body = body;
        self.headed = true;
        self.ended = stream.is_end_stream();
        if !self.ended {
            self.inlet = Inlet::Body(stream);
        }
        self
    }

    /// Whether there is text at hand.
    pub(super) fn has_news(&self) -> bool {
        self.taken < self.inbox.len()
    }

    /// Whether the peer has ended what is no message, and all of it was taken.
    pub(super) fn is_at_end(&self) -> bool {
        self.ended && self.body == Body::Raw && !self.has_news() && self.gone.is_none()
    }

    /// Takes text that is at hand.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let count = (self.inbox.len() - self.taken).min(into.len());
        into[..count].copy_from_slice(&self.inbox[self.taken..self.taken + count]);
        self.taken += count;
        if self.taken == self.inbox.len() {
            self.forget();
        }
        count
    }

    fn forget(&mut self) {
        self.taken = 0;
        self.inbox.clear();
        self.inbox.shrink_to(1024);
    }

    /// It is over before its time.
    pub(super) fn lose(&mut self, reason: Reason) {
        self.gone.get_or_insert(reason);
        self.inlet = Inlet::None;
        self.forget();
    }

    /// Ends it from here.
    pub(super) fn fail(&mut self, reason: Reason) {
        self.outlet.reset(reason);
        self.lose(reason);
    }

    /// Whether nothing more goes either way.
    pub(super) fn is_over(&self) -> bool {
        self.gone.is_some() || (self.ended && self.outlet.is_done())
    }

    /// Looks whether the client has taken its request back. What a server says of an answer it has given is no matter.
    pub(super) fn look(&mut self) {
        match self.outlet.reset_by(&mut Context::from_waker(&self.waker)) {
            Some(_) if self.is_over() => {}
            Some(Ok(reason)) => self.lose(reason),
            Some(Err(error)) => self.lose(error.reason().unwrap_or(Reason::CANCEL)),
            None => {}
        }
    }

    /// Has a piece of what the peer says at hand, if there is one. False when there is no news, and its waker will tell.
    pub(super) fn pull(&mut self) -> bool {
        let cx = &mut Context::from_waker(&self.waker);
        let pulled = match &mut self.inlet {
            Inlet::None => return false,
            Inlet::Answer(answer) => match pull_answer(answer, cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok((head, body))) => self.answered(&head, body),
                Poll::Ready(Err(error)) => return self.broken(&error),
            },
            Inlet::Body(body) => match pull_body(body, cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Said::Data(data, end))) => self.data(&data, end),
                Poll::Ready(Ok(Said::Trailers(fields))) => self.trailers(&fields),
                Poll::Ready(Err(error)) => return self.broken(&error),
            },
        };
        if pulled.is_err() {
            if self.headed {
                self.fail(Reason::PROTOCOL_ERROR);
            } else {
                self.misspoken();
            }
        }
        true
    }

    /// Has every head at hand that has come: interim ones must not pile up where nobody counts them.
    pub(super) fn pull_heads(&mut self) {
        while !self.headed && self.gone.is_none() && self.pull() {
            if self.inbox.len() > 2 * HEAD_LIMIT {
                self.fail(Reason::ENHANCE_YOUR_CALM);
            }
        }
    }

    /// The peer ended the stream, or `h2` did for its mistakes.
    fn broken(&mut self, error: &h2::Error) -> bool {
        if !self.headed && error.is_reset() && error.is_library() {
            self.misspoken();
            return true;
        }
        // Streams above the last one that the peer names when it goes were not looked at (RFC 9113 §6.8).
        let unseen = error.is_remote() && error.is_go_away();
        self.lose(if unseen { Reason::REFUSED_STREAM } else { error.reason().unwrap_or(Reason::CANCEL) });
        true
    }

    /// What is no answer must not pass for a lost one: as text it is refused.
    fn misspoken(&mut self) {
        self.outlet.reset(Reason::PROTOCOL_ERROR);
        self.inlet = Inlet::None;
        self.forget();
        self.inbox.extend_from_slice(b"HTTP/2 malformed\r\n\r\n");
        (self.headed, self.ended, self.deaf) = (true, true, true);
    }

    fn answered(&mut self, head: &http::Response<()>, body: Option<RecvStream>) -> Result<(), Bad> {
        let ended = body.as_ref().is_some_and(RecvStream::is_end_stream);
        let to_head = self.outlet.to_head;
        let read = text::answer(head, ended, to_head, &mut self.inbox).map_err(|_| Bad)?;
        if let Some(stream) = body {
            (self.headed, self.body, self.ended) = (true, read, ended);
            self.inlet = if ended { Inlet::None } else { Inlet::Body(stream) };
        }
        Ok(())
    }

    fn data(&mut self, data: &[u8], end: bool) -> Result<(), Bad> {
        match &mut self.body {
            Body::None if data.is_empty() => {}
            Body::Raw => self.inbox.extend_from_slice(data),
            Body::None => return Err(Bad),
            Body::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Bad)?;
                if end && *left > 0 {
                    return Err(Bad);
                }
                self.inbox.extend_from_slice(data);
            }
            Body::Chunks => {
                emit::chunk(data, &mut self.inbox);
                if end {
                    emit::last_chunk(&[], &mut self.inbox);
                }
            }
        }
        self.finish(end);
        Ok(())
    }

    fn trailers(&mut self, fields: &http::HeaderMap) -> Result<(), Bad> {
        let mut lines = Vec::new();
        text::trailers(fields, &mut lines).map_err(|_| Bad)?;
        match self.body {
            _ if lines.len() > HEAD_LIMIT => return Err(Bad),
            Body::Length(1..) | Body::Raw => return Err(Bad),
            Body::Chunks => emit::last_chunk(&lines, &mut self.inbox),
            // HTTP/1 has no place for them.
            Body::None | Body::Length(0) => {}
        }
        self.finish(true);
        Ok(())
    }

    fn finish(&mut self, end: bool) {
        if end {
            self.ended = true;
            self.inlet = Inlet::None;
        }
    }
}

/// A piece of a body.
enum Said {
    Data(Bytes, bool),
    Trailers(http::HeaderMap),
}

type Head = (http::Response<()>, Option<RecvStream>);

/// The next head: an interim one, or the one that a body follows.
fn pull_answer(answer: &mut ResponseFuture, cx: &mut Context<'_>) -> Poll<Result<Head, h2::Error>> {
    match answer.poll_informational(cx) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Some(interim)) => Poll::Ready(interim.map(|head| (head, None))),
        Poll::Ready(None) => Pin::new(answer).poll(cx).map_ok(|answer| {
            let (head, body) = answer.into_parts();
            (http::Response::from_parts(head, ()), Some(body))
        }),
    }
}

fn pull_body(body: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Said, h2::Error>> {
    match body.poll_data(cx) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Some(data)) => {
            let data = data?;
            // It is on its way: the peer may send as much again.
            body.flow_control().release_capacity(data.len())?;
            Poll::Ready(Ok(Said::Data(data, body.is_end_stream())))
        }
        Poll::Ready(None) => body
            .poll_trailers(cx)
            .map_ok(|fields| fields.map_or_else(|| Said::Data(Bytes::new(), true), Said::Trailers)),
    }
}
