//! The transport's registers (section 4.2.2) and the fields of a disk's configuration that are used (5.2.4).
#![allow(missing_docs, clippy::modulo_one, reason = "the macros make such items")]

use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{LocalRegisterCopy, register_bitfields, register_structs};

register_bitfields! [u32,
    /// How far the driver has set the device up (2.1).
    pub Status [
        ACKNOWLEDGE OFFSET(0) NUMBITS(1) [],
        DRIVER OFFSET(1) NUMBITS(1) [],
        DRIVER_OK OFFSET(2) NUMBITS(1) [],
        FEATURES_OK OFFSET(3) NUMBITS(1) [],
        NEEDS_RESET OFFSET(6) NUMBITS(1) [],
        FAILED OFFSET(7) NUMBITS(1) []
    ],
    /// Why it interrupts (4.2.2).
    pub Interrupt [
        USED_BUFFER OFFSET(0) NUMBITS(1) [],
        CONFIGURATION OFFSET(1) NUMBITS(1) []
    ],
    /// Features 0 to 31 of a disk (5.2.3).
    pub DiskFeatures [
        READ_ONLY OFFSET(5) NUMBITS(1) [],
        FLUSH OFFSET(9) NUMBITS(1) []
    ],
    /// Features 32 to 63, of every device (6).
    pub DeviceFeatures [
        VERSION_1 OFFSET(0) NUMBITS(1) []
    ]
];

register_structs! {
    /// The registers as they lie in memory.
    pub Block {
        (0x000 => magic: ReadOnly<u32>),
        (0x004 => version: ReadOnly<u32>),
        (0x008 => device_id: ReadOnly<u32>),
        (0x00c => _vendor_id: ReadOnly<u32>),
        (0x010 => device_features: ReadOnly<u32>),
        (0x014 => device_features_select: WriteOnly<u32>),
        (0x018 => _reserved0),
        (0x020 => driver_features: WriteOnly<u32>),
        (0x024 => driver_features_select: WriteOnly<u32>),
        (0x028 => _reserved1),
        (0x030 => queue_select: WriteOnly<u32>),
        (0x034 => queue_size_max: ReadOnly<u32>),
        (0x038 => queue_size: WriteOnly<u32>),
        (0x03c => _reserved2),
        (0x044 => queue_ready: ReadWrite<u32>),
        (0x048 => _reserved3),
        (0x050 => queue_notify: WriteOnly<u32>),
        (0x054 => _reserved4),
        (0x060 => interrupt_status: ReadOnly<u32, Interrupt::Register>),
        (0x064 => interrupt_acknowledge: WriteOnly<u32, Interrupt::Register>),
        (0x068 => _reserved5),
        (0x070 => status: ReadWrite<u32, Status::Register>),
        (0x074 => _reserved6),
        (0x080 => queue_descriptors: [WriteOnly<u32>; 2]),
        (0x088 => _reserved7),
        (0x090 => queue_driver: [WriteOnly<u32>; 2]),
        (0x098 => _reserved8),
        (0x0a0 => queue_device: [WriteOnly<u32>; 2]),
        (0x0a8 => _reserved9),
        (0x0fc => configuration_generation: ReadOnly<u32>),
        (0x100 => capacity: [ReadOnly<u32>; 2]),
        (0x108 => @END),
    }
}

/// What the device says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The letters `virt`.
    pub magic: u32,
    /// Of the transport.
    pub version: u32,
    /// 2 for a disk, 0 if there is nothing behind the transport.
    pub device: u32,
}

/// Where the three parts of a queue lie, as the device sees memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    /// The table of descriptors.
    pub descriptors: u64,
    /// The ring that the driver fills.
    pub driver: u64,
    /// The ring that the device fills.
    pub device: u64,
}

