//! Writing into the program images what the description says: ids, addresses, sizes.
//!
//! The names and their meaning are the contract between Microkit's tool and its library, which PDs are linked with.

use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::{ProtectionDomain, SetVarValue, System};

/// A PD sees at most this many bytes of its name.
const MAX_NAME_BYTES: usize = 64;
/// Variables that the description sets are words.
const WORD_BYTES: u64 = 8;

/// Patches all program images, one per PD. `region_paddrs` has the physical address of each memory region.
///
/// # Errors
/// A symbol is missing, ambiguous, too short, not in a segment; or a variable is not a 64-bit word.
pub fn patch(system: &System, elfs: &mut [Elf], region_paddrs: &[u64]) -> Result<()> {
    for (index, (pd, elf)) in system.pds.iter().zip(elfs).enumerate() {
        let describe = |e: Error| {
            let message = format!("protection domain '{}' ({}): {}", pd.name, pd.program_image.display(), e.message());
            Error::at(e.location().unwrap_or(pd.location), message)
        };
        patch_library(system, index, elf).map_err(describe)?;
        patch_variables(pd, elf, region_paddrs).map_err(describe)?;
    }
    Ok(())
}

/// What Microkit's library wants to know in every PD.
fn patch_library(system: &System, index: usize, elf: &mut Elf) -> Result<()> {
    let pd = &system.pds[index];
    let bits = |ids: &mut dyn Iterator<Item = u8>| ids.fold(0u64, |bits, id| bits | 1 << id).to_le_bytes();
    let ends = || system.channel_ends(index).map(|(own, _)| own);
    let name = pd.name.as_bytes();
    elf.write("microkit_name", &name[..name.len().min(MAX_NAME_BYTES)])?;
    elf.write("microkit_passive", &[pd.passive.into()])?;
    elf.write("microkit_irqs", &bits(&mut pd.irqs.iter().map(|irq| irq.id)))?;
    elf.write("microkit_notifications", &bits(&mut ends().filter(|end| end.notify).map(|end| end.id)))?;
    elf.write("microkit_pps", &bits(&mut ends().filter(|end| end.pp).map(|end| end.id)))?;
    // There are none on RISC-V.
    elf.write("microkit_ioports", &[0; WORD_BYTES as usize])
}

/// What the description sets.
fn patch_variables(pd: &ProtectionDomain, elf: &mut Elf, region_paddrs: &[u64]) -> Result<()> {
    for setvar in &pd.setvars {
        let value = match setvar.value {
            SetVarValue::Number(value) => value,
            SetVarValue::RegionPaddr(region) => region_paddrs[region],
        };
        let at = |e: Error| Error::at(setvar.location, e.message());
        let symbol = elf.symbol(&setvar.symbol).map_err(at)?;
        if symbol.bytes != WORD_BYTES {
            let message = format!(
                "the symbol '{}' has {} bytes; a variable that the description sets has {WORD_BYTES}",
                setvar.symbol, symbol.bytes
            );
            return Err(Error::at(setvar.location, message));
        }
        elf.write(&setvar.symbol, &value.to_le_bytes()).map_err(at)?;
    }
    Ok(())
}
