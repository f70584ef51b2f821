//! HTTP/1 text that the road wrote for one stream, on its way to the peer.
//!
//! Owns where that text stands: head, body, trailers. Must never hold a byte of a body: what does not fit into the windows
//! is not taken. The text was written by [`crate::proto::emit`], and is read with the same readers as everybody's.

use std::task::Context;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, SendStream};

use super::text;
use crate::proto::{BodyReader, Framing, Parsed, Piece, RequestHead, ResponseHead, Scanner};

/// What is said on one stream.
#[derive(Debug)]
pub(super) struct Outlet {
    stage: Stage,
    /// Where an answer begins; with a client's role there is none.
    reply: Option<SendResponse<Bytes>>,
    /// Where a body goes.
    body: Option<SendStream<Bytes>>,
    /// The request is, or was, HEAD.
    pub(super) to_head: bool,
    /// The client asked to go on as a WebSocket: a 101 is an answer.
    websocket: bool,
}

/// Where the text stands.
#[derive(Debug)]
enum Stage {
    Head {
        held: Vec<u8>,
        scanner: Scanner,
    },
    Body {
        reader: BodyReader,
        trailers: Vec<u8>,
    },
    /// No text any more: both ends have agreed on another protocol.
    Raw,
    Done,
}

/// The text is not what the road writes, or the stream takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    BadText,
    Broken,
}

/// Where it goes.
pub(super) struct Pipe<'a, 'b> {
    pub(super) cx: &'a mut Context<'b>,
    /// With a client's role: where requests begin, and the `:scheme` they have.
    pub(super) ask: Option<(&'a SendRequest<Bytes>, &'static str)>,
    /// The answer to the request that was begun.
    pub(super) answer: Option<ResponseFuture>,
    /// Bytes that may be taken.
    pub(super) room: usize,
}

impl Outlet {
    /// Of an answer, or of a request that is yet to begin.
    pub(super) fn new(reply: Option<SendResponse<Bytes>>, to_head: bool) -> Self {
        let stage = Stage::Head { held: Vec::new(), scanner: Scanner::default() };
        Self { stage, reply, body: None, to_head, websocket: false }
    }

    /// Lets the answer be that the client goes on as a WebSocket.
    pub(super) fn for_websocket(self) -> Self {
        Self { websocket: true, ..self }
    }

    /// What is no text has come to its end.
    pub(super) fn finish(&mut self) {
        if let (Stage::Raw, Some(body)) = (&self.stage, &mut self.body) {
            // Who is gone need not be told.
            let _ = say(body, &[], true);
            self.stage = Stage::Done;
        }
    }

    /// Whether everything is said.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Ends the stream as one that is cut.
    pub(super) fn reset(&mut self, reason: Reason) {
        match (&mut self.body, &mut self.reply) {
            (Some(body), _) => body.send_reset(reason),
            (None, Some(reply)) => reply.send_reset(reason),
            (None, None) => {}
        }
    }

    /// Whether the peer has ended the stream; if not, its waker hears of it.
    pub(super) fn reset_by(&mut self, cx: &mut Context<'_>) -> Option<Result<Reason, h2::Error>> {
        let poll = match (&mut self.body, &mut self.reply) {
            (Some(body), _) => body.poll_reset(cx),
            (None, Some(reply)) => reply.poll_reset(cx),
            (None, None) => return None,
        };
        match poll {
            std::task::Poll::Ready(reset) => Some(reset),
            std::task::Poll::Pending => None,
        }
    }

