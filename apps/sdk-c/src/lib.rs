//! The functions of `include/kinglet.h`: each is a method of [`sdk::App`] with C's types. The header says what they do; what
//! they need of their caller is what C needs everywhere: pointers to so many bytes, and texts that end with a zero byte.
//!
//! An app has one thread and no interrupts, so the one [`App`] is never used twice at a time.
#![no_std]

use core::ffi::{CStr, c_char, c_int, c_uint};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use sdk::{App, Error, Event, Job, Level, Permission, Run, call};

const NO_ERROR: c_int = 0;

/// Set by the start, before C's `main` begins; valid until the app ends.
static APP: AtomicPtr<App> = AtomicPtr::new(ptr::null_mut());

#[cfg(target_os = "none")]
mod start {
    use super::{APP, App, Ordering, c_int};

    unsafe extern "C" {
        /// The app's own; its value is the exit code.
        safe fn main() -> c_int;
    }

    sdk::main!(run);

    fn run(app: &mut App) -> i64 {
        APP.store(app, Ordering::Relaxed);
        main().into()
    }
}

/// Gives the app to `use_it`.
fn with<T>(use_it: impl FnOnce(&mut App) -> T) -> T {
    // SAFETY: the start has set it to an `App` that outlives `main`, nothing else refers to it while `main` runs, and no
    // function here calls C, so there is no second reference.
    use_it(unsafe { &mut *APP.load(Ordering::Relaxed) })
}

fn status(outcome: Result<(), Error>) -> c_int {
    outcome.map_or_else(|error| error.status() as c_int, |()| NO_ERROR)
}

/// Stores a call's value where C wants it.
///
/// # Safety
/// `place` is null or valid for writing.
unsafe fn give<T>(outcome: Result<T, Error>, place: *mut T) -> c_int {
    status(outcome.map(|value| {
        if !place.is_null() {
            // SAFETY: as the caller promises.
            unsafe { place.write(value) };
        }
    }))
}

/// # Safety
/// `text` ends with a zero byte, and stays as it is for as long as it is used.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Error::BadArgument)
}

/// # Safety
/// `length` bytes at `start` can be read, and stay as they are for as long as they are used; without any, `start` may be null.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: as the caller promises.
    if length == 0 { &[] } else { unsafe { core::slice::from_raw_parts(start, length) } }
}

/// # Safety
/// `length` bytes at `start` can be read and written, by nobody else while they are used; without any, `start` may be null.
unsafe fn bytes_mut<'a>(start: *mut u8, length: usize) -> &'a mut [u8] {
    // SAFETY: as the caller promises.
    if length == 0 { &mut [] } else { unsafe { core::slice::from_raw_parts_mut(start, length) } }
}

/// Puts a text with a zero byte into `room` bytes, cut off if it is longer; gives its whole length.
///
/// # Safety
/// As [`bytes_mut`].
unsafe fn copy_text(text: &str, place: *mut u8, room: usize) -> usize {
    // SAFETY: as the caller promises.
    let place = unsafe { bytes_mut(place, room) };
    if let Some(last) = room.checked_sub(1) {
        let length = text.len().min(last);
        place[..length].copy_from_slice(&text.as_bytes()[..length]);
        place[length] = 0;
    }
    text.len()
}

/// `struct kinglet_event`.
#[derive(Debug, Default)]
#[repr(C)]
pub struct CEvent {
    /// `enum kinglet_event_kind`.
    pub kind: c_int,
    /// Number of the timer or the job, or of the keywords before.
    pub number: u32,
    /// Times the timer expired, or how sure the keyword is.
    pub count: u64,
    /// When the keyword was detected.
    pub time_ns: u64,
    /// Keywords that were dropped before.
    pub dropped: u64,
    /// The keyword, with a zero byte at its end.
    pub word: [u8; 17],
    /// How the job ended.
    pub status: c_int,
    /// How long it took.
    pub run: CRun,
}

/// `struct kinglet_run`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CRun {
    /// Nanoseconds in the queue.
    pub waited_ns: u64,
    /// Nanoseconds of computing.
    pub compute_ns: u64,
    /// Instructions.
    pub instructions: u64,
}

impl From<Run> for CRun {
    fn from(run: Run) -> CRun {
        CRun { waited_ns: run.waited_ns, compute_ns: run.compute_ns, instructions: run.instructions }
    }
}

