//! The device: its state, its phase, and what each command does.

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use rot_protocol::data::{
    Advance, Counter, Digest, FLAG_CORRUPT, FLAG_PROVISIONED, FLAG_SELF_TEST_FAILED, FLAG_STORAGE_FAILED, FLAG_STRAP,
    Info, LogHead, Measurement, PHASE_BOOT, PHASE_RUN, SELF_TESTS, SelfTest, Verify,
};
use rot_protocol::{MAX_RANDOM, MAX_REPLY_DATA, command, frame, status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::measure::{Measurements, Refused};
use crate::random::Random;
use crate::state::Record;
use crate::storage::{Flash, Found, Store};
use crate::{seal, self_test, sha256, token};

/// What the machine tells the device at its start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The provisioning strap is set: keys may be made, enrolled and revoked before the boot ends.
    pub strap: bool,
    /// As much entropy as the machine has; zeros if it has none.
    pub entropy: [u8; 32],
    /// SHA-256 of the firmware.
    pub implementation_id: Digest,
    /// Version of the firmware.
    pub version: [u8; 3],
}

/// What the flash has for this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Provisioned,
    Blank,
    Damaged,
}

/// The root of trust.
pub struct Device<F> {
    start: Start,
    store: Store<F>,
    record: Record,
    condition: Condition,
    random: Random,
    boot_seed: [u8; 32],
    booting: bool,
    measurements: Measurements,
    self_test_failed: u32,
    storage_failed: bool,
    /// The seed in the flash is another one than this start's, so randomness may be given out.
    seeded: bool,
}

/// Where an answer's data goes: [`MAX_REPLY_DATA`] bytes.
pub type Out = [u8; MAX_REPLY_DATA];

/// A status with the length of the data, or the status alone.
type Answer = Result<usize, u32>;

impl<F: Flash> Device<F> {
    /// Starts with what is in `flash`. With the strap set, a blank flash gets a new device.
    pub fn new(flash: F, start: Start) -> Self {
        let mut store = Store::new(flash);
        let mut record = Record::blank();
        let found = store.load(&mut record);
        let number = record.starts.get().wrapping_add(1);
        let (random, next_seed) = Random::start(&record.random_seed, &start.entropy, number);
        let mut device = Self {
            start,
            store,
            record,
            condition: match found {
                Found::Record => Condition::Provisioned,
                Found::Blank => Condition::Blank,
                Found::Damaged => Condition::Damaged,
            },
            random,
            boot_seed: [0; 32],
            booting: true,
            measurements: Measurements::new(),
            self_test_failed: self_test::algorithms(),
            storage_failed: false,
            seeded: false,
        };
        let mut next = device.record;
        next.starts = number.into();
        next.random_seed = next_seed;
        match found {
            Found::Record => device.seeded = device.commit(next).is_ok(),
            Found::Blank if start.strap && start.entropy != [0; 32] && device.self_test_failed == 0 => {
                device.provision(next);
            }
            Found::Blank | Found::Damaged => {}
        }
        device.boot_seed = device.random.bytes();
        device
    }

    /// Makes this device one of its own.
    fn provision(&mut self, mut record: Record) {
        record.device_seed = self.random.bytes();
        record.seal_secret = self.random.bytes();
        if self.store.store_first(&mut record).is_ok() {
            self.record = record;
            self.condition = Condition::Provisioned;
            self.seeded = true;
        } else {
            self.storage_failed = true;
        }
    }

    /// Makes `next` the state, in the flash first.
    fn commit(&mut self, mut next: Record) -> Result<(), u32> {
        match self.store.store(&mut next) {
            Ok(()) => {
                self.record = next;
                Ok(())
            }
            Err(_) => {
                self.storage_failed = true;
                Err(status::STORAGE_FAILED)
            }
        }
    }

    /// Executes a command; gives the status and how much of `out` is the answer.
    pub fn execute(&mut self, code: u32, data: &[u8], out: &mut Out) -> (u32, usize) {
        let answer = match code {
            command::SYNC => read::<[u8; 8]>(data).map(|echo| put(out, &echo)),
            command::INFO => nothing(data).map(|()| put(out, self.info().as_bytes())),
            command::SELF_TEST => nothing(data).map(|()| put(out, self.self_test().as_bytes())),
            command::EXTEND => self.extend(data, out),
            command::REGISTERS => nothing(data).map(|()| put(out, self.measurements.registers().as_bytes())),
            command::LOG => self.log(data, out),
            command::END_BOOT => nothing(data).map(|()| {
                self.booting = false;
                0
            }),
            _ => self.ready().and_then(|()| self.execute_provisioned(code, data, out)),
        };
        answer.map_or_else(|status| (status, 0), |length| (status::OK, length))
    }

