//! Requests under way.
//!
//! A session with the root of trust begins by a `SYNC`; only when that is answered are requests sent, up to [`WINDOW`] at a
//! time, oldest first. A request without an answer is sent again, the same frame, after [`TRY_NS`]; the root of trust executes it
//! once however often it comes. When a request's time is over, its client is told so. If nothing at all has been heard meanwhile,
//! a new session is begun, and if that is not answered either, the root of trust is down: waiting requests end, and each new one
//! makes the driver try one `SYNC` more. So a root of trust that comes back is found, and one that does not costs a client a
//! second a request.

use protocols::rot::{
    CLIENTS, DEFAULT_TIMEOUT_MS, DRIVER_STATUS, DriverStatus, MAX_TIMEOUT_MS, MAX_UNDER_WAY, Reply, Request,
    STATE_DOWN, STATE_NO_DEVICE, STATE_UP, STATE_WAITING, command, is_for_clients, status,
};
use rot_protocol::command::changes_state;
use rot_protocol::frame::{Decoder, Frame, Kind, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};
use zerocopy::IntoBytes;

use crate::plausible::is_plausible;

/// Requests of all clients that may be under way.
const SLOTS: usize = CLIENTS * MAX_UNDER_WAY;
/// Requests that the root of trust has at a time.
pub const WINDOW: usize = 4;
/// How long an answer may take until its request is sent again. The longest reply takes 0.14 s on the line.
pub const TRY_NS: u64 = 1_000_000_000;
/// How often a request is sent at most.
pub const MAX_SENDS: u8 = 3;
/// How often a session is begun until the root of trust is down.
pub const SYNC_TRIES: u8 = 3;

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    client: usize,
    request: Request,
    id: u32,
    /// Smaller is older.
    order: u64,
    deadline_ns: u64,
    sends: u8,
    first_sent_ns: u64,
    last_sent_ns: u64,
    /// It ends with this status as soon as its client is told.
    ended: Option<u32>,
}

/// How it stands with the root of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// There is none, and nobody asked for one since it was last tried.
    None,
    /// `SYNC` is to be sent, or was sent then.
    Beginning { id: u32, tries: u8, sent_ns: Option<u64> },
    /// Requests can be sent.
    Open,
}

/// The mailbox.
#[derive(Debug)]
pub struct Mailbox {
    pending: [Option<Pending>; SLOTS],
    session: Session,
    next_id: u32,
    next_order: u64,
    /// When a whole frame from the root of trust was last received.
    heard_ns: u64,
    decoder: Decoder<MAX_REPLY_BYTES>,
    line: [u8; MAX_REQUEST_BYTES],
    line_length: usize,
    line_sent: usize,
    status: DriverStatus,
}

impl Mailbox {
    /// A mailbox without a device.
    pub const fn new() -> Self {
        Self {
            pending: [const { None }; SLOTS],
            session: Session::None,
            next_id: 1,
            next_order: 0,
            heard_ns: 0,
            decoder: Decoder::new(),
            line: [0; MAX_REQUEST_BYTES],
            line_length: 0,
            line_sent: 0,
            status: DriverStatus {
                state: STATE_NO_DEVICE,
                under_way: 0,
                answered: 0,
                timed_out: 0,
                garbled: 0,
                refused: 0,
                resent: 0,
                bad_frames: 0,
                stray: 0,
                line_errors: 0,
            },
        }
    }

    /// There is a line: begins a session. Ids of requests start from the time, so that they are not those of an earlier life.
    pub fn start(&mut self, now_ns: u64) {
        self.next_id = (now_ns >> 10) as u32;
        self.status.state = STATE_WAITING;
        self.begin();
    }

    fn begin(&mut self) {
        let id = self.id();
        self.session = Session::Beginning { id, tries: 0, sent_ns: None };
    }

    fn id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// What was counted.
    pub fn status(&self) -> DriverStatus {
        DriverStatus { under_way: self.pending.iter().flatten().count() as u32, ..self.status }
    }

    /// The device has reported so many errors of the line since it was started.
    pub fn set_line_errors(&mut self, errors: u64) {
        self.status.line_errors = errors;
    }

    /// Requests of this client that are under way.
    pub fn under_way(&self, client: usize) -> usize {
        self.pending.iter().flatten().filter(|pending| pending.client == client).count()
    }