impl From<Event> for CEvent {
    fn from(event: Event) -> CEvent {
        match event {
            Event::Timer { id, times } => CEvent { kind: 1, number: id as u32, count: times, ..CEvent::default() },
            Event::Stop => CEvent { kind: 2, ..CEvent::default() },
            Event::Keyword { word, number, confidence, time_ns, dropped } => {
                let (number, count) = (number as u32, confidence.into());
                let mut event = CEvent { kind: 3, number, count, time_ns, dropped, ..CEvent::default() };
                // One byte more than the longest word has: a zero stays.
                event.word.iter_mut().zip(word.as_str().bytes()).for_each(|(to, byte)| *to = byte);
                event
            }
            Event::Job { job, outcome } => CEvent {
                kind: 4,
                number: job.number(),
                status: status(outcome.map(|_| ())),
                run: outcome.map(CRun::from).unwrap_or_default(),
                ..CEvent::default()
            },
        }
    }
}

/// `struct kinglet_model_info`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CModelInfo {
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of the output.
    pub output_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

macro_rules! functions {
    ($($(#[$docs:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            $(#[$docs])*
            ///
            /// # Safety
            /// Pointers are as the header asks for them.
            // Some have no pointers, and then need nothing of their caller.
            #[allow(unused_unsafe)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
                // SAFETY: the caller gives pointers as the header asks for them, which is what the helpers need.
                unsafe { $body }
            }
        )*
    };
}

