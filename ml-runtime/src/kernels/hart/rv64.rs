//! The loops written out for rv64.
//!
//! Names of assembler macros are known to all assembly that is linked together, so each block forgets its own at its end.
#![allow(unsafe_code, reason = "inline assembly; every block says what it reads")]

use core::arch::asm;

use super::super::triple::{Channel, MASK, Sums};
use super::{Block, CHANNELS, Factors, PLACES, Panel, ROWS, Target};
use crate::fixed_point::Finish;

/// See [`super::products`], which has checked that there is at least one index and that words and weights suffice.
#[inline]
pub fn products<const W: usize>(panel: &Panel<'_>, block: Block<'_>, start: i64, sums: &mut [[i64; W]; CHANNELS]) {
    match block {
        Block::Rows(rows) => rows_products(panel, rows, start, sums),
        Block::Strided { weights, stride } => strided_products(panel, weights, stride, start, sums),
    }
}

/// What the loops need once a line, kept in memory for want of registers.
#[repr(C)]
struct Line {
    /// Bytes of the words that are taken four at a time.
    fours: usize,
    /// Bytes of the others.
    ones: usize,
    /// Bytes from the last word to the next line.
    gap: usize,
    /// Where the first channel's weights end.
    end: *const i8,
}

impl Line {
    fn new(panel: &Panel<'_>, weights: *const i8, stride: usize) -> Self {
        let fours = panel.run / 4 * 4;
        Line {
            fours: 8 * fours,
            ones: 8 * (panel.run - fours),
            gap: 8 * (panel.pitch - panel.run),
            end: weights.wrapping_add(panel.lines * panel.run * stride),
        }
    }
}

#[inline(never)]
fn rows_products<const W: usize>(
    panel: &Panel<'_>,
    rows: [&[i8]; CHANNELS],
    start: i64,
    sums: &mut [[i64; W]; CHANNELS],
) {
    let [mut a, mut b, mut c, mut d] = [[start; 3]; CHANNELS];
    let line = Line::new(panel, rows[0].as_ptr(), 1);
    let first = panel.words.as_ptr();
    // SAFETY: reads `run` words, and as many `step` and 2 · `step` words further if W is 2 and 3, in each of `lines` lines,
    // and `lines` · `run` bytes of each row; `super::products` has checked that they are there. The pointers come from
    // slices, so the memory is readable; the stack is not used and nothing is written. The pointers of words that W leaves
    // out are moved but not read.
    unsafe {
        asm!(
            ".macro hart_channel row, at, a, b, c",
            "lb {w}, \\at(\\row)",
            "mul {t}, {x0}, {w}",
            ".if {words} > 1",
            "mul {u}, {x1}, {w}",
            ".endif",
            ".if {words} > 2",
            "mul {w}, {x2}, {w}",
            ".endif",
            "add \\a, \\a, {t}",
            ".if {words} > 1",
            "add \\b, \\b, {u}",
            ".endif",
            ".if {words} > 2",
            "add \\c, \\c, {w}",
            ".endif",
            ".endm",
            ".macro hart_index at",
            "ld {x0}, 8*\\at({p0})",
            ".if {words} > 1",
            "ld {x1}, 8*\\at({p1})",
            ".endif",
            ".if {words} > 2",
            "ld {x2}, 8*\\at({p2})",
            ".endif",
            "hart_channel {r0}, \\at, {a0}, {a1}, {a2}",
            "hart_channel {r1}, \\at, {b0}, {b1}, {b2}",
            "hart_channel {r2}, \\at, {c0}, {c1}, {c2}",
            "hart_channel {r3}, \\at, {d0}, {d1}, {d2}",
            ".endm",
            ".macro hart_advance by",
            "addi {p0}, {p0}, 8*\\by",
            ".if {words} > 1",
            "addi {p1}, {p1}, 8*\\by",
            ".endif",
            ".if {words} > 2",
            "addi {p2}, {p2}, 8*\\by",
            ".endif",
            ".irp row, {r0}, {r1}, {r2}, {r3}",
            "addi \\row, \\row, \\by",
            ".endr",
            ".endm",
            "2:",
            "ld {end}, 0({line})",
            "beqz {end}, 4f",
            "add {end}, {end}, {p0}",
            "3:",
            "hart_index 0",
            "hart_index 1",
            "hart_index 2",
            "hart_index 3",
            "hart_advance 4",
            "bne {p0}, {end}, 3b",
            "4:",
            "ld {end}, 8({line})",
            "beqz {end}, 6f",
            "add {end}, {end}, {p0}",
            "5:",
            "hart_index 0",
            "hart_advance 1",
            "bne {p0}, {end}, 5b",
            "6:",
            "ld {end}, 16({line})",
            "add {p0}, {p0}, {end}",
            ".if {words} > 1",
            "add {p1}, {p1}, {end}",
            ".endif",
            ".if {words} > 2",
            "add {p2}, {p2}, {end}",
            ".endif",
            "ld {end}, 24({line})",
            "bne {r0}, {end}, 2b",
            ".purgem hart_channel",
            ".purgem hart_index",
            ".purgem hart_advance",
            words = const W,
            line = in(reg) &line,
            end = out(reg) _,
            p0 = inout(reg) first => _,
            p1 = inout(reg) first.wrapping_add(panel.step) => _,
            p2 = inout(reg) first.wrapping_add(2 * panel.step) => _,
            r0 = inout(reg) rows[0].as_ptr() => _,
            r1 = inout(reg) rows[1].as_ptr() => _,
            r2 = inout(reg) rows[2].as_ptr() => _,
            r3 = inout(reg) rows[3].as_ptr() => _,
            a0 = inout(reg) a[0], a1 = inout(reg) a[1], a2 = inout(reg) a[2],
            b0 = inout(reg) b[0], b1 = inout(reg) b[1], b2 = inout(reg) b[2],
            c0 = inout(reg) c[0], c1 = inout(reg) c[1], c2 = inout(reg) c[2],
            d0 = inout(reg) d[0], d1 = inout(reg) d[1], d2 = inout(reg) d[2],
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _,
            w = out(reg) _, t = out(reg) _, u = out(reg) _,
            options(nostack, readonly),
        );
    }
    for (sums, three) in sums.iter_mut().zip([a, b, c, d]) {
        sums.copy_from_slice(&three[..W]);
    }
}

