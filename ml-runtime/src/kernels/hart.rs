//! The innermost loops: the only unsafe module.
//!
//! Compilers schedule these sums so that most of them go through memory, which doubles the instructions. On rv64 they
//! are therefore written out; elsewhere the same sums are plain loops. The plain ones give the reference's outputs in the
//! host tests, the others where the models run on the board.

/// Output channels that are computed together.
pub const CHANNELS: usize = 4;
/// The most words, each of two positions, that are computed together.
pub const MOST_WORDS: usize = 3;
/// Rows of a fully connected layer that are computed together.
pub const ROWS: usize = 4;
/// The prepared inputs of eight weights; see [`super::fully_connected`].
pub type Factors = [i64; 4];

/// How the weights of [`CHANNELS`] output channels lie.
#[derive(Clone, Copy, Debug)]
pub enum Block<'t> {
    /// One row for each channel.
    Rows([&'t [i8]; CHANNELS]),
    /// From the first channel's first weight on; the next index of the inner dimension is `stride` further.
    Strided {
        /// The weights.
        weights: &'t [i8],
        /// Channels of the layer.
        stride: usize,
    },
}

impl Block<'_> {
    /// Whether there are weights for `inner` indices.
    fn covers(&self, inner: usize) -> bool {
        match self {
            Block::Rows(rows) => rows.iter().all(|row| row.len() >= inner),
            Block::Strided { weights, stride } => {
                inner == 0 || (inner - 1).checked_mul(*stride).is_some_and(|last| weights.len() >= last + CHANNELS)
            }
        }
    }
}

/// The sums over `panel` of each word times each channel's weight, modulo 2^64. Zeros if weights are missing.
#[inline]
pub fn products<const W: usize>(panel: &[[i64; W]], block: Block<'_>) -> [[i64; W]; CHANNELS] {
    const { assert!(W <= MOST_WORDS) };
    if !block.covers(panel.len()) {
        return [[0; W]; CHANNELS];
    }
    #[cfg(target_arch = "riscv64")]
    if W == 3 {
        let mut sums = [[0; W]; CHANNELS];
        let three = rv64::products(panel.as_flattened(), block);
        for (sums, three) in sums.iter_mut().zip(three) {
            sums.copy_from_slice(&three[..W]);
        }
        return sums;
    }
    portable::products(panel, block)
}

/// For each row of weights, given as words of eight bytes, the upper halves' sum as [`super::fully_connected`] explains.
/// Zeros if weights are missing.
#[inline]
pub fn dots(factors: &[Factors], rows: [&[u64]; ROWS]) -> [i64; ROWS] {
    if rows.iter().any(|row| row.len() < factors.len()) {
        return [0; ROWS];
    }
    #[cfg(target_arch = "riscv64")]
    return rv64::dots(factors, rows);
    #[cfg(not(target_arch = "riscv64"))]
    rows.map(|row| portable::dot(factors, row.iter().map(|word| u64::from_le(*word))))
}

/// The sums of a window of three by three words times nine weights, at `count` places that are `stride` words apart.
/// `plane` has lines of `words` words. The sums replace its first words. False if the plane is too small.
#[inline]
pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize) -> bool {
    let last = count.checked_sub(1).and_then(|last| last.checked_mul(stride)).and_then(|at| at.checked_add(3));
    let needed = words.checked_mul(2).zip(last).and_then(|(lines, last)| lines.checked_add(last));
    if stride == 0 || needed.is_none_or(|needed| plane.len() < needed) {
        return false;
    }
    #[cfg(target_arch = "riscv64")]
    rv64::nines(plane, words, weights, count, stride);
    #[cfg(not(target_arch = "riscv64"))]
    portable::nines(plane, words, weights, count, stride);
    true
}

/// The same in plain Rust.
pub mod portable {
    use super::{Block, CHANNELS, Factors};

    /// Flips the sign bit of each byte, which adds 128.
    const SIGNS: u64 = 0x8080_8080_8080_8080;
    /// Two bytes of eight.
    const MASK: u64 = 0x0000_00ff_0000_00ff;

    /// See [`super::products`].
    pub fn products<const W: usize>(panel: &[[i64; W]], block: Block<'_>) -> [[i64; W]; CHANNELS] {
        let mut sums = [[0i64; W]; CHANNELS];
        for (k, column) in panel.iter().enumerate() {
            for (c, sums) in sums.iter_mut().enumerate() {
                let weight = match block {
                    Block::Rows(rows) => rows[c].get(k),
                    Block::Strided { weights, stride } => weights.get(k * stride + c),
                };
                let weight = i64::from(weight.copied().unwrap_or(0));
                for (sum, word) in sums.iter_mut().zip(column) {
                    *sum = sum.wrapping_add(word.wrapping_mul(weight));
                }
            }
        }
        sums
    }

