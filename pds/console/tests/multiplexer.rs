//! The multiplexer between simulated clients and a simulated UART: no line is lost uncounted, no client waits for
//! another, and the input line stays in one piece.

use console::console::{Console, Links, Slot};
use proptest::prelude::*;
use protocols::console::*;
use std::collections::VecDeque;
use zerocopy::FromBytes;

const RING: usize = 32;

#[derive(Default)]
struct Ring(VecDeque<FromClient>);

impl Outbox for Ring {
    fn reserve(&mut self, entries: usize) -> bool {
        RING - self.0.len() >= entries
    }
    fn push(&mut self, entry: FromClient) {
        assert!(self.0.len() < RING);
        self.0.push_back(entry);
    }
}

#[derive(Default)]
struct World {
    clients: [Ring; MAX_CLIENTS],
    to_owner: VecDeque<FromConsole>,
    /// What the UART can take now.
    uart_room: usize,
    screen: Vec<u8>,
    keys: VecDeque<u8>,
}

impl Links for World {
    fn take(&mut self, slot: usize) -> Option<FromClient> {
        self.clients[slot].0.pop_front()
    }
    fn owner_has_room(&mut self) -> bool {
        self.to_owner.len() < RING
    }
    fn send_owner(&mut self, entry: FromConsole) {
        assert!(self.to_owner.len() < RING);
        self.to_owner.push_back(entry);
    }
    fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.uart_room);
        self.uart_room -= taken;
        self.screen.extend_from_slice(&bytes[..taken]);
        taken
    }
    fn written(&mut self) -> bool {
        true
    }
    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let count = bytes.len().min(self.keys.len());
        bytes[..count].iter_mut().zip(self.keys.drain(..count)).for_each(|(to, key)| *to = key);
        count
    }
}

const NAMES: [&str; MAX_CLIENTS] = ["shell", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"];

fn console() -> Console<'static> {
    let mut console = Console::new();
    for (slot, name) in NAMES.iter().enumerate() {
        console.set_slot(slot, Slot { name, pd: slot as u64 });
    }
    console
}

fn settle(console: &mut Console, world: &mut World) {
    while console.turn(world) {}
}

/// The status of each slot, as the console tells the terminal's owner.
fn status(console: &mut Console, world: &mut World) -> Vec<(Level, ClientStatus)> {
    world.to_owner.clear();
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::QUERY).with_argument(77));
    settle(console, world);
    let done = world.to_owner.pop_back().unwrap();
    assert_eq!((done.kind, done.argument), (kind::DONE, 77));
    let told = world.to_owner.drain(..).map(|entry| {
        assert_eq!(entry.kind, kind::STATUS);
        (Level::from_raw(entry.level).unwrap(), ClientStatus::read_from_bytes(entry.text()).unwrap())
    });
    told.collect()
}

fn lines_of<'a>(screen: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    screen.split("\r\n").filter_map(move |line| line.rsplit('\r').next().unwrap().strip_prefix(prefix))
}

