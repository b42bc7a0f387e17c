//! How a link is wired into a protection domain.

use core::fmt;

/// Wakes the peer. Called after the words that it is to see have been written.
pub trait Notify {
    /// Makes the peer look, now or when it next waits. Notifications that it has not seen yet add up to one.
    fn notify(&self);
}

impl<F: Fn()> Notify for F {
    fn notify(&self) {
        self();
    }
}

/// Notifies by a channel of the protection domain. [`link!`](crate::link) makes it.
#[derive(Clone, Copy)]
pub struct ChannelNotifier {
    channel: usize,
    signal: fn(usize),
}

impl ChannelNotifier {
    /// `signal` is called with `channel`.
    pub const fn new(channel: usize, signal: fn(usize)) -> Self {
        Self { channel, signal }
    }

    /// Id of the channel.
    pub const fn channel(&self) -> usize {
        self.channel
    }
}

impl Notify for ChannelNotifier {
    fn notify(&self) {
        (self.signal)(self.channel);
    }
}

impl fmt::Debug for ChannelNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelNotifier({})", self.channel)
    }
}

/// Opens the link `NAME` of a protection domain: `link!(NAME: TX, RX, PROTOCOL, VERSION)` gives
/// `Result<Option<Link<TX, RX>>, OpenError>`, `None` if the system description does not wire it. With `required` at the
/// end it gives `Result<Link<TX, RX>, OpenError>`, and a description without the link is refused when it is composed.
///
/// Declares the symbols that the composer patches: `NAME_tx` and `NAME_rx` (addresses of the own and of the peer's
/// region), `NAME_tx_size`, `NAME_rx_size` (in bytes) and `NAME_channel`; and the interface, in the program's notes. The
/// package must depend on `sel4-microkit`. A name may be used once in a program.
#[macro_export]
macro_rules! link {
    ($name:ident: $tx:ty, $rx:ty, $protocol:expr, $version:expr, required $(,)?) => {{
        $crate::_link_note!($name: $tx, $rx, $protocol, $version, $crate::_private::REQUIRED);
        $crate::_open_link!($name: $tx, $rx, $protocol, $version)
            .and_then(|link| link.ok_or($crate::OpenError::NotWired))
    }};
    ($name:ident: $tx:ty, $rx:ty, $protocol:expr, $version:expr $(,)?) => {{
        $crate::_link_note!($name: $tx, $rx, $protocol, $version, 0);
        $crate::_open_link!($name: $tx, $rx, $protocol, $version)
    }};
}

/// Declares a link in the program's notes.
#[doc(hidden)]
#[macro_export]
macro_rules! _link_note {
    ($name:ident: $tx:ty, $rx:ty, $protocol:expr, $version:expr, $flags:expr) => {
        $crate::_private::note!($crate::_private::Note::link(
            ::core::stringify!($name),
            ($protocol, $version),
            [::core::stringify!($tx), ::core::stringify!($rx)],
            [::core::mem::size_of::<$tx>(), ::core::mem::size_of::<$rx>()],
            [
                $crate::region_bytes(1, ::core::mem::size_of::<$tx>()),
                $crate::region_bytes(1, ::core::mem::size_of::<$rx>()),
            ],
            $flags,
        ));
    };
}

/// Opens a link, if it is wired.
#[doc(hidden)]
#[macro_export]
macro_rules! _open_link {
    ($name:ident: $tx:ty, $rx:ty, $protocol:expr, $version:expr) => {
        $crate::_private::paste! {{
            let own_address = *sel4_microkit::var!([<$name _tx>]: usize = 0);
            let own_bytes = *sel4_microkit::var!([<$name _tx_size>]: usize = 0);
            let peer_address = *sel4_microkit::var!([<$name _rx>]: usize = 0);
            let peer_bytes = *sel4_microkit::var!([<$name _rx_size>]: usize = 0);
            let channel = *sel4_microkit::var!([<$name _channel>]: usize = 0);
            if own_address == 0 {
                ::core::result::Result::Ok(::core::option::Option::None)
            } else {
                let notifier = $crate::ChannelNotifier::new(channel, |id| sel4_microkit::Channel::new(id).notify());
                // SAFETY: the composer wrote these words: it mapped the two regions of these sizes there for as long as
                // the program runs, the own one writable, and nothing else in the program has their addresses.
                let own = unsafe { $crate::Words::from_address(own_address, own_bytes) };
                // SAFETY: as above.
                let peer = unsafe { $crate::Words::from_address(peer_address, peer_bytes) };
                own.and_then(|own| {
                    let peer = peer?;
                    $crate::Link::<$tx, $rx>::open(own, peer, notifier, $protocol, $version)
                })
                .map(::core::option::Option::Some)
            }
        }}
    };
}
