//! A worker's one way out for records: to the log, to the spans, or to both.
//!
//! Must never make a worker wait: each way drops and counts what it has no room for.

use super::queue::Line;
use super::{Record, Side};
use crate::spans::queue::Spans;

/// A worker's end.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    log: Option<Line>,
    /// Every record is for the log; otherwise those of balancers that have one of their own.
    all: bool,
    spans: Option<Spans>,
}

impl Teller {
    /// `None` when nobody will ever listen.
    pub(crate) fn new(log: Option<Line>, all: bool, spans: Option<Spans>) -> Option<Self> {
        (log.is_some() || spans.is_some()).then_some(Self { log, all, spans })
    }

    /// Whether anybody listens to what comes from there.
    pub(crate) fn hears(&self, side: &Side) -> bool {
        self.spans.is_some() || self.log_of(side).is_some()
    }

    fn log_of(&self, side: &Side) -> Option<&Line> {
        self.log.as_ref().filter(|_| self.all || side.delivery.is_some())
    }

    /// Hands a record over, or drops it.
    pub(crate) fn tell(&self, record: Box<Record>) {
        let is_sampled = record.said.as_ref().is_some_and(|said| said.span.is_some());
        match (self.log_of(&record.side), self.spans.as_ref().filter(|_| is_sampled)) {
            (Some(log), Some(spans)) => {
                spans.tell(record.clone());
                log.tell(record);
            }
            (Some(log), None) => log.tell(record),
            (None, Some(spans)) => spans.tell(record),
            (None, None) => {}
        }
    }
}