proptest! {
    #[test]
    fn every_line_is_printed_or_counted(
        steps in prop::collection::vec((1usize..MAX_CLIENTS, 0usize..40, 0usize..300, 0usize..20_000), 1..80),
    ) {
        let (mut console, mut world) = (console(), World::default());
        let mut writers: Vec<Lines> = (0..MAX_CLIENTS).map(|_| Lines::new()).collect();
        let mut sent = [0u64; MAX_CLIENTS];
        for (client, burst, length, uart) in steps {
            for _ in 0..burst {
                let text = format!("{} {}", sent[client], "x".repeat(length));
                writers[client].print(&mut world.clients[client], Level::Info, format_args!("{text}"));
                sent[client] += 1;
            }
            world.uart_room = uart;
            settle(&mut console, &mut world);
        }
        world.uart_room = usize::MAX;
        settle(&mut console, &mut world);
        for (writer, ring) in writers.iter_mut().zip(&mut world.clients) {
            writer.tell_drops(ring);
        }
        settle(&mut console, &mut world);
        let told = status(&mut console, &mut world);
        let screen = String::from_utf8(world.screen).unwrap();
        for client in 1..MAX_CLIENTS {
            let status = told[client].1;
            prop_assert_eq!(sent[client], status.printed + status.dropped);
            let numbers: Vec<u64> = lines_of(&screen, &format!("{}: ", NAMES[client]))
                .map(|line| line.split(' ').next().unwrap().parse().unwrap())
                .collect();
            prop_assert!(numbers.is_sorted_by(|one, two| one < two), "in order, none twice");
            prop_assert_eq!(numbers.len() as u64, status.printed);
            let reported: u64 = lines_of(&screen, "console: dropped ")
                .filter(|line| line.ends_with(&format!(" of {}", NAMES[client])))
                .map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap())
                .sum();
            prop_assert_eq!(reported, status.dropped);
        }
    }

    #[test]
    fn hostile_entries_do_no_harm(raw in prop::collection::vec((0usize..MAX_CLIENTS, prop::array::uniform32(any::<u8>())), 0..200)) {
        let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
        for (slot, bytes) in raw {
            let mut entry = [b'y'; size_of::<FromClient>()];
            entry[..32].copy_from_slice(&bytes);
            // The owner may do more (see the tests of transfers); nobody else may.
            entry[0] %= if slot == TERMINAL_OWNER { kind::RAW_BEGIN } else { kind::RAW_END + 2 };
            world.clients[slot].push(FromClient::read_from_bytes(&entry).unwrap());
            settle(&mut console, &mut world);
            world.to_owner.clear();
        }
        let screen = String::from_utf8(world.screen).unwrap();
        let bare = screen.replace("\x1b[H\x1b[2J", "").replace("\x1b[31m", "").replace("\x1b[33m", "").replace("\x1b[0m", "");
        prop_assert!(!bare.contains('\x1b'));
    }

    #[test]
    fn keys_arrive_in_order_and_wait_for_their_reader(keys in prop::collection::vec(any::<u8>(), 0..8000)) {
        let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
        world.keys.extend(&keys);
        let mut received = Vec::new();
        for _ in 0..keys.len().div_ceil(CHUNK * RING) + 1 {
            settle(&mut console, &mut world);
            received.extend(world.to_owner.drain(..).flat_map(|entry| entry.text().to_vec()));
        }
        prop_assert_eq!(received, keys);
    }
}

#[test]
fn a_flood_does_not_hold_up_a_quiet_client() {
    let (mut console, mut world) = (console(), World::default());
    let (mut flooder, mut quiet) = (Lines::new(), Lines::new());
    for round in 0..1000 {
        while flooder.has_room(&mut world.clients[1]) {
            flooder.print(&mut world.clients[1], Level::Info, format_args!("{}", "f".repeat(1000)));
        }
        quiet.print(&mut world.clients[2], Level::Info, format_args!("{round}"));
        // The UART takes about two of the flooder's lines a round.
        world.uart_room = 2048;
        settle(&mut console, &mut world);
    }
    world.uart_room = usize::MAX;
    settle(&mut console, &mut world);
    let told = status(&mut console, &mut world);
    assert_eq!((told[2].1.printed, told[2].1.dropped), (1000, 0));
    assert!(told[1].1.printed > 1000);
}

#[test]
fn lines_go_above_the_input_line() {
    let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
    let view = |text: &[u8]| FromClient::new(kind::VIEW).with_text(text).with_argument(text.len() as u32);
    let mut log = Lines::new();
    world.clients[0].push(view(b"> he"));
    settle(&mut console, &mut world);
    log.print(&mut world.clients[3], Level::Warning, format_args!("hot"));
    settle(&mut console, &mut world);
    world.clients[0].push(view(b"> help"));
    world.clients[0].push(FromClient::new(kind::VIEW_DONE));
    let mut shell = Lines::new();
    shell.output(&mut world.clients[0], format_args!("no help"));
    settle(&mut console, &mut world);
    let screen = String::from_utf8(world.screen).unwrap();
    assert_eq!(screen, "> he\r    \rc: warning: hot\r\n> help\r\nno help\r\n");
}

#[test]
fn what_broke_off_does_not_run_into_what_follows() {
    let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
    world.clients[0].push(FromClient::new(kind::VIEW).with_text(b"> he").with_argument(4));
    settle(&mut console, &mut world);
    console.say_interrupted(format_args!("again"));
    settle(&mut console, &mut world);
    assert_eq!(String::from_utf8(world.screen).unwrap(), "> he\r\nconsole: again\r\n> he");
}

