//! The loop that tells subscribers what was published.
//!
//! Owns how many are told at a time. A recipient that takes its time takes one place, and one only; who fails rests, later and
//! later ([`crate::notices::outbox`]). Must never hold up whoever publishes: that ends with the outbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::name::SubscriptionArn;
use evenkeel_core::world::World;
use tokio::task::JoinSet;

use super::{Statuses, alarms, groups, now};
use crate::keeper::KeeperHandle;
use crate::notices::letter::Server;
use crate::notices::{Ended, Job, Kind, Outbox, document, post};

/// Deliveries at a time.
const AT_ONCE: usize = 32;
/// How long it sleeps when nothing rings.
const LONGEST: Duration = Duration::from_secs(30);
/// Recipients that the status names.
const NOTES: usize = 10;

/// Forgets of messages that are long on their way that they were put in: before whoever has some to put in begins.
pub async fn sweep(keeper: &KeeperHandle, outbox: &Arc<Outbox>) {
    let world = keeper.world();
    let alarms =
        world.alarms().flat_map(|alarm| alarm.pending.iter().map(|pending| alarms::message::id(alarm, pending)));
    let held = world.scaling_groups();
    let groups = held.flat_map(|group| group.notices.iter().map(|notice| groups::message::id(group, notice)));
    let waiting: BTreeSet<String> = alarms.chain(groups).collect();
    let outbox = Arc::clone(outbox);
    if tokio::task::spawn_blocking(move || outbox.keep_only(&waiting)).await.is_err() {
        eprintln!("notices: failed to sweep the outbox");
    }
}

/// Runs the loop; never returns.
pub async fn run(keeper: KeeperHandle, outbox: Arc<Outbox>, mail: Option<Arc<Server>>, statuses: Statuses) {
    let mut under_way = JoinSet::new();
    loop {
        for job in outbox.take(Instant::now(), AT_ONCE - under_way.len()) {
            let (world, outbox, mail) = (keeper.world(), Arc::clone(&outbox), mail.clone());
            under_way.spawn_blocking(move || {
                let mut told = Told { outbox, job, ended: None };
                told.ended = Some(deliver(&world, &told.outbox, mail.as_deref(), &told.job));
            });
        }
        statuses.ran("notices", Ok(outbox.notes(NOTES)));
        let due = outbox.next_due().map(|at| at.saturating_duration_since(Instant::now()));
        let is_full = under_way.len() >= AT_ONCE;
        tokio::select! {
            () = outbox.ring.notified(), if !is_full => {}
            Some(_) = under_way.join_next() => {}
            () = tokio::time::sleep(due.unwrap_or(LONGEST).clamp(Duration::from_millis(10), LONGEST)), if !is_full => {}
        }
        // All that are done make room at once.
        while under_way.try_join_next().is_some() {}
    }
}

/// A job that is settled whatever happens: one whose delivery panicked has failed.
struct Told {
    outbox: Arc<Outbox>,
    job: Job,
    ended: Option<Ended>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let ended = self.ended.take().unwrap_or_else(|| Ended::Failed("the delivery panicked".into()));
        self.outbox.settle(&self.job, ended, Instant::now(), now().0);
    }
}

/// Tells one subscriber one thing; waits.
fn deliver(world: &World, outbox: &Outbox, mail: Option<&Server>, job: &Job) -> Ended {
    let arn = SubscriptionArn::new(&job.subscription).ok();
    let Some(to) = arn.and_then(|arn| world.subscription(&arn)) else { return Ended::Unwanted };
    let notice = match outbox.read(job) {
        Ok(notice) => notice,
        Err(error) => return Ended::Refused(format!("its message cannot be read: {error}")),
    };
    // Who was asked and has answered is asked no more; who has not agreed is told nothing.
    let is_question = matches!(notice.kind, Kind::SubscriptionConfirmation { .. });
    if is_question == to.confirmed.is_some() {
        return Ended::Unwanted;
    }
    if !to.protocol.is_post() {
        let name = world.topic(&to.topic).map(|topic| topic.display_name.as_str()).unwrap_or_default();
        let none = || Ended::Failed("there is no mail server: `evenkeel up --smtp-config` names one".into());
        return mail.map_or_else(none, |mail| mail.send(&notice, to, name));
    }
    let (headers, body) = document::request(&notice, to);
    post::post(&to.endpoint, &headers, &body)
}
