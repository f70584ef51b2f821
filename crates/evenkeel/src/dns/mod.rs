//! The authoritative name server: load balancers' names, and instances', from the newest World and Sightings.
//!
//! Owns the zones, their answers and the sockets. [`table`] says what there is, [`answer`] turns one question into one answer
//! and does no I/O, [`limit`] keeps it from being a weapon, [`server`] has the sockets. Must never ask anybody else (no
//! recursion), nor change anything. Source: RFC 1034, 1035, 2308, 6891, 7766, 8482.

pub mod answer;
pub mod limit;
pub mod server;
pub mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::keeper::KeeperHandle;
use crate::loops::{Outcome, SightingsWatch, Statuses, reconcile};
use server::Counts;
use table::Table;

/// How long before a socket that could not be bound is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// From one table to the next at least: answers are so much older than what is known at most.
const PAUSE: Duration = Duration::from_millis(100);

/// What the name server works with.
pub struct Crew {
    /// Intent.
    pub keeper: KeeperHandle,
    /// What was last seen.
    pub sightings: SightingsWatch,
    /// Where to listen, on UDP and TCP.
    pub listen: SocketAddr,
    /// A domain of the user's own, under which each balancer has its name besides.
    pub own_domain: Option<String>,
    /// What is counted.
    pub counts: Arc<Counts>,
}

/// Answers for ever; what keeps it from answering is in its status, and tried again.
pub async fn run(crew: Crew, statuses: Statuses) {
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let hint = Arc::new(Notify::new());
    let compiled = compile_on_change(&crew, Arc::clone(&table), Arc::clone(&hint), statuses.clone());
    let served = serve(&crew, table, statuses);
    tokio::join!(compiled, served);
}

async fn compile_on_change(crew: &Crew, table: Arc<ArcSwap<Table>>, hint: Arc<Notify>, statuses: Statuses) {
    let run = || {
        let world = crew.keeper.world();
        let sightings = Arc::clone(&crew.sightings.borrow());
        table.store(Arc::new(Table::compile(&world, &sightings, crew.own_domain.as_deref(), crew.listen.ip())));
        async {
            // Sightings change with every verdict: many of them make one table.
            tokio::time::sleep(PAUSE).await;
            Outcome::default()
        }
    };
    let longest = Duration::from_secs(60);
    reconcile("dns", statuses, hint, crew.keeper.generations(), crew.sightings.clone(), longest, run).await;
}

async fn serve(crew: &Crew, table: Arc<ArcSwap<Table>>, statuses: Statuses) {
    loop {
        match server::bind(crew.listen).await {
            Ok(sockets) => {
                statuses.ran("dns-sockets", Ok(vec![format!("answers on {}", sockets.address())]));
                server::serve(sockets, Arc::clone(&table), Arc::clone(&crew.counts)).await;
            }
            Err(error) => {
                let why =
                    format!("failed to listen on {}: {error}; choose another address with `--dns-listen`", crew.listen);
                statuses.ran("dns-sockets", Err(why));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
