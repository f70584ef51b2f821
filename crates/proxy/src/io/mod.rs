//! The road's only room with sockets: a readiness loop for each worker.
//!
//! Owns system calls and who is called when something is ready. Must never decide what a request becomes: the states
//! in [`crate::request`] and [`crate::tunnel`] do. Read `worker.rs` first.

mod ahead;
mod carry;
mod choose;
mod client;
mod counted;
mod eject;
mod gates;
mod greet;
mod h2;
pub(crate) mod listen;
mod origin;
mod pace;
mod pipe;
mod queue;
pub(crate) mod shared;
mod slots;
mod spans;
mod sticky;
mod stock;
mod stream;
mod switch;
pub(crate) mod table;
mod tell;
mod tls;
mod tongue;
mod trunk;
mod view;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use shared::Shared;

/// One thread for each post.
pub(crate) fn start_workers(shared: &Arc<Shared>) -> io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    for index in 0..shared.posts.len() {
        let started = worker::Blueprint::new(Arc::clone(shared), index)
            .and_then(|build| std::thread::Builder::new().name(format!("road-{index}")).spawn(move || build.run()));
        match started {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                shared.stop(std::time::Instant::now());
                return Err(error);
            }
        }
    }
    Ok(threads)
}
