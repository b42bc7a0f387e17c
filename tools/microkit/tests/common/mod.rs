//! Small ELF files made to measure.

/// A segment to load: address, flags (1 execute, 2 write, 4 read), content, and how many zeros follow it.
pub struct Load {
    pub vaddr: u64,
    pub flags: u32,
    pub content: Vec<u8>,
    pub zeros: u64,
}

/// An ELF file for 64-bit RISC-V with these segments and these symbols: name, address, length.
pub fn elf(entry: u64, loads: &[Load], symbols: &[(&str, u64, u64)]) -> Vec<u8> {
    let phoff = 64u64;
    let mut body = Vec::new();
    let mut headers = Vec::new();
    let body_start = phoff + 56 * loads.len() as u64;
    for load in loads {
        headers.extend(1u32.to_le_bytes());
        headers.extend(load.flags.to_le_bytes());
        let bytes = load.content.len() as u64;
        for field in
            [body_start + body.len() as u64, load.vaddr, load.vaddr, bytes, bytes.wrapping_add(load.zeros), 0x1000]
        {
            headers.extend(field.to_le_bytes());
        }
        body.extend(&load.content);
    }
    body.resize(body.len().next_multiple_of(8), 0);
    let mut names = vec![0u8];
    let mut table = vec![0u8; 24];
    for (name, value, bytes) in symbols {
        table.extend((names.len() as u32).to_le_bytes());
        table.extend([0x11, 0, 1, 0]);
        table.extend(value.to_le_bytes());
        table.extend(bytes.to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    let table_offset = body_start + body.len() as u64;
    let names_offset = table_offset + table.len() as u64;
    let shoff = (names_offset + names.len() as u64).next_multiple_of(8);

    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 243, 0, 1, 0, 0, 0]);
    for field in [entry, phoff, shoff] {
        file.extend(field.to_le_bytes());
    }
    file.extend([0; 4]);
    for field in [64u16, 56, loads.len() as u16, 64, 3, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(headers);
    file.extend(body);
    file.extend(&table);
    file.extend(&names);
    file.resize(shoff as usize, 0);
    file.extend([0; 64]);
    for (kind, offset, bytes, link, entry_bytes) in
        [(2u32, table_offset, table.len(), 2u32, 24u64), (3, names_offset, names.len(), 0, 0)]
    {
        file.extend(0u32.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for field in [0, 0, offset, bytes as u64] {
            file.extend(field.to_le_bytes());
        }
        file.extend(link.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for field in [8, entry_bytes] {
            file.extend(field.to_le_bytes());
        }
    }
    file
}

/// A program image with what Microkit's library has, and these further words. The variables lie in zeros behind the
/// content of the second segment.
pub fn program(words: &[&str]) -> Vec<u8> {
    let mut symbols = vec![
        ("microkit_name", 0x20_1008, 64),
        ("microkit_passive", 0x20_1048, 1),
        ("microkit_irqs", 0x20_1050, 8),
        ("microkit_notifications", 0x20_1058, 8),
        ("microkit_pps", 0x20_1060, 8),
        ("microkit_ioports", 0x20_1068, 8),
    ];
    symbols.extend(words.iter().zip(0..).map(|(name, index)| (*name, 0x20_1070 + 8 * index, 8)));
    let loads = [
        Load { vaddr: 0x20_0000, flags: 5, content: vec![0x13; 32], zeros: 0 },
        Load { vaddr: 0x20_1000, flags: 6, content: vec![1; 8], zeros: 0x800 },
    ];
    elf(0x20_0000, &loads, &symbols)
}
