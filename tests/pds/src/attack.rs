//! What the attacker tries and what must come of it; the attacker and its judge both read this table.

/// Words of the shared page.
pub mod word {
    /// Index of the attack in [`ATTACKS`](super::ATTACKS), from the judge.
    pub const ATTACK: usize = 0;
    /// How far the attacker got: [`BEGUN`](super::BEGUN) or [`SURVIVED`](super::SURVIVED).
    pub const STAGE: usize = 1;
    /// The address that the attacker is about to touch.
    pub const ADDRESS: usize = 2;
    /// Within a sweep, what is tried now; a restart goes on behind it.
    pub const PROGRESS: usize = 3;
}

/// The attacker is at it.
pub const BEGUN: u64 = 1;
/// The attack is over, and the attacker still runs.
pub const SURVIVED: u64 = 2;

/// Something that a protection domain may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Read an address.
    Load(u64),
    /// Write an address.
    Store(u64),
    /// Go on at an address.
    Jump(u64),
    /// Write the program's own code.
    StoreCode,
    /// Write a constant.
    StoreConstant,
    /// Go on in writable data.
    JumpData,
    /// Go on in a constant.
    JumpConstant,
    /// Go on in the stack.
    JumpStack,
    /// Use more stack than there is.
    Overflow,
    /// A privileged instruction.
    Privileged(Instruction),
    /// Every number of a system call that does not exist.
    UnknownCalls,
    /// Every capability pointer in one system call, whatever it may be.
    Forge(i64),
    /// Every invocation of the capabilities that the attacker does have.
    Invoke,
    /// Calls with every word of the IPC buffer wild.
    WildBuffer,
}

/// Instructions for the kernel or the firmware alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Read `sstatus`.
    ReadStatus,
    /// Write `satp`: another address space.
    WriteSatp,
    /// Write `stvec`: another trap handler.
    WriteTrapVector,
    /// Write `sie`.
    WriteInterruptEnable,
    /// Write `stimecmp`.
    WriteTimer,
    /// Read `mstatus`.
    ReadMachineStatus,
    /// Write the instruction counter.
    WriteCounter,
    /// Return from a trap to user mode.
    SupervisorReturn,
    /// Return from a trap of the firmware.
    MachineReturn,
    /// Flush the translation buffers.
    FenceTranslations,
    /// The word of all zeros.
    Zero,
}

/// What must come of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A fault of memory at [`word::ADDRESS`], with this kind of access: 1 fetch, 5 load, 7 store.
    Memory(u64),
    /// A fault of memory in the page below the stack.
    Guard,
    /// An illegal instruction.
    Illegal,
    /// Each try ends in a fault of an unknown system call.
    EachUnknown,
    /// Each try ends in a fault, an error, nothing, or in waiting for ever; the judge only looks at the neighbours.
    Harmless,
}

const FETCH: u64 = 1;
const LOAD: u64 = 5;
const STORE: u64 = 7;

/// Where the victim has its secret, and the attacker nothing.
pub const SECRET: u64 = 0x400_0000;
/// Where the attacker has a region that it may only read.
pub const READ_ONLY: u64 = 0x500_0000;
/// Where the attacker has the page that it shares with the judge, readable and writable.
pub const SHARED: u64 = 0x300_0000;
/// Lowest address of the attacker's stack.
pub const STACK_BOTTOM: u64 = 0x3f_ffff_d000 - 0x2000;

/// Addresses at which no protection domain has anything: kernels' windows, physical addresses, the edges.
const FORBIDDEN: [u64; 16] = [
    0,
    0x1000,
    SECRET,
    0x1000_0000,
    0x8000_0000,
    0x8020_0000,
    0x3f_ffff_d000,
    0x3f_ffff_f000,
    0x40_0000_0000,
    0x8000_0000_0000_0000,
    0xffff_ffc0_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_8020_0000,
    0xffff_ffff_b000_0000,
    0xffff_ffff_b100_0000,
    0xffff_ffff_ffff_f000,
];

const SINGLE: [(Attack, Expected); 19] = [
    (Attack::Store(READ_ONLY), Expected::Memory(STORE)),
    (Attack::Jump(READ_ONLY), Expected::Memory(FETCH)),
    (Attack::Jump(SHARED), Expected::Memory(FETCH)),
    (Attack::StoreCode, Expected::Memory(STORE)),
    (Attack::StoreConstant, Expected::Memory(STORE)),
    (Attack::JumpData, Expected::Memory(FETCH)),
    (Attack::JumpConstant, Expected::Memory(FETCH)),
    (Attack::JumpStack, Expected::Memory(FETCH)),
    (Attack::Privileged(Instruction::ReadStatus), Expected::Illegal),
    (Attack::Privileged(Instruction::WriteSatp), Expected::Illegal),
    (Attack::Privileged(Instruction::WriteTrapVector), Expected::Illegal),
    (Attack::Privileged(Instruction::WriteInterruptEnable), Expected::Illegal),
    (Attack::Privileged(Instruction::WriteTimer), Expected::Illegal),
    (Attack::Privileged(Instruction::ReadMachineStatus), Expected::Illegal),
    (Attack::Privileged(Instruction::WriteCounter), Expected::Illegal),
    (Attack::Privileged(Instruction::SupervisorReturn), Expected::Illegal),
    (Attack::Privileged(Instruction::MachineReturn), Expected::Illegal),
    (Attack::Privileged(Instruction::FenceTranslations), Expected::Illegal),
    (Attack::Privileged(Instruction::Zero), Expected::Illegal),
];

const SWEEPS: [(Attack, Expected); 15] = [
    (Attack::Overflow, Expected::Guard),
    (Attack::UnknownCalls, Expected::EachUnknown),
    (Attack::Forge(-1), Expected::Harmless),
    (Attack::Forge(-2), Expected::Harmless),
    (Attack::Forge(-3), Expected::Harmless),
    (Attack::Forge(-4), Expected::Harmless),
    (Attack::Forge(-5), Expected::Harmless),
    (Attack::Forge(-6), Expected::Harmless),
    (Attack::Forge(-7), Expected::Harmless),
    (Attack::Forge(-8), Expected::Harmless),
    (Attack::Forge(-9), Expected::Harmless),
    (Attack::Forge(-10), Expected::Harmless),
    (Attack::Forge(-11), Expected::Harmless),
    (Attack::Invoke, Expected::Harmless),
    (Attack::WildBuffer, Expected::Harmless),
];

/// The attack with an index; `None` behind the last.
pub fn attack(index: usize) -> Option<(Attack, Expected)> {
    if let Some(address) = FORBIDDEN.get(index / 3) {
        return Some(match index % 3 {
            0 => (Attack::Load(*address), Expected::Memory(LOAD)),
            1 => (Attack::Store(*address), Expected::Memory(STORE)),
            _ => (Attack::Jump(*address), Expected::Memory(FETCH)),
        });
    }
    let index = index - 3 * FORBIDDEN.len();
    SINGLE.get(index).or_else(|| SWEEPS.get(index.checked_sub(SINGLE.len())?)).copied()
}