#[inline(never)]
fn strided_products<const W: usize>(
    panel: &Panel<'_>,
    weights: &[i8],
    stride: usize,
    start: i64,
    sums: &mut [[i64; W]; CHANNELS],
) {
    let [mut a, mut b, mut c, mut d] = [[start; 3]; CHANNELS];
    let line = Line::new(panel, weights.as_ptr(), stride);
    let first = panel.words.as_ptr();
    // SAFETY: as above; of the weights it reads four from each index times `stride` on, which was checked likewise.
    unsafe {
        asm!(
            ".macro hart_channel at, a, b, c",
            "lb {w}, \\at({r})",
            "mul {t}, {x0}, {w}",
            ".if {words} > 1",
            "mul {u}, {x1}, {w}",
            ".endif",
            ".if {words} > 2",
            "mul {w}, {x2}, {w}",
            ".endif",
            "add \\a, \\a, {t}",
            ".if {words} > 1",
            "add \\b, \\b, {u}",
            ".endif",
            ".if {words} > 2",
            "add \\c, \\c, {w}",
            ".endif",
            ".endm",
            ".macro hart_index at",
            "ld {x0}, 8*\\at({p0})",
            ".if {words} > 1",
            "ld {x1}, 8*\\at({p1})",
            ".endif",
            ".if {words} > 2",
            "ld {x2}, 8*\\at({p2})",
            ".endif",
            "hart_channel 0, {a0}, {a1}, {a2}",
            "hart_channel 1, {b0}, {b1}, {b2}",
            "hart_channel 2, {c0}, {c1}, {c2}",
            "hart_channel 3, {d0}, {d1}, {d2}",
            "add {r}, {r}, {stride}",
            ".endm",
            ".macro hart_advance by",
            "addi {p0}, {p0}, 8*\\by",
            ".if {words} > 1",
            "addi {p1}, {p1}, 8*\\by",
            ".endif",
            ".if {words} > 2",
            "addi {p2}, {p2}, 8*\\by",
            ".endif",
            ".endm",
            "2:",
            "ld {end}, 0({line})",
            "beqz {end}, 4f",
            "add {end}, {end}, {p0}",
            "3:",
            "hart_index 0",
            "hart_index 1",
            "hart_index 2",
            "hart_index 3",
            "hart_advance 4",
            "bne {p0}, {end}, 3b",
            "4:",
            "ld {end}, 8({line})",
            "beqz {end}, 6f",
            "add {end}, {end}, {p0}",
            "5:",
            "hart_index 0",
            "hart_advance 1",
            "bne {p0}, {end}, 5b",
            "6:",
            "ld {end}, 16({line})",
            "add {p0}, {p0}, {end}",
            ".if {words} > 1",
            "add {p1}, {p1}, {end}",
            ".endif",
            ".if {words} > 2",
            "add {p2}, {p2}, {end}",
            ".endif",
            "ld {end}, 24({line})",
            "bne {r}, {end}, 2b",
            ".purgem hart_channel",
            ".purgem hart_index",
            ".purgem hart_advance",
            words = const W,
            line = in(reg) &line,
            end = out(reg) _,
            p0 = inout(reg) first => _,
            p1 = inout(reg) first.wrapping_add(panel.step) => _,
            p2 = inout(reg) first.wrapping_add(2 * panel.step) => _,
            r = inout(reg) weights.as_ptr() => _,
            stride = in(reg) stride,
            a0 = inout(reg) a[0], a1 = inout(reg) a[1], a2 = inout(reg) a[2],
            b0 = inout(reg) b[0], b1 = inout(reg) b[1], b2 = inout(reg) b[2],
            c0 = inout(reg) c[0], c1 = inout(reg) c[1], c2 = inout(reg) c[2],
            d0 = inout(reg) d[0], d1 = inout(reg) d[1], d2 = inout(reg) d[2],
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _,
            w = out(reg) _, t = out(reg) _, u = out(reg) _,
            options(nostack, readonly),
        );
    }
    for (sums, three) in sums.iter_mut().zip([a, b, c, d]) {
        sums.copy_from_slice(&three[..W]);
    }
}