    /// See [`super::nines`].
    #[cfg(any(not(target_arch = "riscv64"), feature = "self-test"))]
    pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize) {
        for place in 0..count {
            let window = (0..3).flat_map(|line| &plane[line * words + place * stride..][..3]);
            let sum =
                window.zip(weights).fold(0i64, |sum, (word, weight)| sum.wrapping_add(word.wrapping_mul(*weight)));
            // Later places read further right only.
            plane[place] = sum;
        }
    }

    /// See [`super::dots`].
    pub fn dot(factors: &[Factors], words: impl Iterator<Item = u64>) -> i64 {
        let mut sum = 0i64;
        for (x, word) in factors.iter().zip(words) {
            let word = word ^ SIGNS;
            sum = sum
                .wrapping_add((word as i64).wrapping_mul(x[0]))
                .wrapping_add(((word >> 8 & MASK) as i64).wrapping_mul(x[1]))
                .wrapping_add(((word >> 16 & MASK) as i64).wrapping_mul(x[2]))
                .wrapping_add(((word >> 24 & MASK) as i64).wrapping_mul(x[3]));
        }
        sum
    }
}

#[cfg(target_arch = "riscv64")]
#[allow(unsafe_code, reason = "inline assembly; every block says what it reads")]
mod rv64 {
    use core::arch::asm;

    use super::{Block, CHANNELS, Factors, ROWS};

    /// One channel at one index: a weight times three words.
    macro_rules! channel {
        ($row:literal, $offset:literal, $a:literal, $b:literal, $c:literal) => {
            concat!(
                "lb {w}, ",
                $offset,
                "({",
                $row,
                "})\n",
                "mul {t}, {x0}, {w}\n",
                "mul {u}, {x1}, {w}\n",
                "mul {w}, {x2}, {w}\n",
                "add {",
                $a,
                "}, {",
                $a,
                "}, {t}\n",
                "add {",
                $b,
                "}, {",
                $b,
                "}, {u}\n",
                "add {",
                $c,
                "}, {",
                $c,
                "}, {w}\n",
            )
        };
    }

    /// One index of the inner dimension: three words, four channels with a row each.
    macro_rules! index {
        ($word0:literal, $word1:literal, $word2:literal, $weight:literal) => {
            concat!(
                "ld {x0}, ",
                $word0,
                "({p})\n",
                "ld {x1}, ",
                $word1,
                "({p})\n",
                "ld {x2}, ",
                $word2,
                "({p})\n",
                channel!("r0", $weight, "a0", "a1", "a2"),
                channel!("r1", $weight, "b0", "b1", "b2"),
                channel!("r2", $weight, "c0", "c1", "c2"),
                channel!("r3", $weight, "d0", "d1", "d2"),
            )
        };
    }

    /// Moves on all pointers.
    macro_rules! advance {
        ($panel:literal, $weights:literal) => {
            concat!(
                "addi {p}, {p}, ",
                $panel,
                "\n",
                "addi {r0}, {r0}, ",
                $weights,
                "\n",
                "addi {r1}, {r1}, ",
                $weights,
                "\n",
                "addi {r2}, {r2}, ",
                $weights,
                "\n",
                "addi {r3}, {r3}, ",
                $weights,
                "\n",
            )
        };
    }

    /// See [`super::products`], which has checked that the weights suffice. `panel` is three words an index.
    #[inline]
    pub fn products(panel: &[i64], block: Block<'_>) -> [[i64; 3]; CHANNELS] {
        match block {
            Block::Rows(rows) => rows_products(panel, rows),
            Block::Strided { weights, stride } => strided_products(panel, weights, stride),
        }
    }

