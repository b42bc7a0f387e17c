//! What the debug configuration prints about a fault that nobody handles.

use crate::hart::Console;
use core::fmt::Write;
use kernel_core::{Fault, FaultKind, Frame, State};
use kernel_layout::PdInfo;

const NAMES: [&str; 32] = [
    "pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2",
    "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
const PAGE: u64 = 4096;

fn name(info: &PdInfo) -> &str {
    let length = info.name.iter().position(|byte| *byte == 0).unwrap_or(info.name.len());
    core::str::from_utf8(&info.name[..length]).unwrap_or("?")
}

/// Prints what a thread does, in one line.
pub fn thread(info: &PdInfo, state: State, is_out_of_time: bool, priority: u8) {
    let does = match state {
        State::Inactive => "stopped",
        State::Running if is_out_of_time => "ready, without budget",
        State::Running => "ready",
        State::BlockedOnSend => "waiting to send",
        State::BlockedOnReceive => "waiting to receive",
        State::BlockedOnReply => "waiting for a reply",
        State::BlockedOnNotification => "waiting for a notification",
    };
    // Writing to the firmware's console cannot fail.
    let _ = writeln!(Console, "{}: priority {priority}, {does}", name(info));
}

/// Prints who did what, where, and all registers.
pub fn fault(info: &PdInfo, frame: &Frame, fault: &Fault) {
    let name = name(info);
    let [first, second, third] = fault.words;
    let mut out = Console;
    // Writing to the firmware's console cannot fail.
    let _ = write!(out, "MON|ERROR: fault of protection domain '{name}' at pc {:#x}: ", frame.x[0]);
    let _ = match fault.kind {
        FaultKind::Cap => {
            let phase = if second != 0 { "receive" } else { "send" };
            let why = if third == 4 { "the pointer leads nowhere" } else { "there is no such capability" };
            writeln!(out, "capability {first:#x} cannot be used to {phase}, {why}")
        }
        FaultKind::UnknownSyscall => writeln!(out, "unknown system call {}", first as i64),
        FaultKind::UserException => writeln!(out, "{}", exception(first)),
        FaultKind::Vm => {
            let access = match third {
                1 => "execute",
                5 => "read",
                _ => "write",
            };
            let _ = writeln!(out, "may not {access} address {first:#x}");
            if (info.stack_bottom.saturating_sub(PAGE)..info.stack_bottom).contains(&first) {
                let _ = writeln!(out, "MON|ERROR: stack overflow: the stack ends at {:#x}", info.stack_bottom);
            }
            Ok(())
        }
        FaultKind::None => writeln!(out, "message with label {first} to the default fault handler"),
    };
    for (row, names) in NAMES.chunks(4).enumerate() {
        let _ = write!(out, "MON|ERROR:");
        for (column, name) in names.iter().enumerate() {
            let _ = write!(out, " {name:>3} {:#018x}", frame.x[row * 4 + column]);
        }
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "MON|ERROR: '{name}' is stopped");
}

fn exception(cause: u64) -> &'static str {
    match cause {
        0 => "misaligned instruction address",
        2 => "illegal instruction",
        3 => "breakpoint",
        4 => "misaligned load",
        6 => "misaligned store",
        _ => "unexpected exception",
    }
}