    /// Commands that need the device's state and cryptography.
    fn execute_provisioned(&mut self, code: u32, data: &[u8], out: &mut Out) -> Answer {
        match code {
            command::RANDOM => self.random(data, out),
            command::VERIFY => self.verify(data),
            command::KEYS => nothing(data).map(|()| put(out, self.record.keys().as_bytes())),
            command::ENROLL => self.enroll(data, out),
            command::REVOKE => self.revoke(data),
            command::QUOTE => self.quote(data, out),
            command::SEAL => self.seal(data, out),
            command::UNSEAL => {
                let secret = &self.record.seal_secret;
                seal::unseal(secret, self.measurements.registers(), data, out).ok_or(status::NOT_UNSEALED)
            }
            command::COUNTER_READ => read::<Digest>(data).map(|id| put(out, &self.record.counter(&id).to_le_bytes())),
            command::COUNTER_INCREMENT => {
                let id = read::<Digest>(data)?;
                let value = self.record.counter(&id).checked_add(1).ok_or(status::COUNTER_AT_END)?;
                self.set_counter(&id, value, out)
            }
            command::COUNTER_ADVANCE => {
                let Advance { id, value } = read(data)?;
                match self.record.counter(&id) {
                    now if now > value.get() => Err(status::ROLLBACK),
                    now if now == value.get() => Ok(put(out, &now.to_le_bytes())),
                    _ => self.set_counter(&id, value.get(), out),
                }
            }
            command::COUNTERS => self.counters(data, out),
            _ => Err(status::BAD_COMMAND),
        }
    }

