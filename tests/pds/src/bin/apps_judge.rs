//! Installs, starts and stops apps by way of the app manager, some of which mean harm, and watches what becomes of them.
#![no_std]
#![no_main]

use bundle::{Envelope, Manifest};
use heapless::{String, Vec};
use protocols::apps::{self, Answer, Request, kind, op};
use protocols::{console, rot, storage};
use ring::Link;
use sel4_microkit::{NullHandler, counters, memory_region_symbol, protection_domain, var};
use test_pds::fakes::{Disk, Rot, Screen};
use test_pds::{TICKS_PER_MS, raw, say, verdict};

/// Each bundle has so many bytes of the region, zeros behind its end.
const ROOM: usize = 0x10000;

struct Judge {
    apps: Link<Request, Answer>,
    disk: Disk,
    rot: Rot,
    screen: Screen,
    token: u32,
    /// The answer to the last command.
    lines: Vec<String<512>, 32>,
}

/// The bytes of a bundle that is followed by zeros.
fn whole(bytes: &'static [u8]) -> (&'static [u8], Envelope, Manifest) {
    let (envelope, manifest, parts) = Envelope::read(bytes).expect("a bundle");
    let manifest = Manifest::decode(manifest).expect("a manifest");
    let length = bytes.len() - parts.len() + manifest.program.bytes as usize;
    (&bytes[..length], envelope, manifest)
}

#[protection_domain(stack_size = 0x80000)]
fn init() -> NullHandler {
    verdict::become_judge();
    macro_rules! region {
        ($start:ident, $size:ident) => {{
            let start = memory_region_symbol!($start: *mut u8);
            // SAFETY: the composer maps a region of this size there. What is shared is used by both sides in turns.
            unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), *var!($size: usize = 0)) }
        }};
    }
    let bundles: &'static [u8] = region!(bundles, bundles_size);
    let disk = Disk {
        link: ring::link!(storage: storage::Reply, storage::Request, storage::PROTOCOL, storage::VERSION, required)
            .expect("a link"),
        data: region!(storage_data, storage_data_size),
        contents: region!(files, files_size),
        files: [const { None }; test_pds::fakes::FILES],
        keys: Vec::new(),
        is_broken: false,
    };
    let rot = Rot {
        link: ring::link!(rot: rot::Reply, rot::Request, rot::PROTOCOL, rot::VERSION, required).expect("a link"),
        kid: [0; 8],
        good: Vec::new(),
        counters: Vec::new(),
        measured: 0,
        is_down: false,
    };
    let screen = Screen {
        link: ring::link!(console: console::FromConsole, console::FromClient, console::PROTOCOL, console::VERSION, required)
            .expect("a link"),
        lines: Vec::new(),
        partial: String::new(),
    };
    let apps = ring::link!(apps: Request, Answer, apps::PROTOCOL, apps::VERSION, required).expect("a link");
    let mut judge = Judge { apps, disk, rot, screen, token: 0, lines: Vec::new() };
    judge.insert(bundles);
    judge.refusals();
    judge.good_app();
    judge.harm();
    judge.restarts();
    judge.nothing_is_left();
    verdict::pass()
}

impl Judge {
    /// Puts the bundles on the disk, as files of their app's names, and enrols their publisher.
    fn insert(&mut self, bundles: &'static [u8]) {
        for bytes in bundles.chunks(ROOM) {
            let (bytes, envelope, manifest) = whole(bytes);
            let mut path: String<64> = String::new();
            path.push_str(&manifest.name).expect("room");
            path.push_str(".klb").expect("room");
            self.disk.put(&path, bytes);
            self.rot.kid = envelope.kid;
            self.rot.good.push((envelope.digest, envelope.signature)).expect("room");
        }
    }

    fn serve(&mut self) {
        self.disk.serve();
        self.rot.serve();
        self.screen.serve();
        let _ = self.apps.poll();
    }

    /// Sends a command and waits for its end. True if it was done; `lines` are the answer.
    fn run(&mut self, number: u32, text: &str, argument: u32) -> bool {
        self.token += 1;
        let request = Request::new(number, self.token, argument, text.as_bytes()).expect("a short text");
        self.serve();
        self.apps.push(&request).expect("room for a request");
        self.lines.clear();
        let mut partial: String<512> = String::new();
        loop {
            self.serve();
            while let Some(answer) = self.apps.pop().expect("a session") {
                assert_eq!(answer.token, self.token);
                if answer.kind == kind::DONE {
                    return answer.failed == 0;
                }
                let _ = partial.push_str(core::str::from_utf8(answer.bytes()).expect("text"));
                if answer.last != 0 {
                    let _ = self.lines.push(core::mem::take(&mut partial));
                }
            }
            raw::wait_input();
        }
    }

    /// A command that must be done.
    fn must(&mut self, number: u32, text: &str) {
        let done = self.run(number, text, 0);
        assert!(done, "{number} {text}: {:?}", self.lines);
    }

    /// A command that must be refused for this reason.
    fn refused(&mut self, number: u32, text: &str, why: &str) {
        let done = self.run(number, text, 0);
        assert!(!done && self.lines.iter().any(|line| line.contains(why)), "{text}: {:?}, not {why}", self.lines);
    }

