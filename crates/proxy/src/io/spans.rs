//! A balancer's time limits as a worker counts them.
//!
//! Owns which limit holds where none is stated: the idle timeout. Must never be looked at per request: where all limits are
//! the same, deadlines only move on, and what was filed for a connection once is early enough for all that follows.

use std::time::Duration;

use evenkeel_core::routes::BalancerRoutes;

use super::client::{HANDSHAKE_MS, millis};

/// How long a client's pace is watched before it is judged: `pace.rs`.
pub(super) const WATCH_MS: u64 = 10_000;

/// Limits in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) handshake: u64,
    pub(super) head: u64,
    pub(super) body: u64,
    pub(super) keep_alive: u64,
    connect: Option<u64>,
    idle: u64,
    pub(super) response: u64,
    pub(super) tunnel: u64,
    pub(super) pool: u64,
    /// Bytes that a client must move while it is watched; 0 for none.
    pub(super) least: u64,
    /// Whether the limit of a state may pass before that of the state before it.
    pub(super) vary: bool,
}

impl Spans {
    pub(super) fn of(routes: &BalancerRoutes) -> Self {
        let (idle, said) = (millis(routes.idle_timeout), &routes.timeouts);
        let or_idle = |said: Option<Duration>| said.map_or(idle, millis);
        let mut spans = Self {
            handshake: said.handshake.map_or(idle.min(HANDSHAKE_MS), millis),
            head: or_idle(said.head),
            body: or_idle(said.body),
            keep_alive: or_idle(said.keep_alive),
            connect: said.connect.map(millis),
            idle,
            response: or_idle(said.response),
            tunnel: or_idle(said.tunnel),
            pool: or_idle(said.pool),
            least: u64::from(said.least_rate.unwrap_or(0)) * (WATCH_MS / 1000),
            vary: false,
        };
        let states = [spans.head, spans.body, spans.keep_alive, spans.response];
        spans.vary = spans.least > 0 || states.iter().any(|span| *span != idle);
        spans
    }

    /// How long a connection to an instance may take to be made; `usual` where the balancer says nothing.
    pub(super) fn connect(&self, usual: u64) -> u64 {
        self.connect.unwrap_or(usual.min(self.idle))
    }
}