/// See [`super::finish`], which has checked that there are words and places for all values. `EARLIER` is 1 if there are
/// earlier sums.
#[inline(never)]
pub fn finish<const EARLIER: usize>(
    words: &[i64],
    each: usize,
    earlier: &[Sums],
    channels: &[Channel],
    bounds: Finish,
    target: Target<'_>,
) {
    let values = target.values.as_mut_ptr();
    let [low, middle, high] = target.places.map(|place| values.wrapping_add(place));
    // SAFETY: for each channel it reads 12 bytes and `each` words, and with EARLIER as many times three sums; and writes a
    // byte for each field of each word, at its place plus the channel's number plus the word's times `step`:
    // `super::finish` has checked that there are so many of each. `Channel` is three i32 as the assembly reads it. The
    // pointers come from slices, the one that is written from a mutable one. The stack is not used.
    unsafe {
        asm!(
            // The constants are those of `Requantize` and the steps those of its `apply`, then those of `Finish::apply`.
            ".macro hart_value sum, place",
            "addw \\sum, \\sum, {bias}",
            "and {s}, \\sum, {signs}",
            "mul \\sum, \\sum, {fraction}",
            "add \\sum, \\sum, {nudge}",
            "add \\sum, \\sum, {s}",
            "sra \\sum, \\sum, {shift}",
            "add \\sum, \\sum, {zero}",
            "srai {s}, \\sum, 63",
            "and \\sum, \\sum, {s}",
            "sub \\sum, {span}, \\sum",
            "srai {s}, \\sum, 63",
            "and \\sum, \\sum, {s}",
            "sub \\sum, {min}, \\sum",
            "sb \\sum, 0(\\place)",
            "add \\place, \\place, {step}",
            ".endm",
            "2:",
            "lw {fraction}, 0({channel})",
            "lw {s}, 4({channel})",
            "lw {bias}, 8({channel})",
            "addi {channel}, {channel}, 12",
            // All ones for a shift to the right, which rounds a second time.
            "srai {x}, {s}, 63",
            "not {y}, {x}",
            "and {y}, {y}, {s}",
            "sll {fraction}, {fraction}, {y}",
            "neg {y}, {s}",
            "and {y}, {y}, {x}",
            "sll {nudge}, {half}, {y}",
            "and {nudge}, {nudge}, {x}",
            "add {nudge}, {nudge}, {half}",
            "slli {signs}, {x}, 31",
            "addi {shift}, {y}, 31",
            "add {end}, {word}, {each}",
            "3:",
            "ld {x}, 0({word})",
            "addi {word}, {word}, 8",
            "srli {z}, {x}, 42",
            "srli {y}, {x}, 21",
            "and {y}, {y}, {mask}",
            "and {x}, {x}, {mask}",
            ".if {with_earlier}",
            "lw {s}, 0({earlier})",
            "add {x}, {x}, {s}",
            "lw {s}, 4({earlier})",
            "add {y}, {y}, {s}",
            "lw {s}, 8({earlier})",
            "add {z}, {z}, {s}",
            "addi {earlier}, {earlier}, 12",
            ".endif",
            "hart_value {z}, {high}",
            "hart_value {y}, {middle}",
            "hart_value {x}, {low}",
            "bne {word}, {end}, 3b",
            "add {low}, {low}, {back}",
            "add {middle}, {middle}, {back}",
            "add {high}, {high}, {back}",
            "bne {channel}, {channels}, 2b",
            ".purgem hart_value",
            with_earlier = const EARLIER,
            word = inout(reg) words.as_ptr() => _,
            end = out(reg) _,
            each = in(reg) 8 * each,
            earlier = inout(reg) earlier.as_ptr() => _,
            channel = inout(reg) channels.as_ptr() => _,
            channels = in(reg) channels.as_ptr_range().end,
            low = inout(reg) low => _,
            middle = inout(reg) middle => _,
            high = inout(reg) high => _,
            step = in(reg) target.step,
            back = in(reg) 1usize.wrapping_sub(each.wrapping_mul(target.step)),
            mask = in(reg) MASK,
            half = in(reg) 1u64 << 30,
            zero = in(reg) i64::from(bounds.zero_point - bounds.max),
            span = in(reg) i64::from(bounds.min - bounds.max),
            min = in(reg) i64::from(bounds.min),
            fraction = out(reg) _, bias = out(reg) _, nudge = out(reg) _, shift = out(reg) _, signs = out(reg) _,
            x = out(reg) _, y = out(reg) _, z = out(reg) _, s = out(reg) _,
            options(nostack),
        );
    }
}

