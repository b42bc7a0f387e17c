//! The steps of the jobs in [`loader`](crate::loader).

use app_abi::Permission;
use app_abi::info::{Info, MAGIC, MODELS, padded};
use app_abi::{API_VERSION, map};
use bundle::{Bundle, Envelope, Error, MAX_BUNDLE_BYTES, Manifest, Version};
use protocols::apps::Answer;
use protocols::console::Level;
use protocols::rot::{self, status};
use protocols::storage::{self, Ask, Event, FileInfo, MAX_TRANSFER, code};

use crate::catalogue::{self, Installed};
use crate::loader::{Awaited, FOLDER, Failure, Job, Path, Step, TIMEOUT_NS, Work, bundle_path, counter_id};
use crate::manager::{App, KV_BYTES, KV_KEYS, ListState, Manager, State};
use crate::slot::Occupant;
use crate::world::World;

/// What a step leads to.
type Outcome = Result<Next, Failure>;

/// How a job goes on.
enum Next {
    /// It waits for this.
    Wait(Step, Awaited),
    /// It is done.
    Done,
}

impl Manager<'_> {
    /// Adds a job, and begins it if there is no other.
    pub(crate) fn queue(&mut self, job: Job, world: &mut impl World) {
        if let Job::Start { app, .. } = job
            && let Some(entry) = &mut self.apps[app]
        {
            entry.state = State::Starting;
            entry.again_ns = None;
        }
        if let Err(job) = self.loader.waiting.push_back(job) {
            self.report(&job, Err(Failure::Busy), world);
        }
        self.begin(world);
    }

    /// Begins jobs until one has to wait.
    pub(crate) fn begin(&mut self, world: &mut impl World) {
        while self.loader.work.is_none() && !self.is_uploading(world.now_ns()) {
            let Some(job) = self.loader.waiting.pop_front() else { return };
            let give_up_ns = world.now_ns().saturating_add(TIMEOUT_NS);
            // What it waits for is overwritten before anything can come.
            let (step, awaited) = (Step::Reading, Awaited::Rot(u64::MAX));
            let mut work = Work { job, step, awaited, give_up_ns, staged: 0, envelope: None, app: None, slot: 0 };
            let outcome = self.first_step(&mut work, world);
            self.go_on(work, outcome, world);
        }
    }

    /// The job that is under way has waited too long.
    pub(crate) fn work_timeout(&mut self, now_ns: u64, world: &mut impl World) {
        if let Some(work) = self.loader.work.take_if(|work| work.give_up_ns <= now_ns) {
            self.go_on(work, Err(Failure::TimedOut), world);
        }
    }

    fn go_on(&mut self, mut work: Work, outcome: Outcome, world: &mut impl World) {
        match outcome {
            Ok(Next::Wait(step, awaited)) => {
                (work.step, work.awaited) = (step, awaited);
                self.loader.work = Some(work);
            }
            Ok(Next::Done) => self.report(&work.job, Ok(work.app.as_ref().map(|(_, version)| *version)), world),
            Err(failure) => self.report(&work.job, Err(failure), world),
        }
    }

    /// Tells who asked, and the console, how a job went.
    fn report(&mut self, job: &Job, outcome: Result<Option<Version>, Failure>, world: &mut impl World) {
        if let Job::Start { app, .. } = job
            && let Some(entry) = &mut self.apps[*app]
        {
            let name = entry.installed.name.clone();
            if let Err(failure) = &outcome {
                if entry.state == State::Starting {
                    entry.state = State::Stopped;
                }
                world.say(Level::Error, format_args!("{name} was not started: {failure}"));
            }
        }
        let Some(token) = job.token() else { return };
        if let Err(failure) = &outcome {
            let what = match job {
                Job::Install { .. } | Job::InstallUpload { .. } => "install: refused: ",
                Job::Start { .. } => "start: ",
                Job::Uninstall { .. } => "uninstall: ",
                Job::Save { .. } => "autostart: ",
            };
            Self::line(token, format_args!("{what}{failure}"), world);
        }
        world.answer(Answer::done(token, outcome.is_err()));
    }

    fn first_step(&mut self, work: &mut Work, world: &mut impl World) -> Outcome {
        match work.job.clone() {
            Job::Install { path, .. } => {
                self.check_list()?;
                read_part(&path, 0, world)
            }
            Job::InstallUpload { bytes, .. } => {
                self.check_list()?;
                work.staged = bytes;
                self.loader.uploaded = 0;
                self.verify(work, world)
            }
            Job::Start { app, .. } => {
                let entry = self.apps[app].as_ref().ok_or(Failure::NoApp)?;
                if entry.state.slot().is_some() {
                    return Err(Failure::Running);
                }
                if !self.slots.iter().any(|slot| slot.is_free()) {
                    return Err(Failure::NoSlot);
                }
                read_part(&bundle_path(&entry.installed.name, "klb"), 0, world)
            }
            Job::Uninstall { app, .. } => {
                let entry = self.apps[app].as_ref().ok_or(Failure::NoApp)?;
                if entry.state.slot().is_some() {
                    return Err(Failure::Running);
                }
                let path = bundle_path(&entry.installed.name, "klb");
                ask(Step::RemovingBundle, &Ask::remove(&path), world)
            }
            Job::Save { .. } => self.save(world),
        }
    }

    /// The list of installed apps must be known before it is changed.
    fn check_list(&self) -> Result<(), Failure> {
        match self.list {
            ListState::Ready | ListState::Broken => Ok(()),
            ListState::Failed(code) => Err(Failure::Storage(code)),
            ListState::Unknown | ListState::Asked(_) => Err(Failure::NotReady),
        }
    }

    /// Something came from the storage service; `data` is what was read.
    pub fn storage_event(&mut self, event: Event, data: &[u8], world: &mut impl World) {
        match event {
            Event::Restarted => self.storage_restarted(world),
            Event::Reply(reply, _) => {
                if let Some(work) = self.loader.work.take_if(|work| work.awaited == Awaited::Storage(reply.id)) {
                    self.storage_step(work, &reply, data, world);
                    self.begin(world);
                } else if self.list == ListState::Asked(reply.id) {
                    self.list_reply(&reply, data, world);
                } else {
                    self.app_storage_reply(&reply, data, world);
                }
            }
        }
    }

    fn list_reply(&mut self, reply: &storage::Reply, data: &[u8], world: &mut impl World) {
        match reply.code {
            code::DONE => self.take_list(data, world),
            code::NOT_FOUND => self.list = ListState::Ready,
            code => {
                self.list = ListState::Failed(code);
                let reason = code::text(code);
                world.say(Level::Warning, format_args!("no list of installed apps: {reason}"));
            }
        }
    }

    /// Reads the list of installed apps, unless it is known.
    pub(crate) fn ask_for_list(&mut self, world: &mut impl World) {
        if matches!(self.list, ListState::Unknown | ListState::Failed(_)) {
            let ask = Ask::kv_read(catalogue::KEY, catalogue::MAX_BYTES);
            self.list = world.storage(&ask).map_or(ListState::Unknown, ListState::Asked);
        }
    }

    fn storage_restarted(&mut self, world: &mut impl World) {
        let waits = |work: &mut Work| matches!(work.awaited, Awaited::Storage(_));
        if let Some(work) = self.loader.work.take_if(waits) {
            self.go_on(work, Err(Failure::NoStorage), world);
        }
        if matches!(self.list, ListState::Asked(_)) {
            self.list = ListState::Unknown;
        }
        for slot in 0..self.slots.len() {
            self.open_space_again(slot, world);
        }
        self.app_storage_restarted(world);
        self.ask_for_list(world);
        self.begin(world);
    }

    fn open_space_again(&mut self, slot: usize, world: &mut impl World) {
        let Some(occupant) = &self.slots[slot].occupant else { return };
        let stores = [Permission::Kv, Permission::Files].iter().any(|one| occupant.permissions.contains(*one));
        if let Some(app) = self.apps[occupant.app].as_ref().filter(|_| stores) {
            // If that fails, the app's requests are answered with an error.
            let _ = world.storage(&Ask::open_space(slot as u32 + 1, &app.installed.name, KV_BYTES, KV_KEYS));
        }
    }

    /// Something came from the root of trust.
    pub fn rot_reply(&mut self, reply: &rot::Reply, world: &mut impl World) {
        match self.loader.work.take_if(|work| work.awaited == Awaited::Rot(reply.token)) {
            Some(work) => {
                self.rot_step(work, reply, world);
                self.begin(world);
            }
            None => self.app_rot_reply(reply, world),
        }
    }

    /// The driver of the root of trust restarted: what was under way is lost.
    pub fn rot_restarted(&mut self, world: &mut impl World) {
        let waits = |work: &mut Work| matches!(work.awaited, Awaited::Rot(_));
        if let Some(work) = self.loader.work.take_if(waits) {
            self.go_on(work, Err(Failure::NoRootOfTrust(status::DOWN)), world);
        }
        self.app_rot_restarted(world);
        self.begin(world);
    }

    fn storage_step(&mut self, mut work: Work, reply: &storage::Reply, data: &[u8], world: &mut impl World) {
        let failed = reply.code != code::DONE;
        let outcome = match work.step {
            Step::MakingFolder if failed && reply.code != code::EXISTS => Err(Failure::Storage(reply.code)),
            Step::RemovingOld | Step::RemovingBundle if failed && reply.code != code::NOT_FOUND => {
                Err(Failure::Storage(reply.code))
            }
            Step::MakingFolder => self.write_part(&work, 0, world),
            Step::RemovingOld => {
                let (name, _) = work.app.clone().unwrap_or_default();
                let (new, path) = (bundle_path(&name, "new"), bundle_path(&name, "klb"));
                ask(Step::Renaming, &Ask::rename(&new, &path), world)
            }
            Step::RemovingBundle => self.removed(&mut work, world),
            // An app without a disk starts too, and its requests to store something fail.
            Step::OpeningSpace => self.measure(&work, world),
            _ if failed => Err(Failure::Storage(reply.code)),
            Step::Reading => self.take_part(&mut work, &reply.body(), data, world),
            Step::Writing(written) => self.write_part(&work, written, world),
            Step::Renaming => self.enter(&work, world),
            Step::Saving => self.saved(&work, world),
            Step::Erasing => Ok(Next::Done),
            Step::Verifying | Step::Counting | Step::Advancing | Step::Measuring => Ok(Next::Done),
        };
        self.go_on(work, outcome, world);
    }

    /// A part of the bundle was read.
    fn take_part(&mut self, work: &mut Work, file: &FileInfo, data: &[u8], world: &mut impl World) -> Outcome {
        let most = self.loader.staging.len().min(MAX_BUNDLE_BYTES);
        let bytes = usize::try_from(file.bytes).unwrap_or(usize::MAX);
        if bytes > most {
            return Err(Error::TooBig { bytes, most }.into());
        }
        let end = (work.staged + data.len()).min(bytes);
        let part = &data[..end - work.staged];
        self.loader.staging[work.staged..end].copy_from_slice(part);
        work.staged = end;
        if end == bytes {
            return self.verify(work, world);
        }
        if part.is_empty() {
            return Err(Error::Truncated { bytes: end, needed: bytes }.into());
        }
        let path = match &work.job {
            Job::Install { path, .. } => Path::try_from(path.as_str()).unwrap_or_default(),
            Job::Start { app, .. } => {
                bundle_path(&self.apps[*app].as_ref().ok_or(Failure::NoApp)?.installed.name, "klb")
            }
            _ => return Err(Failure::Incomplete),
        };
        read_part(&path, end, world)
    }

    /// The whole bundle is there: who signed it?
    fn verify(&mut self, work: &mut Work, world: &mut impl World) -> Outcome {
        let (envelope, ..) = Envelope::read(self.loader.staged(work))?;
        if let Job::Start { app, .. } = work.job
            && self.apps[app].as_ref().is_none_or(|app| app.installed.kid != envelope.kid)
        {
            return Err(Failure::OtherApp);
        }
        work.envelope = Some(envelope);
        let token = self.rot_token();
        self.ask_rot(
            Step::Verifying,
            rot::Request::verify(token, envelope.kid, envelope.digest, envelope.signature),
            world,
        )
    }

    fn rot_step(&mut self, mut work: Work, reply: &rot::Reply, world: &mut impl World) {
        let outcome = match (work.step, reply.status) {
            (Step::Verifying, status) => self.verified(&mut work, status, world),
            (Step::Advancing, status::ROLLBACK) => self.old_version(&work, reply),
            (_, status @ status::FIRST_OF_DRIVER..) => Err(Failure::NoRootOfTrust(status)),
            (Step::Counting, status::OK) => match reply.value() {
                Some(newest) => self.counted(&mut work, newest, world),
                None => Err(Failure::NoRootOfTrust(status::GARBLED)),
            },
            (Step::Advancing, status::OK) => match work.job {
                Job::Start { .. } => self.open_space(&work, world),
                _ => self.installed(&work, world),
            },
            (Step::Measuring, status::OK) => self.launch(&work, world),
            (_, status) => Err(Failure::RootOfTrust(status)),
        };
        self.go_on(work, outcome, world);
    }

    fn old_version(&self, work: &Work, reply: &rot::Reply) -> Outcome {
        let (_, version) = work.app.clone().unwrap_or_default();
        let newest = Version::from_number(reply.value().unwrap_or(u64::MAX));
        Err(Error::OldVersion { version, newest }.into())
    }

    /// The root of trust said whether the signature is good. From here on, the manifest means something.
    fn verified(&mut self, work: &mut Work, status: u32, world: &mut impl World) -> Outcome {
        let (envelope, manifest, _) = Envelope::read(self.loader.staged(work))?;
        let kid = envelope.kid;
        match status {
            status::OK => {}
            status::UNKNOWN_KEY => return Err(Error::UnknownPublisher { kid }.into()),
            status::REVOKED_KEY => return Err(Failure::Revoked(kid)),
            status::BAD_SIGNATURE => return Err(Error::BadSignature.into()),
            status => return Err(Failure::NoRootOfTrust(status)),
        }
        let manifest = Manifest::decode(manifest).map_err(Error::from)?;
        let known = self.find(&manifest.name);
        match work.job {
            Job::Start { app, .. } if known != Some(app) => return Err(Failure::OtherApp),
            Job::Install { .. } | Job::InstallUpload { .. } => {
                if let Some(known) = known.and_then(|known| self.apps[known].as_ref()) {
                    if known.installed.kid != kid {
                        return Err(Failure::OtherPublisher);
                    }
                    if known.state.slot().is_some() || known.state == State::Starting {
                        return Err(Failure::Running);
                    }
                } else if self.apps.iter().all(Option::is_some) {
                    return Err(Failure::TooMany);
                }
            }
            _ => {}
        }
        let counter = counter_id(&kid, &manifest.name);
        work.app = Some((manifest.name, manifest.version));
        let token = self.rot_token();
        self.ask_rot(Step::Counting, rot::Request::counter_read(token, counter), world)
    }

    /// The newest version is known: is this bundle fit for the device?
    fn counted(&mut self, work: &mut Work, newest: u64, world: &mut impl World) -> Outcome {
        let newest = (newest != 0).then(|| Version::from_number(newest));
        let (slot, bundle) = self.fitting_slot(work, newest)?;
        let models = self.find_models(&bundle.manifest.models).map_err(Failure::NoModel)?;
        debug_assert!(models.len() == bundle.manifest.models.len());
        let version = bundle.manifest.version;
        work.slot = slot;
        match work.job {
            Job::Start { .. } if newest.is_none_or(|newest| newest < version) => self.advance(work, world),
            Job::Start { .. } => self.open_space(work, world),
            _ => ask(Step::MakingFolder, &Ask::make_folder(FOLDER), world),
        }
    }

    /// The first free slot that the bundle fits, or any at all if it is only to be installed; else what is wrong with the
    /// bundle in the last one.
    fn fitting_slot(&self, work: &Work, newest: Option<Version>) -> Result<(usize, Bundle<'_>), Failure> {
        let starts = matches!(work.job, Job::Start { .. });
        let mut failure = Failure::NoSlot;
        for slot in (0..self.slots.len()).filter(|slot| !starts || self.slots[*slot].is_free()) {
            match self.loader.check(work, &self.limits(slot, newest)) {
                Ok(bundle) => return Ok((slot, bundle)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn advance(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        let (name, version) = work.app.clone().unwrap_or_default();
        let kid = work.envelope.map(|envelope| envelope.kid).unwrap_or_default();
        let token = self.rot_token();
        let request = rot::Request::counter_advance(token, counter_id(&kid, &name), version.number());
        self.ask_rot(Step::Advancing, request, world)
    }

    fn open_space(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        let (slot, bundle) = (work.slot, self.loader.checked(work)?);
        let permissions = bundle.manifest.permissions;
        let stores = [Permission::Kv, Permission::Files].iter().any(|one| permissions.contains(*one));
        if !stores {
            return self.measure(work, world);
        }
        let name = &bundle.manifest.name;
        ask(Step::OpeningSpace, &Ask::open_space(slot as u32 + 1, name, KV_BYTES, KV_KEYS), world)
    }

    /// What is about to run is written down where it cannot be taken back.
    fn measure(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        /// The register of apps: see [`rot::REGISTER_NAMES`].
        const REGISTER: usize = 4;
        let (name, _) = work.app.clone().unwrap_or_default();
        // The manifest's digest: the manifest names the digests of all the rest.
        let digest = work.envelope.map(|envelope| envelope.digest).unwrap_or_default();
        let token = self.rot_token();
        self.ask_rot(Step::Measuring, rot::Request::extend(token, REGISTER, &name, digest), world)
    }

    /// Everything is checked: the app begins.
    fn launch(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        let Job::Start { app, token } = work.job else { return Err(Failure::NoApp) };
        let now_ns = world.now_ns();
        let (slot, bundle) = (work.slot, self.loader.checked(work)?);
        let manifest = bundle.manifest.clone();
        let starts = self.apps[app].as_ref().ok_or(Failure::NoApp)?.counts.starts + 1;
        let info = self.info(slot, &bundle, starts);
        let memory = self.slots[slot].memory;
        memory.load(&bundle, &info);
        let mut occupant = Occupant::new(app, &memory, manifest.permissions, now_ns);
        occupant.models = self.find_models(&manifest.models).map_err(Failure::NoModel)?;
        self.slots[slot].occupant = Some(occupant);
        // The time that the sandbox used before is nobody's.
        let _ = world.cpu_us(slot);
        if let Some(entry) = &mut self.apps[app] {
            entry.state = State::Running(slot);
            entry.counts.starts = starts;
            entry.policy = manifest.restart;
            if token.is_some() {
                // Somebody decided this: what happened before no longer counts.
                entry.patience = Default::default();
            }
            let (name, version) = (&manifest.name, manifest.version);
            world.say(Level::Info, format_args!("{name} {version} started in slot {slot}"));
            entry.manifest = Some(manifest);
        }
        world.start(slot);
        Ok(Next::Done)
    }

    fn info(&self, slot: usize, bundle: &Bundle<'_>, starts: u64) -> Info {
        let (slot_entry, manifest) = (&self.slots[slot], &bundle.manifest);
        let version = manifest.version;
        let mut models = [[0; 32]; MODELS];
        for (to, name) in models.iter_mut().zip(&manifest.models) {
            *to = padded(name);
        }
        Info {
            magic: MAGIC,
            api_version: API_VERSION,
            app_api: manifest.api,
            entry: manifest.entry,
            stack_top: map::STACK_TOP,
            memory_start: map::DATA + bundle.program.data_bytes().next_multiple_of(16),
            memory_end: map::DATA + u64::from(manifest.memory_bytes),
            tensors_bytes: slot_entry.memory.tensors.bytes() as u64,
            timebase_hz: self.timebase_hz,
            starts,
            sandbox_stack_bytes: slot_entry.stack_bytes,
            permissions: manifest.permissions.bits(),
            slot: slot as u32,
            budget_us: slot_entry.budget_us,
            period_us: slot_entry.period_us,
            version: [version.major, version.minor, version.patch, 0],
            name: padded(&manifest.name),
            publisher: padded(&manifest.publisher),
            models,
        }
    }

    /// The next part of the new file, which replaces the old one only when all of it is written.
    fn write_part(&mut self, work: &Work, written: usize, world: &mut impl World) -> Outcome {
        let (name, _) = work.app.clone().unwrap_or_default();
        let staged = self.loader.staged(work);
        if written == staged.len() {
            return ask(Step::RemovingOld, &Ask::remove(&bundle_path(&name, "klb")), world);
        }
        let path = bundle_path(&name, "new");
        let end = staged.len().min(written + world.storage_room().min(MAX_TRANSFER));
        let part = &staged[written..end];
        let write = if written == 0 { Ask::replace(&path, part) } else { Ask::write(&path, written as u64, part) };
        ask(Step::Writing(end), &write, world)
    }

    /// The bundle has its place on the disk: the app is entered in the list.
    fn enter(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        let (_, manifest, _) = Envelope::read(self.loader.staged(work))?;
        let manifest = Manifest::decode(manifest).map_err(Error::from)?;
        let kid = work.envelope.map(|envelope| envelope.kid).unwrap_or_default();
        let known = self.find(&manifest.name);
        let place = known.or_else(|| self.apps.iter().position(Option::is_none)).ok_or(Failure::TooMany)?;
        let autostart = self.apps[place].as_ref().is_some_and(|app| app.installed.autostart);
        let Manifest { name, publisher, version, .. } = manifest;
        let installed = Installed { name, publisher, kid, version, autostart };
        match &mut self.apps[place] {
            Some(app) => app.installed = installed,
            empty => *empty = Some(App::new(installed)),
        }
        self.list = ListState::Ready;
        self.save(world)
    }

    fn save(&mut self, world: &mut impl World) -> Outcome {
        let bytes = catalogue::encode(self.apps.iter().flatten().map(|app| &app.installed));
        ask(Step::Saving, &Ask::kv_write(catalogue::KEY, &bytes), world)
    }

    fn saved(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        match work.job {
            Job::Install { .. } | Job::InstallUpload { .. } => self.advance(work, world),
            Job::Uninstall { erase: true, .. } => {
                let (name, _) = work.app.clone().unwrap_or_default();
                // A number that no slot has: there are fewer slots than spaces.
                const SPACE: u32 = storage::MAX_SPACES as u32 - 1;
                let _ = world.storage(&Ask::open_space(SPACE, &name, KV_BYTES, KV_KEYS));
                ask(Step::Erasing, &Ask::kv_erase().within(SPACE), world)
            }
            _ => Ok(Next::Done),
        }
    }

    fn installed(&mut self, work: &Work, world: &mut impl World) -> Outcome {
        let (name, version) = work.app.clone().unwrap_or_default();
        world.say(Level::Info, format_args!("{name} {version} installed"));
        Ok(Next::Done)
    }

    fn removed(&mut self, work: &mut Work, world: &mut impl World) -> Outcome {
        let Job::Uninstall { app, .. } = work.job else { return Ok(Next::Done) };
        let gone = self.apps[app].take().ok_or(Failure::NoApp)?;
        work.app = Some((gone.installed.name, gone.installed.version));
        self.save(world)
    }

    pub(crate) fn rot_token(&mut self) -> u64 {
        self.next_rot = self.next_rot.wrapping_add(1);
        self.next_rot
    }

    fn ask_rot(&mut self, step: Step, request: rot::Request, world: &mut impl World) -> Outcome {
        match world.rot(request) {
            true => Ok(Next::Wait(step, Awaited::Rot(request.token))),
            false => Err(Failure::NoRootOfTrust(status::DOWN)),
        }
    }
}

fn ask(step: Step, ask: &Ask<'_>, world: &mut impl World) -> Outcome {
    match world.storage(ask) {
        Ok(number) => Ok(Next::Wait(step, Awaited::Storage(number))),
        Err(storage::ClientError::Busy) => Err(Failure::Busy),
        Err(storage::ClientError::NotConnected | storage::ClientError::TooLarge) => Err(Failure::NoStorage),
    }
}

fn read_part(path: &str, from: usize, world: &mut impl World) -> Outcome {
    let room = world.storage_room().min(MAX_TRANSFER);
    ask(Step::Reading, &Ask::read(path, from as u64, room), world)
}
