//! Tries what a protection domain may not do, one attack a start.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use sel4_microkit::{DEBUG, NullHandler, protection_domain};
use test_pds::attack::{Attack, BEGUN, Instruction, SURVIVED, attack, word};
use test_pds::raw::{self, Call, message_word, number};
use test_pds::shared;

/// `ret`, for whoever may execute data: then the attack returns and is seen to have been survived.
static DATA: AtomicU64 = AtomicU64::new(0x8082);
static CONSTANT: u64 = 0x8082;

/// Names the address for the judge.
fn aim(address: u64) -> u64 {
    shared()[word::ADDRESS].store(address, Ordering::Relaxed);
    address
}

fn load(address: u64) {
    // SAFETY: this is meant to fault; where it does not, a reading harms nothing.
    unsafe { asm!("ld zero, 0({})", in(reg) aim(address), options(nostack)) }
}

fn store(address: u64) {
    // SAFETY: this is meant to fault; where it does not, the test has failed and this program is of no more use.
    unsafe { asm!("sd zero, 0({})", in(reg) aim(address), options(nostack)) }
}

fn jump(address: u64) {
    // SAFETY: as for `store`; data that can be executed hold a return.
    unsafe { asm!("jalr {}", in(reg) aim(address), clobber_abi("C")) }
}

#[allow(unconditional_recursion, reason = "that is the attack")]
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = black_box([depth; 30]);
    overflow(depth + 1) + black_box(room)[0]
}

fn privileged(instruction: Instruction) {
    // SAFETY: each of these is illegal in user mode; where one is not, the test has failed.
    unsafe {
        match instruction {
            Instruction::ReadStatus => asm!("csrr {}, sstatus", out(reg) _),
            Instruction::WriteSatp => asm!("csrw satp, zero"),
            Instruction::WriteTrapVector => asm!("csrw stvec, zero"),
            Instruction::WriteInterruptEnable => asm!("csrw sie, zero"),
            Instruction::WriteTimer => asm!("csrw 0x14d, zero"),
            Instruction::ReadMachineStatus => asm!("csrr {}, mstatus", out(reg) _),
            Instruction::WriteCounter => asm!("csrw instret, zero"),
            Instruction::SupervisorReturn => asm!("sret"),
            Instruction::MachineReturn => asm!("mret"),
            Instruction::FenceTranslations => asm!("sfence.vma"),
            Instruction::Zero => asm!(".4byte 0"),
        }
    }
}

/// Any system call; the runtime's message registers are not in use here.
fn syscall(number: i64, a: [u64; 7], t0: u64) {
    // SAFETY: this program keeps no reference to the message registers.
    unsafe { raw::syscall(number, Call { a, t0 }) };
}

/// Runs `try_it` for every index from where the last start ended; `try_it` returns whether there was something to try.
fn sweep(try_it: impl Fn(u64) -> bool) {
    let progress = &shared()[word::PROGRESS];
    loop {
        let index = progress.load(Ordering::Relaxed);
        progress.store(index + 1, Ordering::Relaxed);
        if !try_it(index) {
            return;
        }
    }
}

/// Numbers that no kernel serves in this configuration. Debug kernels have more, some of which end the machine.
fn unknown_call(index: u64) -> bool {
    let number = match index {
        0..400 => index as i64 - 200,
        400..463 => 1 << (index - 400),
        463..526 => -(1 << (index - 463)) - 12,
        526 => i64::MIN,
        527 => i64::MAX,
        _ => return false,
    };
    let first_unknown = if DEBUG { -18 } else { -12 };
    if !(first_unknown + 1..0).contains(&number) {
        aim(number as u64);
        syscall(number, [1; 7], 1);
    }
    true
}

/// Every small capability pointer, every root slot with a few slots in it, every single bit, every low mask.
fn forged_pointer(index: u64) -> Option<u64> {
    Some(match index {
        0..1024 => index,
        1024..1280 => ((index - 1024) / 4) << 58 | [0, 1, 2, 511][(index % 4) as usize],
        1280..1344 => 1 << (index - 1280),
        1344..1408 => u64::MAX >> (index - 1344),
        _ => return None,
    })
}

fn forge(call: i64, index: u64) -> bool {
    // Each pointer with the reply object and without, with an empty message and with a long one.
    let Some(pointer) = forged_pointer(index / 4) else { return false };
    let reply = if index & 1 == 0 { 4 } else { pointer };
    let message = if index & 2 == 0 { 0 } else { message_word(index & 0x3f, 7, 3, 127) };
    let destination = if call == number::NB_SEND_WAIT { pointer } else { reply };
    syscall(call, [pointer, message, 1, 2, 3, 4, destination], pointer);
    true
}

/// Labels 0..64 of every capability that Microkit may give, with several lengths.
fn invoke(index: u64) -> bool {
    const LABELS: u64 = 64;
    const POINTERS: [u64; 12] = [1, 2, 3, 4, 5, 6, 7, 10, 74, 141, 202, 3 << 58];
    let pointer = index / LABELS / 4;
    let Some(pointer) = POINTERS.get(pointer as usize) else { return false };
    let count = [0, 2, 4, 120][(index / LABELS % 4) as usize];
    let call = if index & 1 == 0 { number::CALL } else { number::SEND };
    for extra_caps in [0, 3] {
        syscall(call, [*pointer, message_word(index % LABELS, 0, extra_caps, count), 1, 1, 0x20_0000, 1, 4], 0);
    }
    true
}

/// Calls the victim with nonsense in one word of the IPC buffer after the other.
fn wild_buffer(index: u64) -> bool {
    const VICTIM: u64 = 74;
    const VALUES: [u64; 4] = [u64::MAX, 0x3f_ffff_e000, 0xffff_ffff_8020_0000, 1];
    let (buffer_word, value) = (index / 4, VALUES[(index % 4) as usize]);
    if buffer_word >= 128 {
        return false;
    }
    for buffer_word in buffer_word..128 {
        // SAFETY: this program keeps no reference to the message registers.
        unsafe { raw::poke_ipc_buffer(buffer_word as usize, value) };
    }
    syscall(number::CALL, [VICTIM, message_word(value >> 12, 7, 3, 127), value, value, value, value, value], value);
    true
}

fn run(attack: Attack) {
    match attack {
        Attack::Load(address) => load(address),
        Attack::Store(address) => store(address),
        Attack::Jump(address) => jump(address),
        Attack::StoreCode => store(run as *const () as u64),
        Attack::StoreConstant => store(&raw const CONSTANT as u64),
        Attack::JumpData => jump(&raw const DATA as u64),
        Attack::JumpConstant => jump(&raw const CONSTANT as u64),
        Attack::JumpStack => jump(&raw const *black_box(&0x8082_u64) as u64),
        Attack::Overflow => drop(black_box(overflow(0))),
        Attack::Privileged(instruction) => privileged(instruction),
        Attack::UnknownCalls => sweep(unknown_call),
        Attack::Forge(call) => sweep(|index| forge(call, index)),
        Attack::Invoke => sweep(invoke),
        Attack::WildBuffer => sweep(wild_buffer),
    }
}

#[protection_domain]
fn init() -> NullHandler {
    shared()[word::STAGE].store(BEGUN, Ordering::Relaxed);
    if let Some((attack, _)) = attack(shared()[word::ATTACK].load(Ordering::Relaxed) as usize) {
        run(attack);
        shared()[word::STAGE].store(SURVIVED, Ordering::Relaxed);
    }
    NullHandler::new()
}
