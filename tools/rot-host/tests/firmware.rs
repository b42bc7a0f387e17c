//! The firmware on its machine. `KINGLET_ROT_FIRMWARE` names the ELF file.

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rot_host::{Line, LineError, Machine, Setup};
use rot_protocol::data::{FLAG_PROVISIONED, Measurement};
use rot_protocol::{command, status};

/// The firmware, and a folder of the test's own.
fn setup(test: &str) -> (PathBuf, PathBuf) {
    let firmware = std::env::var_os("KINGLET_ROT_FIRMWARE").expect("KINGLET_ROT_FIRMWARE names the firmware");
    let folder = std::env::temp_dir().join(format!("kinglet-rot-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    (firmware.into(), folder)
}

fn start(firmware: &std::path::Path, folder: &std::path::Path, provisioning: bool) -> (Machine, Line) {
    let (machine, socket) = Machine::start(Setup { firmware, folder, provisioning }).unwrap();
    (machine, Line::open(socket).unwrap())
}

fn number(bytes: Vec<u8>) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn services_work_and_the_state_stays() {
    let (firmware, folder) = setup("services");
    let (blank, mut line) = start(&firmware, &folder, false);
    assert!(matches!(line.request(command::KEYS, &[]), Err(LineError::Refused(status::NOT_PROVISIONED))));
    drop(blank);
    let (strapped, mut line) = start(&firmware, &folder, true);
    let key = line.info().unwrap().public_key;
    drop(strapped);

    let (_machine, mut line) = start(&firmware, &folder, false);
    let info = line.info().unwrap();
    assert_eq!((info.public_key, info.flags), (key, FLAG_PROVISIONED));
    assert_eq!(line.request(command::SELF_TEST, &[]).unwrap()[4..], [0; 4]);
    line.extend(&Measurement::new(1, "kernel", [1; 32])).unwrap();
    assert_eq!(line.log().unwrap().0[0].name(), "kernel");
    let sealed = line.request(command::SEAL, b"\x0fsecret").unwrap();
    assert_eq!(line.request(command::UNSEAL, &sealed).unwrap(), b"secret");
    let quote = line.request(command::QUOTE, &[5; 32]).unwrap();
    assert_eq!(quote[..6], [0xd2, 0x84, 0x43, 0xa1, 0x01, 0x27]);
    let draws: Vec<_> = (0..2).map(|_| line.request(command::RANDOM, &[64, 0]).unwrap()).collect();
    assert_ne!(draws[0], draws[1]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn noise_costs_nothing_but_itself() {
    let (firmware, folder) = setup("noise");
    let (_machine, socket) =
        Machine::start(Setup { firmware: &firmware, folder: &folder, provisioning: true }).unwrap();
    let mut noise = socket.try_clone().unwrap();
    let mut line = Line::open(socket).unwrap();
    for round in 0..10u64 {
        let bytes: Vec<u8> =
            (0..2000u64).map(|n| ((n + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
        noise.write_all(&bytes).unwrap();
        assert_eq!(number(line.request(command::COUNTER_INCREMENT, &[round as u8; 32]).unwrap()), 1);
    }
    assert!(line.info().unwrap().bad_frames.get() > 0);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Kills the machine at moments spread over its writes. What it has answered is there when it comes back.
#[test]
fn killed_at_any_moment_it_loses_nothing_it_has_told() {
    let (firmware, folder) = setup("killed");
    let (machine, mut line) = start(&firmware, &folder, true);
    let key = line.info().unwrap().public_key;
    drop(machine);
    let mut told = 0;
    for round in 0..12u64 {
        let (mut machine, mut line) = start(&firmware, &folder, false);
        assert_eq!(line.info().unwrap().public_key, key);
        let now = number(line.request(command::COUNTER_READ, &[1; 32]).unwrap());
        assert!(now == told || now == told + 1, "{now} after {told}");
        told = now;
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_micros(3_000 + round * 7_919));
                machine.kill();
            });
            while let Ok(value) = line.request(command::COUNTER_INCREMENT, &[1; 32]) {
                told = number(value);
            }
        });
    }
    assert!(told > 0);
    std::fs::remove_dir_all(folder).unwrap();
}
