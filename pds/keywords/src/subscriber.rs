//! One who wants to know what was heard.

use protocols::keywords::{Detection, Event, RECENT, Request, Status, kind, request};
use ring::{Link, Notify};

/// Requests that one turn takes.
const REQUESTS: usize = 4;

/// What was heard last, the oldest first.
pub(crate) type Recent = heapless::HistoryBuf<Detection, RECENT>;

/// A subscriber's link, and what it is owed.
pub struct Subscriber<N> {
    link: Link<Event, Request, N>,
    subscribed: bool,
    /// While an answer is under way: the number of the request, and how many remembered detections were sent.
    answering: Option<(u32, usize)>,
    /// Events lost since the last one that went through, and in all.
    dropped: u32,
    dropped_in_all: u32,
}

impl<N: Notify> Subscriber<N> {
    /// Nobody has subscribed by this link yet.
    pub fn new(link: Link<Event, Request, N>) -> Self {
        Subscriber { link, subscribed: false, answering: None, dropped: 0, dropped_in_all: 0 }
    }

    /// Takes requests, and answers as far as there is room; the rest when the subscriber has made some.
    pub fn turn<'d>(&mut self, recent: impl Iterator<Item = &'d Detection> + Clone, status: &Status) {
        if !matches!(self.link.poll(), Ok(false)) {
            (self.subscribed, self.answering, self.dropped, self.dropped_in_all) = (false, None, 0, 0);
        }
        for _ in 0..REQUESTS {
            // Questions wait for the answer to the one before.
            if self.answering.is_some() {
                break;
            }
            let Ok(Some(Request { kind, token })) = self.link.pop() else { break };
            match kind {
                request::SUBSCRIBE => self.subscribed = true,
                request::UNSUBSCRIBE => self.subscribed = false,
                request::QUERY => self.answering = Some((token, 0)),
                _ => (),
            }
            self.answer(recent.clone(), status);
        }
        self.answer(recent, status);
    }

    fn answer<'d>(&mut self, recent: impl Iterator<Item = &'d Detection>, status: &Status) {
        let Some((token, sent)) = self.answering else { return };
        for (index, detection) in recent.enumerate().skip(sent) {
            if !self.push(&Event { token, ..Event::new(kind::RECENT, detection) }) {
                return;
            }
            self.answering = Some((token, index + 1));
        }
        let status = Status { dropped: self.dropped_in_all, ..*status };
        if self.push(&Event { token, ..Event::new(kind::STATUS, &status) }) {
            self.answering = None;
        }
    }

    /// Tells a detection, or the end; counts it if there is no room.
    pub fn tell(&mut self, event: &Event) {
        if self.subscribed && !self.push(event) {
            self.dropped = self.dropped.saturating_add(1);
            self.dropped_in_all = self.dropped_in_all.saturating_add(1);
        }
    }

    fn push(&mut self, event: &Event) -> bool {
        let sent = self.link.push(&Event { dropped: self.dropped, ..*event }).is_ok();
        if sent {
            self.dropped = 0;
        }
        sent
    }
}
