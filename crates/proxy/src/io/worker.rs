//! One worker: its loop and what it drives.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::event::epoll;

use super::shared::Shared;

pub(super) struct Worker {
    shared: Arc<Shared>,
    index: usize,
    epoll: OwnedFd,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = epoll::EventData::new_u64(0);
        epoll::add(&epoll, &shared.posts[index].wake, wake, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(Self { shared, index, epoll })
    }

    pub(super) fn run(self) {
        let mut events = Vec::with_capacity(512);
        while self.shared.stopping().is_none() {
            let post = &self.shared.posts[self.index];
            let sequence = self.shared.sequence.load(Ordering::Acquire);
            post.generation.store(self.shared.plan.load().generation, Ordering::Release);
            post.sequence.store(sequence, Ordering::Release);
            events.clear();
            let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None);
        }
    }
}
