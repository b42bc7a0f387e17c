//! The operations, and the traits of embedded-io.

use embedded_io::{Error, ErrorKind, Read, ReadReady, Write, WriteReady};

use super::device::{Device, Fault};
use crate::registers::{LineStatus, Registers};
use crate::uart::{Interrupts, LineErrors, TRANSMIT_BYTES, TimedOut, Uart};

#[test]
fn setting_up_turns_queues_on_and_interrupts_off() {
    let device = Device::default();
    device.0.enabled.set(0xff);
    device.arrive(b'x');
    let mut uart = Uart::new(device.clone());
    assert_eq!((device.0.enabled.get(), device.0.line_control.get()), (0, 3));
    assert_eq!((device.0.fifo.get(), device.0.modem.get()), (0x81, 0x0b));
    assert_eq!(uart.try_receive(), Some(b'x'), "what was typed before is not lost");
    uart.set_interrupts(Interrupts { received: true, transmit_empty: true });
    assert_eq!(device.0.enabled.get(), 0b111);
    device.0.accesses.set(0);
    uart.set_interrupts(Interrupts { received: true, transmit_empty: true });
    assert_eq!(device.0.accesses.get(), 0);
}

#[test]
fn the_speed_is_set_before_the_form_of_a_character() {
    let device = Device::default();
    let _ = Uart::with_divisor(device.clone(), 1);
    assert_eq!((device.0.divisor.get(), device.0.line_control.get(), device.0.enabled.get()), (1, 3, 0));
}

#[test]
fn the_transmitter_never_overflows() {
    let device = Device::default();
    let mut uart = Uart::new(device.clone());
    let bytes: Vec<u8> = (0..40).collect();
    assert_eq!(uart.write(&bytes), Ok(TRANSMIT_BYTES));
    assert_eq!((uart.write_ready(), uart.try_transmit(0)), (Ok(false), false));
    device.send(15);
    assert_eq!(uart.write_ready(), Ok(false), "only an empty one takes sixteen");
    device.send(1);
    assert_eq!((uart.flush(), uart.write(&bytes[16..20]), uart.write(&bytes[20..])), (Ok(()), Ok(4), Ok(12)));
    device.send(16);
    assert_eq!(*device.0.line.borrow(), bytes[..32]);
}

#[test]
fn waiting_is_bounded() {
    let device = Device::default();
    let mut uart = Uart::new(device.clone());
    assert_eq!((uart.read_ready(), uart.read(&mut [])), (Ok(false), Ok(0)));
    assert_eq!(uart.read(&mut [0; 4]), Err(TimedOut));
    device.0.fault.set(Some(Fault::NeverEmpty));
    assert_eq!((uart.write(b"x"), uart.flush(), uart.write(b"")), (Err(TimedOut), Err(TimedOut), Ok(0)));
    assert_eq!((TimedOut.kind(), TimedOut.to_string().is_empty()), (ErrorKind::TimedOut, false));
    b"abc".iter().for_each(|byte| device.arrive(*byte));
    let mut buffer = [0; 8];
    assert_eq!((uart.read_ready(), uart.read(&mut buffer)), (Ok(true), Ok(3)));
    assert_eq!(&buffer[..3], b"abc");
    device.0.fault.set(Some(Fault::AlwaysReady));
    assert_eq!(uart.read(&mut buffer), Ok(8));
}

#[test]
fn errors_are_counted_wherever_the_status_is_read() {
    let device = Device::default();
    let mut uart = Uart::new(device.clone());
    for byte in 0..20 {
        device.arrive(byte);
    }
    assert_eq!(uart.write_ready(), Ok(true));
    device.error(LineStatus::PARITY::SET.value | LineStatus::FRAMING::SET.value);
    assert_eq!(uart.try_receive(), Some(0));
    device.error(LineStatus::BREAK::SET.value);
    assert_eq!(uart.read_ready(), Ok(true));
    assert_eq!(uart.errors(), LineErrors { overruns: 1, parity: 1, framing: 1, breaks: 1 });
    assert!(!device.line_status().is_set(LineStatus::OVERRUN));
}