    /// Takes a request of a client that has less than [`MAX_UNDER_WAY`]; gives the reply if it ends at once.
    pub fn submit(&mut self, client: usize, request: &Request, now_ns: u64) -> Option<Reply> {
        let reply = |status, data: &[u8]| Some(Reply::new(request.token, request.command, status, data));
        if request.command == DRIVER_STATUS {
            return reply(status::OK, self.status().as_bytes());
        }
        let valid = request.data().is_some() && request.reserved == 0 && is_for_clients(request.command);
        let refusal = match self.pending.iter().position(Option::is_none) {
            _ if !valid => status::BAD_REQUEST,
            _ if self.status.state == STATE_NO_DEVICE => status::NO_DEVICE,
            // The driver's bound on clients and their requests does not let that happen.
            None => status::BAD_REQUEST,
            Some(slot) => {
                self.insert(slot, client, request, now_ns);
                return None;
            }
        };
        self.status.refused += 1;
        reply(refusal, &[])
    }

    fn insert(&mut self, slot: usize, client: usize, request: &Request, now_ns: u64) {
        let timeout_ms = match request.timeout_ms {
            0 => DEFAULT_TIMEOUT_MS,
            timeout_ms => timeout_ms.min(MAX_TIMEOUT_MS),
        };
        let id = self.id();
        self.pending[slot] = Some(Pending {
            client,
            request: *request,
            id,
            order: self.next_order,
            deadline_ns: now_ns.saturating_add(u64::from(timeout_ms) * 1_000_000),
            sends: 0,
            first_sent_ns: 0,
            last_sent_ns: 0,
            ended: None,
        });
        self.next_order += 1;
        if self.session == Session::None {
            self.begin();
        }
    }

    /// Forgets the requests of a client that restarted. What was sent of them may be executed all the same.
    pub fn forget(&mut self, client: usize) {
        for slot in &mut self.pending {
            if slot.as_ref().is_some_and(|pending| pending.client == client) {
                *slot = None;
            }
        }
    }

    /// Hands bytes to `send` until it takes no more, or `budget` are gone. True if there may be more to send at once.
    pub fn transmit(&mut self, now_ns: u64, budget: usize, mut send: impl FnMut(u8) -> bool) -> bool {
        for _ in 0..budget {
            if self.line_sent == self.line_length && !self.next_frame(now_ns) {
                return false;
            }
            if !send(self.line[self.line_sent]) {
                return true;
            }
            self.line_sent += 1;
        }
        true
    }

    /// Puts the next frame on the line, if one is due.
    fn next_frame(&mut self, now_ns: u64) -> bool {
        let frame = match &mut self.session {
            Session::None => return false,
            Session::Beginning { id, tries, sent_ns: sent_ns @ None } => {
                *tries += 1;
                *sent_ns = Some(now_ns);
                Frame::request(*id, command::SYNC, &sync_data(*id)).encode(&mut self.line)
            }
            Session::Beginning { .. } => return false,
            Session::Open => {
                let Some(index) = next_due(&self.pending, now_ns) else { return false };
                let Some(pending) = &mut self.pending[index] else { return false };
                if pending.sends == 0 {
                    pending.first_sent_ns = now_ns;
                } else {
                    self.status.resent += 1;
                }
                pending.sends += 1;
                pending.last_sent_ns = now_ns;
                // Its length was checked when it was taken.
                let data = pending.request.data().unwrap_or(&[]);
                Frame::request(pending.id, pending.request.command, data).encode(&mut self.line)
            }
        };
        // Every request that is taken fits.
        (self.line_length, self.line_sent) = (frame.unwrap_or(0), 0);
        self.line_length > 0
    }

    /// Takes a byte from the line. Gives a client's reply if it is complete.
    pub fn receive(&mut self, byte: u8, now_ns: u64) -> Option<(usize, Reply)> {
        let frame = match self.decoder.push(byte)? {
            Ok(frame) if frame.kind == Kind::Reply => frame,
            // An echo of what was sent is no answer.
            Ok(_) | Err(_) => {
                self.status.bad_frames += 1;
                return None;
            }
        };
        self.heard_ns = now_ns;
        if let Session::Beginning { id, sent_ns: Some(_), .. } = self.session
            && frame.id == id
        {
            if frame.command == command::SYNC && frame.status == status::OK && frame.data == sync_data(id) {
                self.session = Session::Open;
                self.status.state = STATE_UP;
            } else {
                self.status.garbled += 1;
            }
            return None;
        }
        let answers = |pending: &Pending| pending.id == frame.id && pending.sends > 0 && pending.ended.is_none();
        let slot = self.pending.iter_mut().find(|slot| slot.as_ref().is_some_and(answers));
        let Some(Pending { client, request, .. }) = slot.and_then(Option::take) else {
            self.status.stray += 1;
            return None;
        };
        let asked = request.data().unwrap_or(&[]);
        let plausible =
            frame.command == request.command && is_plausible(request.command, asked, frame.status, frame.data);
        let reply = if plausible {
            self.status.answered += 1;
            Reply::new(request.token, request.command, frame.status, frame.data)
        } else {
            self.status.garbled += 1;
            Reply::new(request.token, request.command, status::GARBLED, &[])
        };
        Some((client, reply))
    }