    /// Waits until a line of the console has this text. Its budget leaves the processor to the others meanwhile.
    fn await_line(&mut self, text: &str) {
        let give_up = counters::rdtime() + 20_000 * TICKS_PER_MS;
        loop {
            self.serve();
            if self.screen.lines.iter().any(|line| line.contains(text)) {
                return;
            }
            let lines = &self.screen.lines;
            assert!(counters::rdtime() < give_up, "no line with '{text}': {lines:?}");
        }
    }

    /// Installs and starts an app.
    fn launch(&mut self, name: &str) {
        let mut path: String<64> = String::new();
        path.push_str(name).expect("room");
        path.push_str(".klb").expect("room");
        self.must(op::INSTALL, &path);
        self.screen.lines.clear();
        self.must(op::START, name);
    }

    fn state(&mut self, name: &str) -> String<512> {
        self.must(op::STATUS, name);
        self.lines[1].clone()
    }

    /// Each fault in a bundle has its own error, and so has a device that cannot check it.
    fn refusals(&mut self) {
        let hello = self.disk.files.iter().position(|file| file.as_ref().is_some_and(|f| f.0 == "hello.klb"));
        let hello = hello.expect("hello");
        let length = self.disk.files[hello].as_ref().map_or(0, |file| file.1);
        let mut bytes: Vec<u8, ROOM> = Vec::from_slice(&self.disk.contents(hello)[..length]).expect("room");
        self.refused(op::INSTALL, "nothing.klb", "not found");
        self.refused(op::START, "hello", "no such app");
        self.disk.put("x.klb", &bytes[..length - 1]);
        self.refused(op::INSTALL, "x.klb", "truncated");
        let faults = [
            (0, "not a bundle"),
            (10, "unknown publisher"),
            (116, "the signature is wrong"),
            (130, "the manifest was altered"),
            (length - 1, "the program was altered"),
        ];
        for (at, why) in faults {
            bytes[at] ^= 1;
            self.disk.put("x.klb", &bytes);
            bytes[at] ^= 1;
            self.refused(op::INSTALL, "x.klb", why);
        }
        self.rot.is_down = true;
        self.refused(op::INSTALL, "hello.klb", "signatures cannot be checked");
        self.rot.is_down = false;
        self.disk.is_broken = true;
        self.refused(op::INSTALL, "hello.klb", "the disk failed");
        self.disk.is_broken = false;
        say!("refusals are right");
    }

    fn good_app(&mut self) {
        self.launch("hello");
        self.await_line("hello: hello from hello 1.0.0, in slot 0");
        self.await_line("hello exited with 0");
        assert_eq!(self.state("hello"), "state      exited (0)");
        self.launch("caller");
        self.await_line("PASSED, started 1 times");
        self.refused(op::START, "caller", "it runs");
        self.refused(op::INSTALL, "caller.klb", "it runs");
        self.must(op::STOP, "caller");
        assert_eq!(self.state("caller"), "state      stopped");
        self.must(op::START, "caller");
        self.await_line("PASSED, started 2 times");
        self.must(op::CAPABILITIES, "caller");
        assert!(self.lines.iter().any(|line| line.starts_with("models") && line.ends_with("no")));
        self.must(op::STOP, "caller");
        assert!(self.rot.measured >= 3, "every start is measured");
        // A version that was overtaken.
        for (_, value) in &mut self.rot.counters {
            *value += 1;
        }
        self.refused(op::START, "hello", "old version: 1.0.0, and 1.0.1 was installed already");
        for (_, value) in &mut self.rot.counters {
            *value -= 1;
        }
        say!("a good app has what it may have");
    }

    /// Apps that mean harm end by themselves or can be stopped, and others go on meanwhile.
    fn harm(&mut self) {
        self.launch("caller");
        self.await_line("PASSED");
        self.launch("spin");
        self.await_line("spins");
        self.must(op::STOP, "spin");
        say!("spin is over");
        for (name, why) in [
            ("overflow", "overflow faulted: its stack of 65536 bytes is full"),
            ("wild", "wild faulted: may not write address 0xdead0000, pc 0x1000"),
            ("malformed", "malformed faulted: the counts of its ring make no sense"),
            ("probe", "probe faulted: has no capability 0x"),
        ] {
            self.launch(name);
            self.await_line(why);
            assert_eq!(self.state(name), "state      faulted");
            say!("{name} is over");
            self.must(op::UNINSTALL, name);
        }
        self.launch("flood");
        self.await_line("flood sends too many messages; it is held back");
        self.must(op::STATUS, "caller");
        assert!(self.lines[1].starts_with("state      running"), "{:?}", self.lines);
        self.must(op::STOP, "flood");
        self.must(op::STOP, "caller");
        say!("harm stays where it is done");
    }

    /// An app whose manifest wants it is started again, later each time.
    fn restarts(&mut self) {
        self.launch("panics");
        self.await_line("panics faulted: illegal instruction");
        self.await_line("starts again in 500 ms");
        self.await_line("starts again in 1000 ms");
        self.must(op::STOP, "panics");
        say!("restarts come as the manifest wants");
    }

    fn nothing_is_left(&mut self) {
        for name in ["hello", "caller", "spin", "flood", "panics"] {
            self.must(op::UNINSTALL, name);
        }
        self.must(op::LIST, "");
        assert_eq!(self.lines[0], "no apps are installed");
        assert!(self.disk.files.iter().flatten().all(|(path, _)| !path.starts_with("bundles/")));
    }
}