/// See [`super::nines`], which has checked that the plane suffices and that `count` is not 0.
pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize, start: i64) {
    if stride == 1 {
        neighbours(plane, words, weights, count, start);
    } else {
        apart(plane, words, weights, count, stride, start);
    }
}

/// Windows that overlap by two columns: each loads one column and has two in registers. Three windows a turn, after which
/// the columns are in the same registers again.
fn neighbours(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, start: i64) {
    let first = plane.as_mut_ptr();
    // SAFETY: reads words 0 to `count` + 1, with `count` rounded up to PLACES, of three lines `words` words apart, and writes
    // the first `count` words, rounded up likewise; `super::nines` has checked that all of them are in the plane, which is
    // borrowed mutably. The stack is not used.
    unsafe {
        asm!(
            ".macro hart_place at, a0, a1, a2, b0, b1, b2, c0, c1, c2",
            "ld \\c0, 8*\\at+16({l0})",
            "ld \\c1, 8*\\at+16({l1})",
            "ld \\c2, 8*\\at+16({l2})",
            "mul {s}, \\a0, {w0}",
            "mul {t}, \\b0, {w1}",
            "add {s}, {s}, {start}",
            "add {s}, {s}, {t}",
            ".irp pair, \"\\c0, {w2}\", \"\\a1, {w3}\", \"\\b1, {w4}\", \"\\c1, {w5}\", \"\\a2, {w6}\", \"\\b2, {w7}\", \"\\c2, {w8}\"",
            "mul {t}, \\pair",
            "add {s}, {s}, {t}",
            ".endr",
            "sd {s}, 8*\\at({l0})",
            ".endm",
            "ld {a0}, 0({l0})",
            "ld {b0}, 8({l0})",
            "ld {a1}, 0({l1})",
            "ld {b1}, 8({l1})",
            "ld {a2}, 0({l2})",
            "ld {b2}, 8({l2})",
            "2:",
            "hart_place 0, {a0}, {a1}, {a2}, {b0}, {b1}, {b2}, {c0}, {c1}, {c2}",
            "hart_place 1, {b0}, {b1}, {b2}, {c0}, {c1}, {c2}, {a0}, {a1}, {a2}",
            "hart_place 2, {c0}, {c1}, {c2}, {a0}, {a1}, {a2}, {b0}, {b1}, {b2}",
            "addi {l0}, {l0}, 24",
            "addi {l1}, {l1}, 24",
            "addi {l2}, {l2}, 24",
            "bne {l0}, {end}, 2b",
            ".purgem hart_place",
            end = in(reg) first.wrapping_add(count.next_multiple_of(PLACES)),
            l0 = inout(reg) first => _,
            l1 = inout(reg) first.wrapping_add(words) => _,
            l2 = inout(reg) first.wrapping_add(2 * words) => _,
            w0 = in(reg) weights[0], w1 = in(reg) weights[1], w2 = in(reg) weights[2],
            w3 = in(reg) weights[3], w4 = in(reg) weights[4], w5 = in(reg) weights[5],
            w6 = in(reg) weights[6], w7 = in(reg) weights[7], w8 = in(reg) weights[8],
            a0 = out(reg) _, a1 = out(reg) _, a2 = out(reg) _,
            b0 = out(reg) _, b1 = out(reg) _, b2 = out(reg) _,
            c0 = out(reg) _, c1 = out(reg) _, c2 = out(reg) _,
            start = in(reg) start,
            s = out(reg) _, t = out(reg) _,
            options(nostack),
        );
    }
}

