//! The links to the clients.

use core::sync::atomic::AtomicU8;

use protocols::storage::{Reply, Request};
use ring::{Link, LinkError, Notify};

use super::{Client, Mounts};
use crate::sectors::Sectors;

/// Clients, at most.
const CLIENTS: usize = 4;
/// Requests of one client before the next one's turn.
const IN_A_ROW: usize = 4;

struct Served<'a, N> {
    link: Link<Reply, Request, N>,
    data: &'a [AtomicU8],
    client: &'a mut Client,
}

/// The service and its clients.
pub struct Server<'a, D, N> {
    disk: D,
    mounts: &'a mut Mounts,
    scratch: &'a mut [u8],
    clients: [Option<Served<'a, N>>; CLIENTS],
}

impl<'a, D: Sectors, N: Notify> Server<'a, D, N> {
    /// A service without clients. `scratch` has [`super::SCRATCH_BYTES`].
    pub fn new(disk: D, mounts: &'a mut Mounts, scratch: &'a mut [u8]) -> Self {
        Self { disk, mounts, scratch, clients: [const { None }; CLIENTS] }
    }

    /// Adds a client in slot `slot`.
    pub fn add(&mut self, slot: usize, client: &'a mut Client, link: Link<Reply, Request, N>, data: &'a [AtomicU8]) {
        if let Some(place) = self.clients.get_mut(slot) {
            *place = Some(Served { link, data, client });
        }
    }

    /// Opens what is on the disk, and says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn look(&mut self) -> Result<(), crate::Error> {
        self.mounts.look(&mut self.disk)
    }

    /// Answers all clients in turn, until there is nothing left to answer. While the disk is waited for, clients may ask for more,
    /// and notifications of theirs may be lost: so only a round in which nobody asked for anything is the last one.
    pub fn turn(&mut self) {
        while self.round() {}
    }

    fn round(&mut self) -> bool {
        let mut busy = false;
        for served in self.clients.iter_mut().flatten() {
            // A client that misbehaves is ignored until it restarts.
            busy |= serve(served, self.scratch, self.mounts, &mut self.disk).unwrap_or(false);
        }
        busy
    }
}

/// Whether there was something to do for this client.
fn serve<N: Notify>(
    served: &mut Served<'_, N>,
    scratch: &mut [u8],
    mounts: &mut Mounts,
    disk: &mut impl Sectors,
) -> Result<bool, LinkError> {
    let Served { link, data, client } = served;
    if link.poll()? {
        client.forget();
    }
    for _ in 0..IN_A_ROW {
        // A request is taken only if there is room for its reply.
        if !link.reserve(1)? {
            return Ok(false);
        }
        let Some(request) = link.pop()? else { return Ok(false) };
        let reply = client.answer(&request, data, scratch, mounts, disk);
        // Should the client have restarted meanwhile, nobody waits for it.
        let _ = link.push(&reply);
    }
    Ok(true)
}