/// The accesses to registers that the driver makes; tests have a device of their own behind them.
pub trait Registers {
    /// What the device is.
    fn identity(&self) -> Identity;
    /// Reads how far it is set up.
    fn status(&self) -> LocalRegisterCopy<u32, Status::Register>;
    /// Says how far it is set up; zero resets it.
    fn set_status(&self, value: FieldValue<u32, Status::Register>);
    /// Features 0 to 31 that it offers.
    fn disk_features(&self) -> LocalRegisterCopy<u32, DiskFeatures::Register>;
    /// Features 32 to 63 that it offers.
    fn device_features(&self) -> LocalRegisterCopy<u32, DeviceFeatures::Register>;
    /// Says which features the driver uses.
    fn set_features(
        &self,
        disk: FieldValue<u32, DiskFeatures::Register>,
        device: FieldValue<u32, DeviceFeatures::Register>,
    );
    /// The most descriptors of the queue of requests; 0 if it has none.
    fn queue_size_max(&self) -> u32;
    /// Gives the device the queue of requests.
    fn set_queue(&self, size: u32, addresses: QueueAddresses);
    /// Tells it that there are requests in the queue.
    fn notify(&self);
    /// Why it interrupts.
    fn interrupt(&self) -> LocalRegisterCopy<u32, Interrupt::Register>;
    /// Ends the interrupt for these reasons.
    fn acknowledge(&self, reasons: LocalRegisterCopy<u32, Interrupt::Register>);
    /// Changes when the configuration does.
    fn generation(&self) -> u32;
    /// Half of the disk's size in sectors: 0 is the lower one.
    fn capacity(&self, half: usize) -> u32;
}

fn halves(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

impl Registers for &Block {
    fn identity(&self) -> Identity {
        Identity { magic: self.magic.get(), version: self.version.get(), device: self.device_id.get() }
    }

    fn status(&self) -> LocalRegisterCopy<u32, Status::Register> {
        self.status.extract()
    }

    fn set_status(&self, value: FieldValue<u32, Status::Register>) {
        self.status.write(value);
    }

    fn disk_features(&self) -> LocalRegisterCopy<u32, DiskFeatures::Register> {
        self.device_features_select.set(0);
        LocalRegisterCopy::new(self.device_features.get())
    }

    fn device_features(&self) -> LocalRegisterCopy<u32, DeviceFeatures::Register> {
        self.device_features_select.set(1);
        LocalRegisterCopy::new(self.device_features.get())
    }

    fn set_features(
        &self,
        disk: FieldValue<u32, DiskFeatures::Register>,
        device: FieldValue<u32, DeviceFeatures::Register>,
    ) {
        for (word, value) in [(0, disk.value), (1, device.value)] {
            self.driver_features_select.set(word);
            self.driver_features.set(value);
        }
    }

    fn queue_size_max(&self) -> u32 {
        self.queue_select.set(0);
        if self.queue_ready.get() != 0 { 0 } else { self.queue_size_max.get() }
    }

    fn set_queue(&self, size: u32, addresses: QueueAddresses) {
        self.queue_select.set(0);
        self.queue_size.set(size);
        let parts = [
            (&self.queue_descriptors, addresses.descriptors),
            (&self.queue_driver, addresses.driver),
            (&self.queue_device, addresses.device),
        ];
        for (registers, address) in parts {
            registers.iter().zip(halves(address)).for_each(|(register, half)| register.set(half));
        }
        self.queue_ready.set(1);
    }

    fn notify(&self) {
        self.queue_notify.set(0);
    }

    fn interrupt(&self) -> LocalRegisterCopy<u32, Interrupt::Register> {
        self.interrupt_status.extract()
    }

    fn acknowledge(&self, reasons: LocalRegisterCopy<u32, Interrupt::Register>) {
        self.interrupt_acknowledge.set(reasons.get());
    }

    fn generation(&self) -> u32 {
        self.configuration_generation.get()
    }

    fn capacity(&self, half: usize) -> u32 {
        self.capacity[half & 1].get()
    }
}
