//! Reading a quote: strictly, for what is not understood is not believed.

use std::path::Path;

use minicbor::Decoder;
use minicbor::data::{Tag, Type};
use object::LittleEndian;
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile32, ProgramHeader};
use rot_core::token::{PROFILE, instance_id};
use rot_protocol::data::Digest;
use rot_protocol::{REGISTER_NAMES, REGISTERS};

use crate::bundle::keys::PublicKey;

/// The protected header that a quote has: `{1: -8}`.
const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x27];

/// What a quote with a good signature says.
#[derive(Debug, PartialEq, Eq)]
pub struct Quote {
    pub nonce: Vec<u8>,
    pub lifecycle: u16,
    pub implementation: Digest,
    pub registers: [Digest; REGISTERS],
}

type Read<T> = Result<T, minicbor::decode::Error>;

impl Quote {
    /// Reads a quote and checks the device's signature.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8], key: &PublicKey) -> Result<Quote, String> {
        let (payload, signature) =
            envelope(bytes).map_err(|why| format!("BAD: not a COSE_Sign1 with EdDSA ({why})"))?;
        if !key.verifies(&signed(payload), &signature) {
            return Err("WRONG: not signed by this device, or altered".into());
        }
        claims(payload, key).map_err(|why| format!("good, but the claims are not those of a quote ({why})"))
    }
}

fn custom<T>(text: &'static str) -> Read<T> {
    Err(minicbor::decode::Error::message(text))
}

/// The payload and the signature.
fn envelope(bytes: &[u8]) -> Read<(&[u8], [u8; 64])> {
    let mut decoder = Decoder::new(bytes);
    if decoder.tag()? != Tag::new(18) || decoder.array()? != Some(4) {
        return custom("no COSE_Sign1");
    }
    if decoder.bytes()? != PROTECTED {
        return custom("other protected headers than {1: -8}");
    }
    decoder.skip()?;
    let payload = decoder.bytes()?;
    let signature = decoder.bytes()?.try_into().or_else(|_| custom("a signature of another length"))?;
    if decoder.position() != bytes.len() { custom("more bytes behind it") } else { Ok((payload, signature)) }
}

/// COSE's `Sig_structure` (RFC 9052, section 4.4).
fn signed(payload: &[u8]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    // Writing into memory does not fail.
    let _ = encoder.array(4).and_then(|e| e.str("Signature1")?.bytes(&PROTECTED)?.bytes(&[])?.bytes(payload));
    encoder.into_writer()
}

fn claims(payload: &[u8], key: &PublicKey) -> Read<Quote> {
    let mut decoder = Decoder::new(payload);
    let mut quote = Quote { nonce: Vec::new(), lifecycle: 0, implementation: [0; 32], registers: [[0; 32]; REGISTERS] };
    let mut seen = Vec::new();
    let count = decoder.map()?.unwrap_or(0);
    for _ in 0..count {
        let claim = decoder.i64()?;
        if seen.contains(&claim) {
            return custom("a claim twice");
        }
        seen.push(claim);
        match claim {
            10 => quote.nonce = decoder.bytes()?.to_vec(),
            256 if decoder.bytes()? != instance_id(key.bytes()) => return custom("another instance id"),
            265 if decoder.str()? != PROFILE => return custom("another profile"),
            256 | 265 => {}
            2394 if decoder.i32()? >= 0 => return custom("a client inside of the root of trust"),
            2394 => {}
            2395 => quote.lifecycle = decoder.u16()?,
            2396 => quote.implementation = digest(&mut decoder)?,
            2399 => components(&mut decoder, &mut quote.registers)?,
            // The boot seed, and claims of later versions, change nothing here.
            _ => decoder.skip()?,
        }
    }
    let all = [10, 256, 265, 2394, 2395, 2396, 2399].iter().all(|claim| seen.contains(claim));
    if !all || decoder.position() != payload.len() { custom("a claim is missing, or there is more") } else { Ok(quote) }
}

fn digest(decoder: &mut Decoder<'_>) -> Read<Digest> {
    decoder.bytes()?.try_into().or_else(|_| custom("a digest of another length"))
}

fn components(decoder: &mut Decoder<'_>, registers: &mut [Digest; REGISTERS]) -> Read<()> {
    for _ in 0..decoder.array()?.unwrap_or(0) {
        let (mut register, mut value) = (None, None);
        for _ in 0..decoder.map()?.unwrap_or(0) {
            match decoder.u8()? {
                1 => {
                    let name = decoder.str()?;
                    register = REGISTER_NAMES.iter().position(|known| *known == name);
                }
                2 => value = Some(digest(decoder)?),
                _ => decoder.skip()?,
            }
        }
        match register.zip(value) {
            Some((register, value)) if registers[register] == [0; 32] => registers[register] = value,
            _ => return custom("a component that is no register, or twice"),
        }
    }
    if decoder.datatype().is_ok_and(|kind| kind == Type::Break) { custom("an open end") } else { Ok(()) }
}

/// The digest that this firmware computes of itself: what its segments put into the flash, from its start on.
///
/// # Errors
/// When the file is not such a firmware.
pub fn firmware_digest(path: &Path) -> Result<Digest, String> {
    let fail = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|why| fail(&why))?;
    let elf = ElfFile32::<LittleEndian>::parse(&*bytes).map_err(|why| fail(&why))?;
    let mut flash: Vec<(u32, &[u8])> = Vec::new();
    for header in elf.elf_program_headers().iter().filter(|header| header.p_type(LittleEndian) == PT_LOAD) {
        let data = header.data(LittleEndian, &*bytes).map_err(|()| fail(&"a segment lies outside of the file"))?;
        if !data.is_empty() {
            flash.push((header.p_paddr(LittleEndian), data));
        }
    }
    flash.sort_by_key(|(start, _)| *start);
    let first = flash.first().map_or(0, |(start, _)| *start);
    let mut content = Vec::new();
    for (start, data) in flash {
        // Gaps read as zeros.
        content.resize((start - first) as usize, 0);
        content.extend_from_slice(data);
    }
    Ok(rot_core::sha256(&[&content]))
}
