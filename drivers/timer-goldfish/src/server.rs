//! Everything together: what the protection domain does when something arrives.

use protocols::timer::MAX_ANSWER;
use ring::Notify;

use crate::driver::{Answer, Client, Driver, LINKED};
use crate::linked::Linked;
use crate::registers::Registers;

/// The driver with its clients.
#[derive(Debug)]
pub struct Server<'a, R, N> {
    driver: Driver<'a, R>,
    linked: [Option<Linked<N>>; LINKED],
}

impl<'a, R: Registers, N: Notify> Server<'a, R, N> {
    /// A server of these clients, and of all who call.
    pub fn new(driver: Driver<'a, R>, linked: [Option<Linked<N>>; LINKED]) -> Self {
        Self { driver, linked }
    }

    /// Answers a call; `notify` gets the channels of callers whose timers have expired meanwhile.
    pub fn call(
        &mut self,
        channel: usize,
        label: u64,
        message: &[u64],
        answer: &mut [u64; MAX_ANSWER],
        notify: impl FnMut(usize),
    ) -> Answer {
        let result = self.driver.call(channel, label, message, answer);
        self.serve(notify);
        result
    }

    /// The alarm rang (`interrupt`), or a client with a link has notified, or both. Acknowledge the interrupt afterwards,
    /// for it is level-triggered.
    pub fn notified(&mut self, interrupt: bool, notify: impl FnMut(usize)) {
        if interrupt {
            self.driver.rang();
        }
        for linked in self.linked.iter_mut().flatten() {
            if linked.take_requests(&mut self.driver) {
                self.driver.come_back();
            }
        }
        self.serve(notify);
    }

    fn serve(&mut self, mut notify: impl FnMut(usize)) {
        self.driver.serve(|client| {
            if let Client::Caller { channel } = client {
                notify(channel);
            }
        });
        for linked in self.linked.iter_mut().flatten() {
            linked.send_expired(&mut self.driver);
        }
    }
}