    /// Looks at the clock. To be called before [`Mailbox::expired`].
    pub fn tick(&mut self, now_ns: u64) {
        match self.session {
            Session::Beginning { id, tries, sent_ns: Some(sent_ns) } if now_ns >= sent_ns.saturating_add(TRY_NS) => {
                let most = if self.status.state == STATE_DOWN { 1 } else { SYNC_TRIES };
                if tries < most {
                    self.session = Session::Beginning { id, tries, sent_ns: None };
                } else {
                    self.session = Session::None;
                    self.status.state = STATE_DOWN;
                    self.end_all(|_| true, status::DOWN);
                }
            }
            Session::Open => {
                let heard_ns = self.heard_ns;
                let silent = |pending: &Pending| {
                    let since = pending.first_sent_ns;
                    pending.sends > 0 && now_ns >= pending.deadline_ns && heard_ns <= since && now_ns - since >= TRY_NS
                };
                if self.pending.iter().flatten().any(silent) {
                    self.begin_again();
                }
            }
            _ => {}
        }
        self.end_all(|pending| now_ns >= pending.deadline_ns, status::TIMED_OUT);
    }

    /// A new session. Requests that change something cannot be sent again in it, for it does not know of their first time.
    fn begin_again(&mut self) {
        self.end_all(|pending| pending.sends > 0 && changes_state(pending.request.command), status::TIMED_OUT);
        self.pending.iter_mut().flatten().for_each(|pending| pending.sends = 0);
        self.status.state = STATE_WAITING;
        self.begin();
    }

    fn end_all(&mut self, which: impl Fn(&Pending) -> bool, status: u32) {
        for pending in self.pending.iter_mut().flatten().filter(|pending| which(pending)) {
            pending.ended.get_or_insert(status);
        }
    }

    /// A client's reply to a request that has ended without an answer.
    pub fn expired(&mut self) -> Option<(usize, Reply)> {
        let slot = self.pending.iter_mut().find(|slot| slot.as_ref().is_some_and(|pending| pending.ended.is_some()))?;
        let Pending { client, request, ended, .. } = slot.take()?;
        self.status.timed_out += 1;
        Some((client, Reply::new(request.token, request.command, ended?, &[])))
    }

    /// When the clock is to be looked at next.
    pub fn wake_ns(&self) -> Option<u64> {
        let sync = match self.session {
            Session::Beginning { sent_ns: Some(sent_ns), .. } => Some(sent_ns.saturating_add(TRY_NS)),
            _ => None,
        };
        let open = self.session == Session::Open;
        let times = self.pending.iter().flatten().flat_map(|pending| {
            let again = open && (1..MAX_SENDS).contains(&pending.sends);
            [Some(pending.deadline_ns), again.then(|| pending.last_sent_ns.saturating_add(TRY_NS))]
        });
        times.chain([sync]).flatten().min()
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

/// What a `SYNC` carries, so that an echo of an older one is told apart.
fn sync_data(id: u32) -> [u8; 8] {
    (u64::from(id) << 32 | u64::from(!id)).to_le_bytes()
}

/// The request to send now: one to be sent again, or else the oldest that was not sent yet if there is room for it.
fn next_due(pending: &[Option<Pending>], now_ns: u64) -> Option<usize> {
    let live = || pending.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
    let live = || live().filter(|(_, pending)| pending.ended.is_none());
    let again = live().find(|(_, pending)| {
        (1..MAX_SENDS).contains(&pending.sends) && now_ns >= pending.last_sent_ns.saturating_add(TRY_NS)
    });
    if let Some((index, _)) = again {
        return Some(index);
    }
    let sent = live().filter(|(_, pending)| pending.sends > 0).count();
    let oldest = live().filter(|(_, pending)| pending.sends == 0).min_by_key(|(_, pending)| pending.order);
    oldest.filter(|_| sent < WINDOW).map(|(index, _)| index)
}
