//! Whose turn it is: hosts that have a row to start and room for it stand in one line, the others sleep until they may
//! start one, by the timer. Asked by [`Schedule::poll`]; a host is put in its place after each thing that happens to it.

use std::time::Instant;

use super::action::{Start, Ticket};
use super::host::Stand;
use super::waiting::{Try, Wake};
use super::{Schedule, later};

impl Schedule {
    /// Puts a host that has something to start in line, or to sleep until it may start it.
    pub(super) fn settle(&mut self, id: u32, now: Instant) {
        // In line already: whether it may start is asked again when its turn comes.
        if self.hosts[id].stand == Stand::Ready {
            return;
        }
        let Some(opens) = self.opens_at(id, now) else { return };
        let host = &mut self.hosts[id];
        match host.stand {
            Stand::Ready => {}
            Stand::Asleep(until) if until <= opens => {}
            Stand::Idle | Stand::Asleep(_) if opens <= now => {
                host.stand = Stand::Ready;
                self.ready.push_back(id);
            }
            Stand::Idle | Stand::Asleep(_) => {
                host.stand = Stand::Asleep(opens);
                self.timers.push(opens, Wake::Host(id));
            }
        }
    }

    pub(super) fn start_next(&mut self, now: Instant) -> Option<Start> {
        while let Some(id) = self.ready.pop_front() {
            self.hosts[id].stand = Stand::Idle;
            // A hold may have come while the host stood in line.
            if self.opens_at(id, now).is_none_or(|opens| opens > now) {
                self.settle(id, now);
                continue;
            }
            let host = &mut self.hosts[id];
            let polite = &self.options.polite;
            let next = match host.pop_due(&mut self.waiting, &mut self.timers, polite.retry_budget, now) {
                Some(due) => due,
                None => {
                    let row = host.queued.pop().expect("invariant: a host with work has a row due or queued");
                    self.parked -= 1;
                    let deadline = self.options.deadline.map(|allowed| later(now, allowed));
                    Try { row, host: id, attempt: 1, deadline, short_since: None }
                }
            };
            let probe = host.on_start(next.attempt, polite, &self.terms, now);
            let hedge_after = host.hedge_after(now);
            self.in_flight += 1;
            self.hosts.book_start(id, now);
            self.settle(id, now);
            let Try { row, attempt, deadline, .. } = next;
            let ticket = Ticket { under_way: next, started: now, probe };
            return Some(Start { row, attempt, deadline, hedge_after, ticket });
        }
        None
    }

    pub(super) fn fire_timers(&mut self, now: Instant) {
        while let Some(wake) = self.timers.pop_due(now) {
            match wake {
                Wake::Host(id) => {
                    // It may have been woken before, and even have been forgotten since.
                    let Some(host) = self.hosts.get_mut(id) else { continue };
                    if matches!(host.stand, Stand::Asleep(until) if until <= now) {
                        host.stand = Stand::Idle;
                        self.settle(id, now);
                    }
                }
                Wake::Due(key) => {
                    let due = self.waiting.get(key).expect("invariant: a row in backoff stays until it is due");
                    let host = &mut self.hosts[due.host];
                    host.on_backoff_over();
                    if due.is_late(host.hold().map_or(now, |hold| hold.max(now))) {
                        self.expired.extend(self.waiting.take(key));
                    } else {
                        host.push_due(key, due.attempt);
                        if let Some(deadline) = due.deadline {
                            self.timers.push(deadline, Wake::Deadline(key));
                        }
                    }
                    self.settle(due.host, now);
                }
                Wake::Deadline(key) => {
                    if let Some(late) = self.waiting.take(key) {
                        self.hosts[late.host].on_due_gone(late.attempt);
                        self.expired.push_back(late);
                    }
                }
            }
        }
    }

    /// When the host may start a row it has; `None` if it has none, or not before something happens.
    fn opens_at(&self, id: u32, now: Instant) -> Option<Instant> {
        let host = &self.hosts[id];
        if !host.has_work() || !host.has_room(&self.terms) {
            return None;
        }
        let opens = host.opens_at(&self.terms, now);
        if self.options.polite.retry_budget { Some(opens.max(host.budget_opens_at(now)?)) } else { Some(opens) }
    }
}