#[test]
fn levels_hold_lines_back_and_only_the_owner_sets_them() {
    let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
    let mut log = Lines::new();
    let level = |level: Level, slot: u32| FromClient {
        level: level as u8,
        ..FromClient::new(kind::SET_LEVEL).with_argument(slot)
    };
    log.print(&mut world.clients[1], Level::Debug, format_args!("hidden"));
    world.clients[2].push(level(Level::Off, ALL_CLIENTS));
    settle(&mut console, &mut world);
    log.print(&mut world.clients[1], Level::Info, format_args!("shown"));
    settle(&mut console, &mut world);
    world.clients[0].push(level(Level::Error, ALL_CLIENTS));
    world.clients[0].push(level(Level::Debug, 2));
    settle(&mut console, &mut world);
    log.print(&mut world.clients[1], Level::Warning, format_args!("hidden"));
    log.print(&mut world.clients[1], Level::Error, format_args!("shown"));
    log.print(&mut world.clients[2], Level::Debug, format_args!("shown"));
    // Not the terminal's owner: an ordinary line.
    log.output(&mut world.clients[2], format_args!("shown"));
    settle(&mut console, &mut world);
    let told = status(&mut console, &mut world);
    assert_eq!((told[1].0, told[1].1.printed, told[1].1.filtered), (Level::Error, 2, 2));
    assert_eq!((told[2].0, told[2].1.printed, told[0].0), (Level::Debug, 2, Level::Info));
    assert_eq!(
        String::from_utf8(world.screen).unwrap(),
        "a: shown\r\nb: debug: shown\r\na: error: shown\r\nb: shown\r\n"
    );
}

#[test]
fn a_flush_is_answered_when_all_is_out() {
    let (mut console, mut world) = (console(), World::default());
    let mut shell = Lines::new();
    shell.output(&mut world.clients[0], format_args!("bye"));
    world.clients[0].push(FromClient::new(kind::FLUSH).with_argument(5));
    settle(&mut console, &mut world);
    assert!(world.to_owner.is_empty());
    world.uart_room = 100;
    settle(&mut console, &mut world);
    let done = world.to_owner.pop_front().unwrap();
    assert_eq!((done.kind, done.argument, &world.screen[..]), (kind::DONE, 5, &b"bye\r\n"[..]));
}

#[test]
fn during_a_file_transfer_nothing_else_goes_out() {
    let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
    let mut lines = Lines::new();
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::VIEW).with_text(b"> "));
    settle(&mut console, &mut world);
    world.screen.clear();
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::RAW_BEGIN));
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::RAW).with_text(b"\x06C"));
    // A client that is not the owner cannot write raw bytes, nor end the transfer.
    world.clients[1].push(FromClient::new(kind::RAW_END));
    world.clients[1].push(FromClient::new(kind::RAW).with_text(b"evil"));
    lines.print(&mut world.clients[2], Level::Error, format_args!("waits"));
    settle(&mut console, &mut world);
    console.say(format_args!("waits too"));
    settle(&mut console, &mut world);
    assert!(world.screen.ends_with(b"\x06C"), "{:?}", String::from_utf8_lossy(&world.screen));
    assert!(!String::from_utf8_lossy(&world.screen).contains("waits"));
    world.screen.clear();
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::RAW_END));
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::RAW).with_text(b"late"));
    settle(&mut console, &mut world);
    let screen = String::from_utf8_lossy(&world.screen).into_owned();
    assert!(screen.contains("b: error: waits") && screen.contains("dropped 1 lines of its own"), "{screen}");
    assert!(!screen.contains("late") && !screen.contains("evil"), "{screen}");
}

#[test]
fn a_transfer_ends_with_its_owner() {
    let (mut console, mut world) = (console(), World { uart_room: usize::MAX, ..World::default() });
    let mut lines = Lines::new();
    world.clients[TERMINAL_OWNER].push(FromClient::new(kind::RAW_BEGIN));
    settle(&mut console, &mut world);
    lines.print(&mut world.clients[1], Level::Info, format_args!("hello"));
    settle(&mut console, &mut world);
    assert!(world.screen.is_empty());
    console.restarted(TERMINAL_OWNER);
    settle(&mut console, &mut world);
    assert!(String::from_utf8_lossy(&world.screen).contains("a: hello"));
}