    /// Whether there is a state to work with.
    fn ready(&self) -> Result<(), u32> {
        match self.condition {
            _ if self.self_test_failed != 0 => Err(status::SELF_TEST_FAILED),
            Condition::Provisioned => Ok(()),
            Condition::Blank => Err(status::NOT_PROVISIONED),
            Condition::Damaged => Err(status::STATE_CORRUPT),
        }
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.record.device_seed)
    }

    fn info(&self) -> Info {
        let flag = |flag: u8, set: bool| if set { flag } else { 0 };
        let provisioned = self.condition == Condition::Provisioned;
        Info {
            protocol: frame::VERSION,
            phase: if self.booting { PHASE_BOOT } else { PHASE_RUN },
            flags: flag(FLAG_STRAP, self.start.strap)
                | flag(FLAG_PROVISIONED, provisioned)
                | flag(FLAG_CORRUPT, self.condition == Condition::Damaged)
                | flag(FLAG_SELF_TEST_FAILED, self.self_test_failed != 0)
                | flag(FLAG_STORAGE_FAILED, self.storage_failed),
            keys: self.record.keys().len() as u8,
            firmware: self.start.version,
            counters: self.record.counters().len() as u8,
            starts: self.record.starts,
            log_entries: (self.measurements.log().len() as u16).into(),
            log_lost: self.measurements.lost().into(),
            state_writes: self.store.writes().into(),
            public_key: if provisioned { self.signing_key().verifying_key().to_bytes() } else { [0; 32] },
            implementation_id: self.start.implementation_id,
            ..Info::default()
        }
    }

    fn self_test(&mut self) -> SelfTest {
        let mut stored = Record::blank();
        let same = self.condition != Condition::Provisioned
            || self.store.load(&mut stored) == Found::Record && stored == self.record;
        let failed = self_test::algorithms() | u32::from(!same) << (SELF_TESTS.len() - 1);
        self.self_test_failed |= failed & !(1 << (SELF_TESTS.len() - 1));
        SelfTest { tests: (SELF_TESTS.len() as u32).into(), failed: failed.into() }
    }

    fn extend(&mut self, data: &[u8], out: &mut Out) -> Answer {
        let measurement = read::<Measurement>(data)?;
        match self.measurements.extend(&measurement, self.booting) {
            Ok(value) => Ok(put(out, &value)),
            Err(Refused::Malformed) => Err(status::BAD_ARGUMENT),
            Err(Refused::Closed) => Err(status::NOT_NOW),
        }
    }

    fn log(&self, data: &[u8], out: &mut Out) -> Answer {
        let first = u16::from_le_bytes(read(data)?);
        let log = self.measurements.log();
        let head =
            LogHead { total: (log.len() as u16).into(), lost: self.measurements.lost().into(), ..LogHead::default() };
        let length = put(out, head.as_bytes());
        Ok(length + put_some(&mut out[length..], log.get(first.into()..).unwrap_or(&[])))
    }

    fn random(&mut self, data: &[u8], out: &mut Out) -> Answer {
        let length = usize::from(u16::from_le_bytes(read(data)?));
        if length > MAX_RANDOM {
            return Err(status::BAD_ARGUMENT);
        }
        self.seeded()?.fill(&mut out[..length]);
        Ok(length)
    }

    /// The generator, if its seed will not be used again.
    fn seeded(&mut self) -> Result<&mut Random, u32> {
        if self.seeded { Ok(&mut self.random) } else { Err(status::STORAGE_FAILED) }
    }

    fn verify(&self, data: &[u8]) -> Answer {
        let Verify { kid, digest, signature } = read(data)?;
        let key = self.record.key(&kid).ok_or(status::UNKNOWN_KEY)?;
        if key.revoked != 0 {
            return Err(status::REVOKED_KEY);
        }
        let public = VerifyingKey::from_bytes(&key.public).map_err(|_| status::BAD_SIGNATURE)?;
        let signed = bundle::sig_structure(&kid, &digest);
        let good = public.verify_strict(&signed, &Signature::from_bytes(&signature));
        good.map(|()| 0).map_err(|_| status::BAD_SIGNATURE)
    }

    /// Keys come and go only while the device is in the hands of who provisions it.
    fn provisioning(&self) -> Result<(), u32> {
        if self.booting && self.start.strap { Ok(()) } else { Err(status::NOT_NOW) }
    }

    fn enroll(&mut self, data: &[u8], out: &mut Out) -> Answer {
        self.provisioning()?;
        let public = read::<[u8; 32]>(data)?;
        // A key of small order would verify what nobody signed.
        if VerifyingKey::from_bytes(&public).map_or(true, |key| key.is_weak()) {
            return Err(status::BAD_ARGUMENT);
        }
        let kid = bundle::key_id(&public);
        match self.record.key(&kid) {
            Some(key) if key.public != public => return Err(status::BAD_ARGUMENT),
            Some(key) if key.revoked != 0 => return Err(status::REVOKED_KEY),
            Some(_) => {}
            None => {
                let mut next = self.record;
                next.add_key(public).map_err(|_| status::NO_SPACE)?;
                self.commit(next)?;
            }
        }
        Ok(put(out, &kid))
    }

    fn revoke(&mut self, data: &[u8]) -> Answer {
        self.provisioning()?;
        let mut next = self.record;
        if !next.revoke_key(&read(data)?) {
            return Err(status::UNKNOWN_KEY);
        }
        self.commit(next).map(|()| 0)
    }

    fn quote(&mut self, nonce: &[u8], out: &mut Out) -> Answer {
        if !token::is_nonce(nonce) {
            return Err(status::BAD_LENGTH);
        }
        let claims = token::Claims {
            nonce,
            implementation_id: &self.start.implementation_id,
            boot_seed: &self.boot_seed,
            lifecycle: if self.start.strap { token::PROVISIONING } else { token::SECURED },
            registers: self.measurements.registers(),
        };
        token::write(&claims, &self.signing_key(), out).ok_or(status::BAD_ARGUMENT)
    }

    fn seal(&mut self, data: &[u8], out: &mut Out) -> Answer {
        let (mask, plain) = data.split_first().ok_or(status::BAD_LENGTH)?;
        let nonce = self.seeded()?.bytes();
        let (secret, registers) = (&self.record.seal_secret, self.measurements.registers());
        seal::seal(secret, *mask, registers, &nonce, plain, out).ok_or(status::BAD_LENGTH)
    }

    fn set_counter(&mut self, id: &Digest, value: u64, out: &mut Out) -> Answer {
        let mut next = self.record;
        next.set_counter(id, value).map_err(|_| status::NO_SPACE)?;
        self.commit(next)?;
        Ok(put(out, &value.to_le_bytes()))
    }

    fn counters(&self, data: &[u8], out: &mut Out) -> Answer {
        let first = u16::from_le_bytes(read(data)?);
        let counters: &[Counter] = self.record.counters();
        let length = put(out, &(counters.len() as u16).to_le_bytes());
        Ok(length + put_some(&mut out[length..], counters.get(first.into()..).unwrap_or(&[])))
    }

    /// The flash.
    pub fn flash(&mut self) -> &mut F {
        self.store.flash()
    }
}

/// Data that is exactly one value.
fn read<T: FromBytes>(data: &[u8]) -> Result<T, u32> {
    T::read_from_bytes(data).map_err(|_| status::BAD_LENGTH)
}

/// Data that is none.
fn nothing(data: &[u8]) -> Result<(), u32> {
    if data.is_empty() { Ok(()) } else { Err(status::BAD_LENGTH) }
}

/// Copies an answer, all of which fits.
fn put(out: &mut [u8], bytes: &[u8]) -> usize {
    let length = bytes.len().min(out.len());
    out[..length].copy_from_slice(&bytes[..length]);
    length
}

/// Copies as many entries as fit.
fn put_some<T: IntoBytes + Immutable>(out: &mut [u8], entries: &[T]) -> usize {
    let count = entries.len().min(out.len() / size_of::<T>());
    put(out, entries[..count].as_bytes())
}

/// A digest of the firmware for [`Start::implementation_id`].
pub fn implementation_id(firmware: &[u8]) -> Digest {
    sha256(&[firmware])
}
