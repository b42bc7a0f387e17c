//! Requests of apps that are passed on to services, and the services' replies.

use app_abi::call;
use app_abi::map;
use app_abi::ring::{Reply, Request};
use app_abi::status;
use protocols::storage::{Ask, ClientError, Entries, FileInfo, Listed, code};
use protocols::{model, rot, storage};
use ring::Span;

use crate::calls::{Answer, DONE, Outcome};
use crate::manager::Manager;
use crate::slot::{Key, Pending};
use crate::world::World;

impl Manager<'_> {
    /// Keys and files. Each app has a space of its own at the storage service: its number is the slot's plus one.
    pub(crate) fn store(&mut self, slot: usize, request: &Request, world: &mut impl World) -> Outcome {
        let [first, second, third, fourth, fifth, ..] = request.arguments;
        let (mut name_bytes, mut data) = ([0; call::MAX_NAME_BYTES as usize], [0; call::MAX_VALUE_BYTES as usize]);
        let memory = self.slots[slot].memory;
        let is_key = request.call < call::FILE_READ;
        let lists = matches!(request.call, call::KV_LIST | call::FILE_LIST);
        let name = match lists {
            true => "",
            false => {
                let most = if is_key { call::MAX_KEY_BYTES } else { call::MAX_NAME_BYTES };
                if second > most {
                    return Err(status::TOO_LONG);
                }
                self.fetch_text(slot, (first, second), &mut name_bytes)?
            }
        };
        // Where the answer goes, and how much of it fits.
        let (address, bytes) = match request.call {
            call::KV_READ => (third, fourth),
            call::FILE_READ => (fourth, fifth),
            call::KV_LIST | call::FILE_LIST => (second, third),
            _ => (map::STACK, 0),
        };
        memory.check_writable(address, bytes)?;
        let room = bytes.min(call::MAX_VALUE_BYTES) as usize;
        if lists && bytes < call::MIN_LIST_BYTES || request.call == call::FILE_READ && bytes > call::MAX_FILE_BYTES {
            return Err(if lists { status::BAD_ARGUMENT } else { status::TOO_LONG });
        }
        let ask = match request.call {
            call::KV_READ => Ask::kv_read(name.as_bytes(), room),
            call::KV_WRITE => Ask::kv_write(name.as_bytes(), self.fetch(slot, (third, fourth), &mut data)?),
            call::KV_DELETE => Ask::kv_delete(name.as_bytes()),
            call::KV_LIST => Ask::kv_list(first, room),
            call::FILE_READ => Ask::read(name, third, room),
            call::FILE_WRITE => Ask::write_or_create(name, third, self.fetch(slot, (fourth, fifth), &mut data)?),
            call::FILE_REMOVE => Ask::remove(name),
            call::FILE_SIZE => Ask::stat(name),
            _ => Ask::list("", first, room),
        };
        let number = world.storage(&ask.within(slot as u32 + 1)).map_err(|error| match error {
            ClientError::NotConnected => status::UNAVAILABLE,
            ClientError::Busy => status::BUSY,
            ClientError::TooLarge => status::TOO_LONG,
        })?;
        let (call, token) = (request.call, request.token);
        self.wait_for(slot, Pending { call, token, key: Key::Storage(number), address, bytes })
    }

    /// Ends a request with the values that its service gives, or the status.
    fn finish(&mut self, slot: usize, pending: Pending, outcome: Result<[u64; 3], u32>, world: &mut impl World) {
        let Some(occupant) = &mut self.slots[slot].occupant else { return };
        occupant.pending.retain(|other| *other != pending);
        let (status, values) = match outcome {
            Ok(values) => (status::OK, values),
            Err(status) => (status, [0; 3]),
        };
        // Room for it was kept since the request was taken.
        occupant.requests.put(&Reply::new(pending.call, pending.token, status, values));
        world.notify(slot);
    }

    /// The request that a service was asked under this number, and the slot of its app.
    fn find_pending(&self, key: Key) -> Option<(usize, Pending)> {
        self.slots.iter().enumerate().find_map(|(slot, entry)| {
            let pending = entry.occupant.as_ref()?.pending.iter().find(|pending| pending.key == key)?;
            Some((slot, *pending))
        })
    }

    /// Ends all requests that wait for a service that restarted.
    fn lost(&mut self, of_service: impl Fn(usize, Key) -> bool, world: &mut impl World) {
        for slot in 0..self.slots.len() {
            let lost = |entry: &crate::slot::Slot| {
                let pending = &entry.occupant.as_ref()?.pending;
                pending.iter().copied().find(|pending| of_service(slot, pending.key))
            };
            while let Some(pending) = lost(&self.slots[slot]) {
                self.finish(slot, pending, Err(status::UNAVAILABLE), world);
            }
        }
    }

    pub(crate) fn app_storage_reply(&mut self, reply: &storage::Reply, data: &[u8], world: &mut impl World) {
        // An app that has ended meanwhile is not told.
        let Some((slot, pending)) = self.find_pending(Key::Storage(reply.id)) else { return };
        let outcome = match reply.code {
            code::DONE => self.stored(slot, &pending, reply, data),
            code => Err(status_of(code)),
        };
        self.finish(slot, pending, outcome, world);
    }

    fn stored(&self, slot: usize, pending: &Pending, reply: &storage::Reply, data: &[u8]) -> Result<[u64; 3], u32> {
        let memory = self.slots[slot].memory;
        let data = &data[..data.len().min(pending.bytes as usize)];
        match pending.call {
            call::KV_READ | call::FILE_READ => {
                memory.write(pending.address, data)?;
                Ok([data.len() as u64, 0, 0])
            }
            call::KV_LIST | call::FILE_LIST => {
                let mut at = pending.address;
                for entry in Entries(data) {
                    // A name and a line feed are shorter than the entry was, so all fit.
                    memory.write(at, entry.name)?;
                    memory.write(at + entry.name.len() as u64, b"\n")?;
                    at += entry.name.len() as u64 + 1;
                }
                Ok([at - pending.address, reply.body::<Listed>().next, 0])
            }
            call::FILE_SIZE => Ok([reply.body::<FileInfo>().bytes, 0, 0]),
            _ => Ok([0; 3]),
        }
    }

    pub(crate) fn app_storage_restarted(&mut self, world: &mut impl World) {
        self.lost(|_, key| matches!(key, Key::Storage(_)), world);
    }

    pub(crate) fn random(&mut self, slot: usize, request: &Request, world: &mut impl World) -> Outcome {
        let [address, bytes, ..] = request.arguments;
        if bytes > call::MAX_RANDOM_BYTES {
            return Err(status::TOO_LONG);
        }
        self.slots[slot].memory.check_writable(address, bytes)?;
        if bytes == 0 {
            return DONE;
        }
        let number = self.rot_token();
        if !world.rot(rot::Request::random(number, bytes as u16)) {
            return Err(status::UNAVAILABLE);
        }
        let (call, token) = (request.call, request.token);
        self.wait_for(slot, Pending { call, token, key: Key::Rot(number), address, bytes })
    }

    pub(crate) fn app_rot_reply(&mut self, reply: &rot::Reply, world: &mut impl World) {
        let Some((slot, pending)) = self.find_pending(Key::Rot(reply.token)) else { return };
        let whole = reply.data().len() as u64 == pending.bytes;
        let outcome = match reply.status {
            rot::status::OK if whole => self.slots[slot].memory.write(pending.address, reply.data()).map(|()| [0; 3]),
            rot::status::TIMED_OUT => Err(status::TIMED_OUT),
            rot::status::FIRST_OF_DRIVER.. => Err(status::UNAVAILABLE),
            _ => Err(status::FAILED),
        };
        self.finish(slot, pending, outcome, world);
    }

    pub(crate) fn app_rot_restarted(&mut self, world: &mut impl World) {
        self.lost(|_, key| matches!(key, Key::Rot(_)), world);
    }

    pub(crate) fn model(&mut self, slot: usize, request: &Request, world: &mut impl World) -> Outcome {
        let [number, input_at, output_at, limit_ns, ..] = request.arguments;
        let occupant = self.slots[slot].occupant.as_ref().ok_or(status::UNAVAILABLE)?;
        let model = *occupant.models.get(number as usize).ok_or(status::NOT_FOUND)?;
        self.next_job = self.next_job.wrapping_add(1);
        let job = self.next_job;
        let ask = match request.call {
            call::MODEL_INFO => model::Request::ask(model::kind::MODEL_INFO, job, model),
            _ => {
                let packed = self.pack.and_then(|pack| pack.models().nth(model as usize));
                let (input_bytes, output_bytes) =
                    packed.map(|packed| packed.tensor_bytes()).ok_or(status::NOT_FOUND)?;
                let place = |at: u64, bytes: usize| {
                    let fits = at.checked_add(bytes as u64).is_some_and(|end| end <= map::TENSORS_BYTES);
                    let fits = fits && at.is_multiple_of(call::TENSOR_ALIGN);
                    if fits { Ok(Span { offset: at as u32, bytes: bytes as u32 }) } else { Err(status::BAD_ARGUMENT) }
                };
                let (input, output) = (place(input_at, input_bytes)?, place(output_at, output_bytes)?);
                let limit_ns = if limit_ns == 0 { call::MAX_JOB_NS } else { limit_ns };
                if limit_ns > call::MAX_JOB_NS {
                    return Err(status::BAD_ARGUMENT);
                }
                model::Request::submit(job, model, input, output, limit_ns)
            }
        };
        if !world.models(slot, ask) {
            return Err(status::UNAVAILABLE);
        }
        let pending = Pending { call: request.call, token: request.token, key: Key::Model(job), address: 0, bytes: 0 };
        self.wait_for(slot, pending)
    }

    pub(crate) fn cancel(&mut self, slot: usize, token: u64, world: &mut impl World) -> Outcome {
        let occupant = self.slots[slot].occupant.as_ref().ok_or(status::UNAVAILABLE)?;
        let is_it = |pending: &&Pending| pending.call == call::MODEL_SUBMIT && u64::from(pending.token) == token;
        let Some(Pending { key: Key::Model(job), .. }) = occupant.pending.iter().find(is_it) else {
            return Err(status::NOT_FOUND);
        };
        // The job's own reply says how it ended.
        match world.models(slot, model::Request::ask(model::kind::CANCEL, *job, 0)) {
            true => Ok(Answer::Now([0, 0])),
            false => Err(status::UNAVAILABLE),
        }
    }

    /// The model runner answered what it was asked on behalf of a slot.
    pub fn model_reply(&mut self, slot: usize, reply: &model::Reply, world: &mut impl World) {
        if reply.kind == model::kind::CANCEL {
            return;
        }
        let Some(entry) = self.slots.get_mut(slot) else { return };
        if let Some(place) = entry.draining.iter().position(|job| *job == reply.job) {
            entry.draining.swap_remove(place);
            if entry.draining.is_empty() {
                entry.memory.tensors.wipe();
            }
            return;
        }
        let key = Key::Model(reply.job);
        let pending = entry.occupant.as_ref().and_then(|entry| entry.pending.iter().find(|one| one.key == key));
        let Some(pending) = pending.copied() else { return };
        let outcome = match (reply.code, reply.kind) {
            (model::code::DONE, model::kind::SUBMIT) => {
                let result: model::JobResult = reply.body();
                Ok([result.waited_ns(), result.compute_ns, result.instructions])
            }
            (model::code::DONE, _) => {
                let info: model::ModelInfo = reply.body();
                Ok([info.input_bytes.into(), info.output_bytes.into(), info.macs])
            }
            (model::code::CANCELLED, _) => Err(status::CANCELLED),
            (model::code::TIMED_OUT, _) => Err(status::TIMED_OUT),
            (model::code::QUEUE_FULL | model::code::BUFFER_IN_USE, _) => Err(status::BUSY),
            (model::code::BAD_BUFFER, _) => Err(status::BAD_ARGUMENT),
            (model::code::NO_MODEL, _) => Err(status::NOT_FOUND),
            _ => Err(status::FAILED),
        };
        self.finish(slot, pending, outcome, world);
    }

    /// The model runner restarted: its jobs are gone, and it does not write tensors any more.
    pub fn models_restarted(&mut self, slot: usize, world: &mut impl World) {
        if let Some(entry) = self.slots.get_mut(slot)
            && !entry.draining.is_empty()
        {
            entry.draining.clear();
            entry.memory.tensors.wipe();
        }
        self.lost(|other, key| other == slot && matches!(key, Key::Model(_)), world);
    }
}

/// What the storage service's answer is to an app.
fn status_of(reply: u32) -> u32 {
    match reply {
        code::NOT_FOUND => status::NOT_FOUND,
        code::FULL | code::QUOTA => status::NO_SPACE,
        code::TOO_LARGE => status::TOO_LONG,
        code::BAD_NAME | code::BEYOND_END | code::IS_A_FOLDER | code::NOT_A_FOLDER => status::BAD_ARGUMENT,
        code::NO_DISK | code::NOT_FORMATTED => status::UNAVAILABLE,
        code::TIMED_OUT => status::TIMED_OUT,
        _ => status::FAILED,
    }
}
