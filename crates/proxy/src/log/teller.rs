//! A worker's one way out for records: to the log, to the spans, or to both.
//!
//! Must never make a worker wait: each way drops and counts what it has no room for.

use super::Record;
use super::queue::Line;
use crate::spans::queue::Spans;

/// A worker's end.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    log: Option<Line>,
    spans: Option<Spans>,
}

impl Teller {
    /// `None` when nobody listens.
    pub(crate) fn new(log: Option<Line>, spans: Option<Spans>) -> Option<Self> {
        (log.is_some() || spans.is_some()).then_some(Self { log, spans })
    }

    /// Hands a record over, or drops it.
    pub(crate) fn tell(&self, record: Box<Record>) {
        let is_sampled = record.said.as_ref().is_some_and(|said| said.span.is_some());
        match (&self.log, self.spans.as_ref().filter(|_| is_sampled)) {
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