/// Windows any number of columns apart.
fn apart(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize, start: i64) {
    let first = plane.as_mut_ptr();
    // SAFETY: reads three words in each of three lines, `words` words apart, at `count` places `stride` words apart, and
    // writes the first `count` words, which was checked likewise.
    unsafe {
        asm!(
            ".macro hart_three line, a, b, c",
            "ld {x}, 0(\\line)",
            "ld {y}, 8(\\line)",
            "ld {z}, 16(\\line)",
            "add \\line, \\line, {stride}",
            "mul {x}, {x}, \\a",
            "mul {y}, {y}, \\b",
            "mul {z}, {z}, \\c",
            "add {y}, {y}, {z}",
            "add {s}, {s}, {x}",
            "add {s}, {s}, {y}",
            ".endm",
            "2:",
            "mv {s}, {start}",
            "hart_three {l0}, {w0}, {w1}, {w2}",
            "hart_three {l1}, {w3}, {w4}, {w5}",
            "hart_three {l2}, {w6}, {w7}, {w8}",
            "sd {s}, 0({out})",
            "addi {out}, {out}, 8",
            "bne {out}, {end}, 2b",
            ".purgem hart_three",
            out = inout(reg) first => _,
            end = in(reg) first.wrapping_add(count),
            l0 = inout(reg) first => _,
            l1 = inout(reg) first.wrapping_add(words) => _,
            l2 = inout(reg) first.wrapping_add(2 * words) => _,
            stride = in(reg) 8 * stride,
            w0 = in(reg) weights[0], w1 = in(reg) weights[1], w2 = in(reg) weights[2],
            w3 = in(reg) weights[3], w4 = in(reg) weights[4], w5 = in(reg) weights[5],
            w6 = in(reg) weights[6], w7 = in(reg) weights[7], w8 = in(reg) weights[8],
            x = out(reg) _, y = out(reg) _, z = out(reg) _, s = out(reg) _,
            start = in(reg) start,
            options(nostack),
        );
    }
}