    /// Takes what fits, and says how many bytes that was.
    pub(super) fn write(&mut self, bytes: &[u8], pipe: &mut Pipe<'_, '_>) -> Result<usize, Stop> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.stage {
                Stage::Done => return Err(Stop::BadText),
                Stage::Head { held, scanner } => {
                    let (before, mut all, mut search) = (held.len(), std::mem::take(held), *scanner);
                    let read = if before == 0 {
                        self.begin(rest, &mut search, pipe)?
                    } else {
                        all.extend_from_slice(rest);
                        self.begin(&all, &mut search, pipe)?
                    };
                    let Some((used, next)) = read else {
                        if before == 0 {
                            all.extend_from_slice(rest);
                        }
                        self.stage = Stage::Head { held: all, scanner: search };
                        return Ok(bytes.len());
                    };
                    pipe.room = pipe.room.saturating_sub(used);
                    at += used - before;
                    self.stage = next;
                }
                Stage::Raw => {
                    let Some(body) = &mut self.body else { return Err(Stop::BadText) };
                    let fits = room(body, rest.len().min(pipe.room), pipe.cx)?;
                    pipe.room -= fits;
                    say(body, &rest[..fits], false)?;
                    at += fits;
                    if fits == 0 || pipe.room == 0 {
                        return Ok(at);
                    }
                }
                Stage::Body { reader, trailers } => {
                    let Some(body) = &mut self.body else { return Err(Stop::BadText) };
                    let before = *reader;
                    let mut after = rest;
                    match reader.next(&mut after).map_err(|_| Stop::BadText)? {
                        Piece::Data(data) => {
                            let fits = room(body, data.len().min(pipe.room), pipe.cx)?;
                            pipe.room -= fits;
                            if fits < data.len() {
                                // Nothing but what goes with the bytes that fit is read: not what follows the data, which may
                                // have been read with it.
                                let framed = data.as_ptr().addr() - rest.as_ptr().addr();
                                *reader = before;
                                let mut fitting = &rest[..framed + fits];
                                reader.next(&mut fitting).map_err(|_| Stop::BadText)?;
                                say(body, &data[..fits], false)?;
                                at += framed + fits;
                                if fits == 0 || pipe.room == 0 {
                                    return Ok(at);
                                }
                                // Who waits for more must have asked for it.
                                continue;
                            }
                            // The end of a stated length is known with its last byte.
                            let end = reader.is_done();
                            say(body, data, end)?;
                            if end {
                                self.stage = Stage::Done;
                            }
                        }
                        Piece::Trailer(lines) => trailers.extend_from_slice(lines),
                        Piece::More => {}
                        Piece::End => self.end()?,
                    }
                    at = bytes.len() - after.len();
                }
            }
            // A chunked body ends with bytes of its own: they may be the last of these.
            if at == bytes.len() && matches!(&self.stage, Stage::Body { reader, .. } if reader.is_done()) {
                self.end()?;
            }
        }
        Ok(at)
    }

    /// Reads a head from `bytes` and begins with it; says how many bytes it was, and what comes next.
    fn begin(
        &mut self,
        bytes: &[u8],
        scanner: &mut Scanner,
        pipe: &mut Pipe<'_, '_>,
    ) -> Result<Option<(usize, Stage)>, Stop> {
        let (len, framing) = if let Some(reply) = &mut self.reply {
            let read = ResponseHead::read(bytes, scanner, self.to_head).map_err(|_| Stop::BadText)?;
            let Some(head) = read else { return Ok(None) };
            if head.status == 101 {
                if !self.websocket {
                    return Err(Stop::BadText);
                }
                let answer = text::switch_to_send(bytes, &head).map_err(|_| Stop::BadText)?;
                self.body = Some(reply.send_response(answer, false).map_err(|_| Stop::Broken)?);
                return Ok(Some((head.len, Stage::Raw)));
            }
            let answer = text::answer_to_send(bytes, &head).map_err(|_| Stop::BadText)?;
            if head.status < 200 {
                reply.send_informational(answer).map_err(|_| Stop::Broken)?;
                return Ok(Some((head.len, Stage::Head { held: Vec::new(), scanner: Scanner::default() })));
            }
            self.body = Some(reply.send_response(answer, is_empty(head.framing)).map_err(|_| Stop::Broken)?);
            (head.len, head.framing)
        } else {
            let Some((ask, scheme)) = pipe.ask else { return Err(Stop::Broken) };
            let head = match RequestHead::read(bytes, scanner) {
                Parsed::More => return Ok(None),
                Parsed::Refused(_) => return Err(Stop::BadText),
                Parsed::Head(head) => head,
            };
            let request = text::request_to_send(bytes, &head, scheme).map_err(|_| Stop::BadText)?;
            self.to_head = head.is_head;
            // A handle of its own: one that has asked refuses to ask again until that stream is open.
            let asked = ask.clone().send_request(request, is_empty(head.framing));
            let (answer, body) = asked.map_err(|_| Stop::Broken)?;
            pipe.answer = Some(answer);
            self.body = Some(body);
            (head.len, head.framing)
        };
        let next = match framing {
            Framing::UntilClose => return Err(Stop::BadText),
            empty if is_empty(empty) => Stage::Done,
            framing => Stage::Body { reader: BodyReader::new(framing), trailers: Vec::new() },
        };
        Ok(Some((len, next)))
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Stage::Body { trailers, .. } = std::mem::replace(&mut self.stage, Stage::Done) else { return Ok(()) };
        let Some(body) = &mut self.body else { return Err(Stop::BadText) };
        if trailers.is_empty() {
            return say(body, &[], true);
        }
        let fields = text::trailers_to_send(&trailers).map_err(|_| Stop::BadText)?;
        body.send_trailers(fields).map_err(|_| Stop::Broken)
    }
}

/// How many of so many bytes the peer's windows and the buffer leave room for; if not for all, its waker hears of more.
fn room(body: &mut SendStream<Bytes>, wanted: usize, cx: &mut Context<'_>) -> Result<usize, Stop> {
    if wanted == 0 {
        return Ok(0);
    }
    body.reserve_capacity(wanted);
    let mut room = body.capacity();
    while room == 0 {
        room = match body.poll_capacity(cx) {
            std::task::Poll::Pending => return Ok(0),
            std::task::Poll::Ready(Some(Ok(more))) => more,
            std::task::Poll::Ready(_) => return Err(Stop::Broken),
        };
    }
    Ok(room.min(wanted))
}

fn say(body: &mut SendStream<Bytes>, data: &[u8], end: bool) -> Result<(), Stop> {
    if data.is_empty() && !end {
        return Ok(());
    }
    body.send_data(Bytes::copy_from_slice(data), end).map_err(|_| Stop::Broken)
}

/// Where a body of the road's own text ends, once its head is written.
fn is_empty(framing: Framing) -> bool {
    matches!(framing, Framing::None | Framing::Length(0))
}
