//! The device made of a clip.

use protocols::audio::{BLOCK, BLOCK_NS};
use protocols::clip::{Clip, Header, MAGIC};
use zerocopy::IntoBytes;

use crate::{Capture, ClipDevice, DEPTH, Period};

/// A clip of samples that count up.
pub fn counting(samples: u32) -> Clip<'static> {
    let header = Header { magic: MAGIC, sample_rate: 16_000, samples, ..Header::default() };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend((0..samples).flat_map(|number| (number as i16).to_le_bytes()));
    Clip::parse(bytes.leak()).unwrap()
}

#[test]
fn periods_fill_in_real_time() {
    let mut device = ClipDevice::new(Some(counting(10_000)));
    assert_eq!(device.filled(99), 0);
    device.start(0, 1000);
    assert_eq!(device.filled(500), 0, "a clock before the start");
    assert_eq!(device.filled(999 + BLOCK_NS), 0);
    assert_eq!(device.filled(1000 + BLOCK_NS), 1);
    assert_eq!(device.filled(1000 + 5 * BLOCK_NS), 5);
    assert_eq!(device.filled(1000), 5, "never less than before");
    let mut samples = [0; BLOCK];
    assert_eq!(device.read(4, &mut samples), Period::Samples { taken_ns: 1000 + 5 * BLOCK_NS });
    assert_eq!((samples[0], samples[BLOCK - 1]), (4 * BLOCK as i16, 5 * BLOCK as i16 - 1));
}

#[test]
fn what_is_not_read_is_forgotten() {
    let mut device = ClipDevice::new(Some(counting(10_000)));
    device.start(0, 0);
    let mut samples = [0; BLOCK];
    let filled = device.filled(20 * BLOCK_NS);
    assert_eq!(device.read(filled - DEPTH - 1, &mut samples), Period::Overwritten);
    assert!(matches!(device.read(filled - DEPTH, &mut samples), Period::Samples { .. }));
}

#[test]
fn it_ends_with_the_clip() {
    let mut device = ClipDevice::new(Some(counting(700)));
    device.start(0, 0);
    let mut samples = [7; BLOCK];
    device.filled(5 * BLOCK_NS);
    assert!(matches!(device.read(2, &mut samples), Period::Samples { .. }));
    assert_eq!((samples[59], samples[60]), (699, 0), "silence fills the last period");
    assert_eq!(device.read(3, &mut samples), Period::End);
    device.start(690, 0);
    assert!(matches!(device.read(0, &mut samples), Period::Samples { .. }));
    assert_eq!((samples[9], samples[10]), (699, 0));
    device.start(u64::MAX, 0);
    assert_eq!(device.read(0, &mut samples), Period::End);
    let mut without = ClipDevice::new(None);
    without.start(0, 0);
    assert_eq!(without.read(0, &mut samples), Period::End);
}