    fn rows_products(panel: &[i64], rows: [&[i8]; CHANNELS]) -> [[i64; 3]; CHANNELS] {
        let inner = panel.len() / 3;
        let start = panel.as_ptr();
        let whole = start.wrapping_add(inner / 4 * 12);
        let end = start.wrapping_add(inner * 3);
        let [mut a, mut b, mut c, mut d] = [[0i64; 3]; CHANNELS];
        // SAFETY: reads panel[..3·inner] and inner bytes of each row, which `super::products` has checked to be there; the
        // pointers come from slices, so the memory is readable; the stack is not used and nothing is written.
        unsafe {
            asm!(
                "beq {p}, {whole}, 3f",
                "2:",
                index!("0", "8", "16", "0"),
                index!("24", "32", "40", "1"),
                index!("48", "56", "64", "2"),
                index!("72", "80", "88", "3"),
                advance!("96", "4"),
                "bne {p}, {whole}, 2b",
                "3:",
                "beq {p}, {end}, 5f",
                "4:",
                index!("0", "8", "16", "0"),
                advance!("24", "1"),
                "bne {p}, {end}, 4b",
                "5:",
                p = inout(reg) start => _,
                whole = inout(reg) whole => _,
                end = in(reg) end,
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
        [a, b, c, d]
    }

    fn strided_products(panel: &[i64], weights: &[i8], stride: usize) -> [[i64; 3]; CHANNELS] {
        let start = panel.as_ptr();
        let end = start.wrapping_add(panel.len() / 3 * 3);
        let [mut a, mut b, mut c, mut d] = [[0i64; 3]; CHANNELS];
        // SAFETY: as above; of the weights it reads four from each index times `stride` on, which was checked likewise.
        unsafe {
            asm!(
                "beq {p}, {end}, 3f",
                "2:",
                "ld {x0}, 0({p})",
                "ld {x1}, 8({p})",
                "ld {x2}, 16({p})",
                channel!("r", "0", "a0", "a1", "a2"),
                channel!("r", "1", "b0", "b1", "b2"),
                channel!("r", "2", "c0", "c1", "c2"),
                channel!("r", "3", "d0", "d1", "d2"),
                "addi {p}, {p}, 24",
                "add {r}, {r}, {stride}",
                "bne {p}, {end}, 2b",
                "3:",
                p = inout(reg) start => _,
                end = in(reg) end,
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
        [a, b, c, d]
    }

    /// Three words of a line times three weights; the first line starts the sum.
    macro_rules! line {
        ($line:literal, $a:literal, $b:literal, $c:literal) => {
            concat!(
                "ld {x}, 0({",
                $line,
                "})\n",
                "ld {y}, 8({",
                $line,
                "})\n",
                "ld {z}, 16({",
                $line,
                "})\n",
                "add {",
                $line,
                "}, {",
                $line,
                "}, {stride}\n",
                "mul {x}, {x}, {",
                $a,
                "}\n",
                "mul {y}, {y}, {",
                $b,
                "}\n",
                "mul {z}, {z}, {",
                $c,
                "}\n",
                "add {y}, {y}, {z}\n",
                "add {x}, {x}, {y}\n",
            )
        };
    }

    /// See [`super::nines`], which has checked that the plane suffices and that `count` is not 0.
    pub fn nines(plane: &mut [i64], words: usize, weights: &[i64; 9], count: usize, stride: usize) {
        let start = plane.as_mut_ptr();
        // SAFETY: reads three words in each of three lines, `words` words apart, at `count` places `stride` words apart, and
        // writes the first `count` words; `super::nines` has checked that all of them are in the plane, which is borrowed
        // mutably. The stack is not used.
        unsafe {
            asm!(
                "2:",
                line!("l0", "w0", "w1", "w2"),
                "mv {sum}, {x}",
                line!("l1", "w3", "w4", "w5"),
                "add {sum}, {sum}, {x}",
                line!("l2", "w6", "w7", "w8"),
                "add {sum}, {sum}, {x}",
                "sd {sum}, 0({out})",
                "addi {out}, {out}, 8",
                "bne {out}, {end}, 2b",
                out = inout(reg) start => _,
                end = in(reg) start.wrapping_add(count),
                l0 = inout(reg) start => _,
                l1 = inout(reg) start.wrapping_add(words) => _,
                l2 = inout(reg) start.wrapping_add(2 * words) => _,
                stride = in(reg) 8 * stride,
                w0 = in(reg) weights[0], w1 = in(reg) weights[1], w2 = in(reg) weights[2],
                w3 = in(reg) weights[3], w4 = in(reg) weights[4], w5 = in(reg) weights[5],
                w6 = in(reg) weights[6], w7 = in(reg) weights[7], w8 = in(reg) weights[8],
                x = out(reg) _, y = out(reg) _, z = out(reg) _, sum = out(reg) _,
                options(nostack),
            );
        }
    }

    /// Eight weights of one row times the four factors: 16 instructions.
    macro_rules! row {
        ($row:literal, $offset:literal, $sum:literal) => {
            concat!(
                "ld {w}, ",
                $offset,
                "({",
                $row,
                "})\n",
                "xor {w}, {w}, {signs}\n",
                "mul {t}, {w}, {x0}\n",
                "srli {u}, {w}, 8\n",
                "and {u}, {u}, {mask}\n",
                "mul {u}, {u}, {x1}\n",
                "add {",
                $sum,
                "}, {",
                $sum,
                "}, {t}\n",
                "srli {t}, {w}, 16\n",
                "and {t}, {t}, {mask}\n",
                "mul {t}, {t}, {x2}\n",
                "add {",
                $sum,
                "}, {",
                $sum,
                "}, {u}\n",
                "srli {w}, {w}, 24\n",
                "and {w}, {w}, {mask}\n",
                "mul {w}, {w}, {x3}\n",
                "add {",
                $sum,
                "}, {",
                $sum,
                "}, {t}\n",
                "add {",
                $sum,
                "}, {",
                $sum,
                "}, {w}\n",
            )
        };
    }

    macro_rules! eight {
        ($f0:literal, $f1:literal, $f2:literal, $f3:literal, $offset:literal) => {
            concat!(
                "ld {x0}, ",
                $f0,
                "({p})\n",
                "ld {x1}, ",
                $f1,
                "({p})\n",
                "ld {x2}, ",
                $f2,
                "({p})\n",
                "ld {x3}, ",
                $f3,
                "({p})\n",
                row!("r0", $offset, "s0"),
                row!("r1", $offset, "s1"),
                row!("r2", $offset, "s2"),
                row!("r3", $offset, "s3"),
            )
        };
    }

    /// See [`super::dots`], which has checked that the rows suffice.
    pub fn dots(factors: &[Factors], rows: [&[u64]; ROWS]) -> [i64; ROWS] {
        let start = factors.as_ptr();
        let whole = start.wrapping_add(factors.len() / 4 * 4);
        let end = start.wrapping_add(factors.len());
        let mut sums = [0i64; ROWS];
        // SAFETY: reads all factors and as many words of each row, which `super::dots` has checked to be there and the
        // types say are aligned; the stack is not used and nothing is written.
        unsafe {
            asm!(
                "beq {p}, {whole}, 3f",
                "2:",
                eight!("0", "8", "16", "24", "0"),
                eight!("32", "40", "48", "56", "8"),
                eight!("64", "72", "80", "88", "16"),
                eight!("96", "104", "112", "120", "24"),
                advance!("128", "32"),
                "bne {p}, {whole}, 2b",
                "3:",
                "beq {p}, {end}, 5f",
                "4:",
                eight!("0", "8", "16", "24", "0"),
                advance!("32", "8"),
                "bne {p}, {end}, 4b",
                "5:",
                p = inout(reg) start => _,
                whole = in(reg) whole,
                end = in(reg) end,
                r0 = inout(reg) rows[0].as_ptr() => _,
                r1 = inout(reg) rows[1].as_ptr() => _,
                r2 = inout(reg) rows[2].as_ptr() => _,
                r3 = inout(reg) rows[3].as_ptr() => _,
                s0 = inout(reg) sums[0], s1 = inout(reg) sums[1], s2 = inout(reg) sums[2], s3 = inout(reg) sums[3],
                x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
                w = out(reg) _, t = out(reg) _, u = out(reg) _,
                signs = in(reg) 0x8080_8080_8080_8080u64,
                mask = in(reg) 0x0000_00ff_0000_00ffu64,
                options(nostack, readonly),
            );
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_weights_give_zeros() {
        let panel = [[1i64; 3]; 5];
        let row = [1i8; 5];
        let short = &row[..4];
        assert_eq!(products(&panel, Block::Rows([&row, &row, &row, short])), [[0; 3]; 4]);
        assert_eq!(products(&panel, Block::Rows([&row; 4])), [[5; 3]; 4]);
        let strided = |weights| products(&panel, Block::Strided { weights, stride: 4 });
        assert_eq!(strided(&[1; 19]), [[0; 3]; 4]);
        assert_eq!(strided(&[1; 20]), [[5; 3]; 4]);
        let mut plane = [1i64; 17];
        assert!(!nines(&mut plane[..16], 6, &[1; 9], 2, 2));
        assert!(!nines(&mut plane, 6, &[1; 9], 0, 1));
        assert!(!nines(&mut plane, usize::MAX, &[1; 9], 2, 2));
        assert!(nines(&mut plane, 6, &[1; 9], 2, 2));
        assert_eq!(plane[..4], [9, 9, 1, 1]);
        assert_eq!(dots(&[[1; 4]; 2], [&[0, 0], &[0, 0], &[0, 0], &[0]]), [0; 4]);
    }
}