functions! {
    /// The app's name.
    fn kinglet_name(place: *mut u8, room: usize) -> usize { with(|app| copy_text(app.name(), place, room)) }

    /// Its publisher.
    fn kinglet_publisher(place: *mut u8, room: usize) -> usize { with(|app| copy_text(app.publisher(), place, room)) }

    /// Its version.
    fn kinglet_version(place: *mut u16) {
        for (index, part) in with(|app| app.version()).into_iter().enumerate() {
            place.add(index).write(part);
        }
    }

    /// How often it was started.
    fn kinglet_starts() -> u64 { with(|app| app.starts()) }

    /// The slot that it is in.
    fn kinglet_slot() -> c_uint { with(|app| app.info().slot) }

    /// Whether the manifest asks for a permission, by name.
    fn kinglet_may(permission: *const c_char) -> bool {
        let permission = text(permission).ok().and_then(Permission::from_name);
        permission.is_some_and(|permission| with(|app| app.may(permission)))
    }

    /// An error in words, which stay.
    fn kinglet_status_text(number: c_int) -> *const c_char { app_abi::status::c_text(number as u32).as_ptr() }

    /// Prints a line.
    fn kinglet_log(level: c_int, line: *const c_char) -> c_int {
        let level = match level as u64 {
            call::LEVEL_ERROR => Level::Error,
            call::LEVEL_WARNING => Level::Warning,
            call::LEVEL_INFO => Level::Info,
            call::LEVEL_DEBUG => Level::Debug,
            _ => return status(Err(Error::BadArgument)),
        };
        status(text(line).and_then(|line| with(|app| app.log(level, format_args!("{line}")))))
    }

    /// Nanoseconds since the machine's start.
    fn kinglet_now_ns() -> u64 { with(|app| app.now_ns()) }

    /// Sets a timer to expire once.
    fn kinglet_set_timer(id: c_uint, delay_ns: u64) -> c_int {
        status(with(|app| app.set_timer(id as usize, delay_ns)))
    }

    /// Sets a timer to expire again and again.
    fn kinglet_set_periodic(id: c_uint, period_ns: u64) -> c_int {
        status(with(|app| app.set_periodic(id as usize, period_ns)))
    }

    /// Cancels a timer.
    fn kinglet_cancel_timer(id: c_uint, cancelled: *mut bool) -> c_int {
        give(with(|app| app.cancel_timer(id as usize)), cancelled)
    }

    /// Random bytes.
    fn kinglet_random(place: *mut u8, length: usize) -> c_int {
        status(with(|app| app.random(bytes_mut(place, length))))
    }

    /// Begins or ends the delivery of keywords.
    fn kinglet_listen(wanted: bool) -> c_int { status(with(|app| app.listen(wanted))) }

    /// Waits for whatever comes first.
    fn kinglet_wait(event: *mut CEvent) { event.write(with(App::wait).into()) }

    /// What has come already.
    fn kinglet_poll(event: *mut CEvent) -> bool {
        let polled = with(App::poll);
        let came = polled.is_some();
        if let Some(polled) = polled {
            event.write(polled.into());
        }
        came
    }

    /// Reads a value.
    fn kinglet_kv_read(key: *const c_char, value: *mut u8, room: usize, length: *mut usize) -> c_int {
        give(text(key).and_then(|key| with(|app| app.kv_read(key, bytes_mut(value, room)))), length)
    }

    /// Writes a value.
    fn kinglet_kv_write(key: *const c_char, value: *const u8, length: usize) -> c_int {
        status(text(key).and_then(|key| with(|app| app.kv_write(key, bytes(value, length)))))
    }

    /// Removes a key.
    fn kinglet_kv_delete(key: *const c_char) -> c_int {
        status(text(key).and_then(|key| with(|app| app.kv_delete(key))))
    }

    /// Lists keys.
    fn kinglet_kv_list(next: *mut u64, list: *mut u8, room: usize, length: *mut usize) -> c_int {
        let listed = with(|app| app.kv_list(next.read(), bytes_mut(list, room)));
        give(listed.map(|(length, after)| { next.write(after); length }), length)
    }

    /// Reads a part of a file.
    fn kinglet_file_read(name: *const c_char, offset: u64, place: *mut u8, room: usize, length: *mut usize) -> c_int {
        give(text(name).and_then(|name| with(|app| app.file_read(name, offset, bytes_mut(place, room)))), length)
    }

    /// Writes a part of a file.
    fn kinglet_file_write(name: *const c_char, offset: u64, place: *const u8, length: usize) -> c_int {
        status(text(name).and_then(|name| with(|app| app.file_write(name, offset, bytes(place, length)))))
    }

    /// Removes a file.
    fn kinglet_file_remove(name: *const c_char) -> c_int {
        status(text(name).and_then(|name| with(|app| app.file_remove(name))))
    }

    /// The length of a file.
    fn kinglet_file_size(name: *const c_char, size: *mut u64) -> c_int {
        give(text(name).and_then(|name| with(|app| app.file_size(name))), size)
    }

    /// Lists files.
    fn kinglet_file_list(next: *mut u64, list: *mut u8, room: usize, length: *mut usize) -> c_int {
        let listed = with(|app| app.file_list(next.read(), bytes_mut(list, room)));
        give(listed.map(|(length, after)| { next.write(after); length }), length)
    }

    /// The number of a model.
    fn kinglet_model(name: *const c_char, model: *mut c_uint) -> c_int {
        let found = text(name).and_then(|name| with(|app| app.model(name)).ok_or(Error::NotFound));
        give(found.map(|number| number as c_uint), model)
    }

    /// What a model takes and gives.
    fn kinglet_model_info(model: c_uint, info: *mut CModelInfo) -> c_int {
        let told = with(|app| app.model_info(model as usize));
        give(told.map(|told| CModelInfo {
            input_bytes: told.input_bytes, output_bytes: told.output_bytes, macs: told.macs
        }), info)
    }

    /// The memory shared with the model runner.
    fn kinglet_tensors(length: *mut usize) -> *mut u8 {
        let tensors = with(|app| app.tensors());
        length.write(tensors.len());
        // Atomic bytes are bytes that may be written through a shared reference.
        tensors.as_ptr().cast_mut().cast()
    }

    /// Submits a job.
    fn kinglet_submit(model: c_uint, input_at: usize, output_at: usize, limit_ns: u64, job: *mut u32) -> c_int {
        give(with(|app| app.submit(model as usize, input_at, output_at, limit_ns)).map(Job::number), job)
    }

    /// Ends a job.
    fn kinglet_cancel(job: u32) -> c_int { status(with(|app| app.cancel(Job::of_number(job)))) }

    /// Runs a model and waits.
    fn kinglet_infer(model: c_uint, input_at: usize, output_at: usize, limit_ns: u64, run: *mut CRun) -> c_int {
        give(with(|app| app.infer(model as usize, input_at, output_at, limit_ns)).map(CRun::from), run)
    }

    /// Ends the app.
    fn kinglet_exit(code: i64) -> ! { with(|app| app.exit(code)) }
}
