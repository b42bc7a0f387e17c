//! Keywords: what was heard, from the keyword spotter to its subscribers.
//!
//! A subscriber asks for detections once a session; they then come by themselves. One that does not take them loses them, and
//! the next event that it gets says how many. Each may also ask what was counted and heard last.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::clip::{WORD_BYTES, word_text};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"KEYW");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Subscribers that a spotter can have.
pub const MAX_CLIENTS: usize = 4;
/// Detections that are remembered.
pub const RECENT: usize = 8;

/// Kinds of requests.
pub mod request {
    /// Send each detection from now on, and the end of the sound.
    pub const SUBSCRIBE: u32 = 1;
    /// Send none any more.
    pub const UNSUBSCRIBE: u32 = 2;
    /// Send the detections that are remembered, the oldest first, as [`RECENT`](super::kind::RECENT), then
    /// [`STATUS`](super::kind::STATUS).
    pub const QUERY: u32 = 3;
}

/// Kinds of events.
pub mod kind {
    /// A word was heard just now: a [`super::Detection`].
    pub const DETECTION: u32 = 1;
    /// The source of the sound has come to its end, and what came before has been listened to: a [`super::Status`].
    pub const END: u32 = 2;
    /// A word that was heard earlier: a [`super::Detection`].
    pub const RECENT: u32 = 3;
    /// What was counted: a [`super::Status`].
    pub const STATUS: u32 = 4;
}

/// From a subscriber to the spotter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`request`].
    pub kind: u32,
    /// The subscriber's number for the request: what answers it has the same.
    pub token: u32,
}

/// Bytes of an event beside its head.
pub const BODY_BYTES: usize = 136;

/// From the spotter to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// One of [`kind`].
    pub kind: u32,
    /// The number of the request that this answers; 0 if it answers none.
    pub token: u32,
    /// Detections and ends that were lost to this subscriber since the last event, because it did not take them.
    pub dropped: u32,
    /// Always 0.
    pub reserved: u32,
    /// What belongs to `kind`.
    pub body: [u8; BODY_BYTES],
}

/// A word that was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Detection {
    /// The word, padded with zeros.
    pub word: [u8; WORD_BYTES],
    /// How many were heard before, since the spotter started.
    pub number: u64,
    /// Number of the sample behind the last one that the decision rests on.
    pub sample: u64,
    /// When it was decided, by the timer's clock, in nanoseconds.
    pub decided_ns: u64,
    /// Nanoseconds from when that last sample was taken to the decision.
    pub latency_ns: u64,
    /// How sure the model is, averaged, in thousandths.
    pub confidence: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Detection {
    /// The word.
    pub fn word(&self) -> &str {
        word_text(&self.word)
    }
}

/// What the spotter does: [`Status::state`].
pub mod state {
    /// There is no model to listen with; the console says why.
    pub const NO_MODEL: u32 = 0;
    /// The audio driver or the model runner is not there.
    pub const WAITING: u32 = 1;
    /// Sound comes.
    pub const LISTENING: u32 = 2;
    /// The source of the sound has come to its end.
    pub const ENDED: u32 = 3;

    /// Its name.
    pub fn name(state: u32) -> &'static str {
        match state {
            NO_MODEL => "has no model",
            WAITING => "waits for sound",
            LISTENING => "listens",
            ENDED => "heard the sound to its end",
            _ => "unknown",
        }
    }
}

/// What was counted since the spotter started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Status {
    /// One of [`state`].
    pub state: u32,
    /// Detections lost to this subscriber because it did not take them.
    pub dropped: u32,
    /// Samples taken.
    pub samples: u64,
    /// Times that the sound had a gap.
    pub gaps: u64,
    /// Samples missing in them.
    pub lost: u64,
    /// Windows of which the model gave an opinion.
    pub windows: u64,
    /// Windows that were left out because the model runner was too slow.
    pub windows_dropped: u64,
    /// Windows that the model runner gave back without an opinion, or lost.
    pub windows_failed: u64,
    /// Words heard.
    pub detections: u64,
    /// The longest time from the last sample of a window to the model's opinion, in nanoseconds.
    pub latency_max_ns: u64,
    /// The sum of these times over all windows.
    pub latency_sum_ns: u64,
    /// Nanoseconds that the model took, over all windows.
    pub model_ns: u64,
    /// Instructions spent on the features of one frame, at most.
    pub feature_instructions: u64,
    /// Times that the audio driver came up again.
    pub audio_restarts: u32,
    /// Times that the model runner came up again.
    pub runner_restarts: u32,
}

impl Event {
    /// An event.
    pub fn new(kind: u32, body: &(impl IntoBytes + Immutable)) -> Self {
        let mut event = Event { kind, token: 0, dropped: 0, reserved: 0, body: [0; BODY_BYTES] };
        let bytes = body.as_bytes();
        let length = bytes.len().min(BODY_BYTES);
        event.body[..length].copy_from_slice(&bytes[..length]);
        event
    }

    /// The body as the structure that belongs to the kind of the event.
    pub fn body<T: FromBytes + FromZeros>(&self) -> T {
        const { assert!(size_of::<T>() <= BODY_BYTES) };
        T::read_from_prefix(&self.body).map_or_else(|_| T::new_zeroed(), |(body, _)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_fit_and_come_back() {
        let status = Status { windows: 7, runner_restarts: 9, ..Status::default() };
        assert_eq!(Event::new(kind::STATUS, &status).body::<Status>(), status);
        let heard = Detection { word: *b"yes\0\0\0\0\0\0\0\0\0\0\0\0\0", ..Detection::default() };
        assert_eq!(Event::new(kind::DETECTION, &heard).body::<Detection>().word(), "yes");
        assert!(size_of::<Status>() <= BODY_BYTES && size_of::<Detection>() <= BODY_BYTES);
    }

    #[test]
    fn a_word_that_is_no_text_is_none() {
        assert_eq!(Detection { word: [0xff; WORD_BYTES], ..Detection::default() }.word(), "");
        assert_eq!(Detection { word: *b"sixteen letters!", ..Detection::default() }.word(), "sixteen letters!");
    }
}