/// See [`super::dots`], which has checked that the rows suffice and come in groups.
#[inline(never)]
pub fn dots(factors: &[Factors], weights: &[u64], stride: usize, sums: &mut [i32]) {
    let start = factors.as_ptr();
    let whole = start.wrapping_add(factors.len() / 4 * 4);
    let end = start.wrapping_add(factors.len());
    let sums = sums.as_mut_ptr_range();
    if sums.is_empty() {
        return;
    }
    let row = |index: usize| weights.as_ptr().wrapping_add(index * stride);
    // SAFETY: for each group of four rows it reads all factors and as many words of each row, which `super::dots` has
    // checked to be there and the types say are aligned, and writes four sums, which the mutable slice has. The stack is
    // not used.
    unsafe {
        asm!(
            ".macro hart_eight row, at, sum",
            "ld {w}, 8*\\at(\\row)",
            "xor {w}, {w}, {signs}",
            "mul {t}, {w}, {x0}",
            "and {u}, {w}, {odd}",
            "mul {u}, {u}, {x1}",
            "srli {w}, {w}, 16",
            "add \\sum, \\sum, {t}",
            "and {t}, {w}, {even}",
            "mul {t}, {t}, {x2}",
            "add \\sum, \\sum, {u}",
            "and {w}, {w}, {odd}",
            "mul {w}, {w}, {x3}",
            "add \\sum, \\sum, {t}",
            "add \\sum, \\sum, {w}",
            ".endm",
            ".macro hart_all at",
            "ld {x0}, 32*\\at({p})",
            "ld {x1}, 32*\\at+8({p})",
            "ld {x2}, 32*\\at+16({p})",
            "ld {x3}, 32*\\at+24({p})",
            "hart_eight {r0}, \\at, {s0}",
            "hart_eight {r1}, \\at, {s1}",
            "hart_eight {r2}, \\at, {s2}",
            "hart_eight {r3}, \\at, {s3}",
            ".endm",
            ".macro hart_advance by",
            "addi {p}, {p}, 32*\\by",
            ".irp row, {r0}, {r1}, {r2}, {r3}",
            "addi \\row, \\row, 8*\\by",
            ".endr",
            ".endm",
            "2:",
            "mv {p}, {start}",
            // Half of bit 40, to round.
            "li {s0}, 1",
            "slli {s0}, {s0}, 39",
            "mv {s1}, {s0}",
            "mv {s2}, {s0}",
            "mv {s3}, {s0}",
            "beq {p}, {whole}, 4f",
            "3:",
            "hart_all 0",
            "hart_all 1",
            "hart_all 2",
            "hart_all 3",
            "hart_advance 4",
            "bne {p}, {whole}, 3b",
            "4:",
            "beq {p}, {end}, 6f",
            "5:",
            "hart_all 0",
            "hart_advance 1",
            "bne {p}, {end}, 5b",
            "6:",
            ".irp sum, {s0}, {s1}, {s2}, {s3}",
            "srai \\sum, \\sum, 40",
            "sw \\sum, 0({sums})",
            "addi {sums}, {sums}, 4",
            ".endr",
            ".irp row, {r0}, {r1}, {r2}, {r3}",
            "add \\row, \\row, {gap}",
            ".endr",
            "bne {sums}, {sums_end}, 2b",
            ".purgem hart_eight",
            ".purgem hart_all",
            ".purgem hart_advance",
            start = in(reg) start,
            p = out(reg) _,
            whole = in(reg) whole,
            end = in(reg) end,
            sums = inout(reg) sums.start => _,
            sums_end = in(reg) sums.end,
            gap = in(reg) 8 * (ROWS * stride - factors.len()),
            r0 = inout(reg) row(0) => _,
            r1 = inout(reg) row(1) => _,
            r2 = inout(reg) row(2) => _,
            r3 = inout(reg) row(3) => _,
            s0 = out(reg) _, s1 = out(reg) _, s2 = out(reg) _, s3 = out(reg) _,
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
            w = out(reg) _, t = out(reg) _, u = out(reg) _,
            signs = in(reg) 0x8080_8080_8080_8080u64,
            even = in(reg) 0x0000_00ff_0000_00ffu64,
            odd = in(reg) 0x0000_ff00_0000_ff00u64,
            options(nostack),
        );
    }
}
