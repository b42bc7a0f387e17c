//! The innermost loops in vector instructions: the only module of the kernels with unsafe code.
//!
//! Vectors are 512 bits. A block of channels has [`LANES`] sums of 32 bits in two registers, or half as many in one.

use core::arch::{asm, global_asm};

use ml_runtime::accelerate::Bounds;

pub use npu_firmware::reach::{LANES, TILE_ROWS};

/// What the channels of a block need after their sums.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Channels {
    /// Added to the sum.
    pub bias: [i32; LANES],
    /// Factor, of which 31 bits are behind the point.
    pub fraction: [i32; LANES],
    /// Right shift after it.
    pub shift: [i32; LANES],
    /// All ones where the shift rounds ties away from zero, which is where it shifts at all.
    pub sign: [i32; LANES],
}

impl Channels {
    /// No channel.
    pub const NONE: Channels = Channels { bias: [0; LANES], fraction: [0; LANES], shift: [0; LANES], sign: [0; LANES] };
}

/// What the assembly needs; the offsets are in its text.
#[repr(C)]
struct Arguments {
    source: *const u8,         // 0
    source_step: usize,        // 8
    weights: *const i32,       // 16
    count: usize,              // 24
    channels: *const Channels, // 32
    target: *mut i8,           // 40
    stride: usize,             // 48
    filled: usize,             // 56
    zero_point: i64,           // 64
    min: i64,                  // 72
    max: i64,                  // 80
    rows: usize,               // 88
    line_bytes: usize,         // 96
}

unsafe extern "C" {
    fn npu_tile_32(arguments: *const Arguments);
    fn npu_tile_16(arguments: *const Arguments);
    fn npu_line_32(arguments: *const Arguments);
    fn npu_line_16(arguments: *const Arguments);
}

global_asm!(
    r#"
    .option push
    .option arch, +v

    # Sums in \acc become bytes at (\out). Bias, fraction, shift and sign are in the four registers; \tmp is free.
    .macro requantize acc, bias, fraction, shift, sign, tmp, out, lmul, half, quarter
    vadd.vv   \acc, \acc, \bias
    vsmul.vv  \acc, \acc, \fraction
    vsra.vi   \tmp, \acc, 31
    vand.vv   \tmp, \tmp, \sign
    vadd.vv   \acc, \acc, \tmp
    vssra.vv  \acc, \acc, \shift
    vsadd.vx  \acc, \acc, s2
    vmax.vx   \acc, \acc, s3
    vmin.vx   \acc, \acc, s4
    vsetvli   zero, s5, e16, \half, ta, ma
    vnsrl.wi  \tmp, \acc, 0
    vsetvli   zero, zero, e8, \quarter, ta, ma
    vnsrl.wi  \acc, \tmp, 0
    # The emulator stores by elements, so eight bytes at a time are cheaper where they come out even.
    bnez      s9, 7f
    vsetvli   zero, s8, e64, m1, ta, ma
    vse64.v   \acc, (\out)
    j         8f
7:  vse8.v    \acc, (\out)
8:  vsetvli   t6, zero, e32, \lmul, ta, ma
    .endm

    .macro enter
    addi    sp, sp, -64
    sd      s8, 48(sp)
    sd      s9, 56(sp)
    sd      s2, 0(sp)
    sd      s3, 8(sp)
    sd      s4, 16(sp)
    sd      s5, 24(sp)
    sd      s6, 32(sp)
    sd      s7, 40(sp)
    ld      s2, 64(a0)
    ld      s3, 72(a0)
    ld      s4, 80(a0)
    ld      s5, 56(a0)
    ld      s6, 40(a0)
    ld      s7, 48(a0)
    srli    s8, s5, 3
    andi    s9, s5, 7
    .endm

    .macro leave
    ld      s2, 0(sp)
    ld      s3, 8(sp)
    ld      s4, 16(sp)
    ld      s5, 24(sp)
    ld      s6, 32(sp)
    ld      s7, 40(sp)
    ld      s8, 48(sp)
    ld      s9, 56(sp)
    addi    sp, sp, 64
    ret
    .endm

    # The input at \offset of one position times the weights in v24.
    .macro product row, acc, offset
    lb      t2, \offset(\row)
    vmul.vx v26, v24, t2
    vadd.vv \acc, \acc, v26
    .endm

    .macro index offset, load, bytes
    \load   v24, (t0)
    addi    t0, t0, \bytes
    product a0, v8, \offset
    product a1, v10, \offset
    product a2, v12, \offset
    product a3, v14, \offset
    product a4, v16, \offset
    product a5, v18, \offset
    product a6, v20, \offset
    product a7, v22, \offset
    .endm

    # Rows behind the last one are the last one again.
    .macro next_row to, from, number
    mv      \to, \from
    li      t2, \number
    bleu    t4, t2, 1f
    add     \to, \from, t5
1:
    .endm

    .macro finish_row acc, number, lmul, half, quarter
    requantize \acc, v24, v26, v28, v30, v4, s6, \lmul, \half, \quarter
    add     s6, s6, s7
    li      t2, \number
    bleu    t4, t2, 9f
    .endm

    .macro tile name, load, load_bytes, lmul, half, quarter
    .globl  \name
    .balign 4
\name:
    enter
    vsetvli t6, zero, e32, \lmul, ta, ma
    .irp    acc, v8, v10, v12, v14, v16, v18, v20, v22
    vmv.v.i \acc, 0
    .endr
    ld      t0, 16(a0)
    ld      t1, 24(a0)              # a multiple of 4
    ld      t3, 32(a0)
    ld      t4, 88(a0)
    ld      t5, 8(a0)
    ld      a0, 0(a0)
    next_row a1, a0, 1
    next_row a2, a1, 2
    next_row a3, a2, 3
    next_row a4, a3, 4
    next_row a5, a4, 5
    next_row a6, a5, 6
    next_row a7, a6, 7
2:  index   0, \load, \load_bytes
    index   1, \load, \load_bytes
    index   2, \load, \load_bytes
    index   3, \load, \load_bytes
    addi    a0, a0, 4
    addi    a1, a1, 4
    addi    a2, a2, 4
    addi    a3, a3, 4
    addi    a4, a4, 4
    addi    a5, a5, 4
    addi    a6, a6, 4
    addi    a7, a7, 4
    addi    t1, t1, -4
    bnez    t1, 2b
    \load   v24, (t3)
    addi    t3, t3, 128
    \load   v26, (t3)
    addi    t3, t3, 128
    \load   v28, (t3)
    addi    t3, t3, 128
    \load   v30, (t3)
    finish_row v8, 1, \lmul, \half, \quarter
    finish_row v10, 2, \lmul, \half, \quarter
    finish_row v12, 3, \lmul, \half, \quarter
    finish_row v14, 4, \lmul, \half, \quarter
    finish_row v16, 5, \lmul, \half, \quarter
    finish_row v18, 6, \lmul, \half, \quarter
    finish_row v20, 7, \lmul, \half, \quarter
    finish_row v22, 8, \lmul, \half, \quarter
9:  leave
    .endm

    # One tap: its weights are in \weight, its inputs at t0.
    .macro tap weight, load
    \load   v28, (t0)
    vmul.vv v28, v28, \weight
    vadd.vv v26, v26, v28
    .endm

    .macro line name, load, load_bytes, lmul, half, quarter
    .globl  \name
    .balign 4
\name:
    enter
    vsetvli t6, zero, e32, \lmul, ta, ma
    ld      t0, 16(a0)
    .irp    weight, v8, v10, v12, v14, v16, v18, v20, v22, v24
    \load   \weight, (t0)
    addi    t0, t0, \load_bytes
    .endr
    ld      t3, 32(a0)
    \load   v0, (t3)
    addi    t3, t3, 128
    \load   v2, (t3)
    addi    t3, t3, 128
    \load   v4, (t3)
    addi    t3, t3, 128
    \load   v6, (t3)
    ld      t1, 24(a0)
    ld      a2, 8(a0)               # bytes from one window to the next
    ld      a3, 96(a0)
    addi    a3, a3, -2 * \load_bytes # from the third tap of a line to the first of the next
    ld      a1, 0(a0)
2:  mv      t0, a1
    \load   v26, (t0)
    vmul.vv v26, v26, v8
    addi    t0, t0, \load_bytes
    tap     v10, \load
    addi    t0, t0, \load_bytes
    tap     v12, \load
    add     t0, t0, a3
    tap     v14, \load
    addi    t0, t0, \load_bytes
    tap     v16, \load
    addi    t0, t0, \load_bytes
    tap     v18, \load
    add     t0, t0, a3
    tap     v20, \load
    addi    t0, t0, \load_bytes
    tap     v22, \load
    addi    t0, t0, \load_bytes
    tap     v24, \load
    requantize v26, v0, v2, v4, v6, v28, s6, \lmul, \half, \quarter
    add     s6, s6, s7
    add     a1, a1, a2
    addi    t1, t1, -1
    bnez    t1, 2b
    leave
    .endm

    .text
    tile    npu_tile_32, vl2re64.v, 128, m2, m1, mf2
    tile    npu_tile_16, vl1re64.v, 64, m1, mf2, mf4
    line    npu_line_32, vl2re64.v, 128, m2, m1, mf2
    line    npu_line_16, vl1re64.v, 64, m1, mf2, mf4
    .option pop
"#
);

/// Up to [`TILE_ROWS`] output positions of a block of channels.
pub struct Tile<'t> {
    /// The inputs of each position, one after another.
    pub source: &'t [i8],
    /// How many each has: a multiple of 4.
    pub inner: usize,
    /// Positions.
    pub rows: usize,
    /// Spread weights.
    pub weights: &'t [i32],
    /// The block's channels.
    pub channels: &'t Channels,
    /// The output's.
    pub bounds: Bounds,
    /// From one position's output to the next one's.
    pub stride: usize,
    /// Channels that there are.
    pub filled: usize,
    /// Channels that the block has room for.
    pub lanes: usize,
}

impl Tile<'_> {
    /// Computes the tile.
    pub fn run(&self, target: &mut [i8]) {
        let fits = (1..=TILE_ROWS).contains(&self.rows)
            && self.inner > 0
            && self.inner.is_multiple_of(4)
            && self.source.len() >= self.rows * self.inner
            && self.weights.len() >= self.inner * self.lanes
            && self.filled <= self.lanes
            && target.len() >= (self.rows - 1) * self.stride + self.filled;
        assert!(fits);
        let arguments = Arguments {
            source: self.source.as_ptr().cast(),
            source_step: self.inner,
            weights: self.weights.as_ptr(),
            count: self.inner,
            channels: self.channels,
            target: target.as_mut_ptr(),
            stride: self.stride,
            filled: self.filled,
            zero_point: self.bounds.zero_point.into(),
            min: self.bounds.min.into(),
            max: self.bounds.max.into(),
            rows: self.rows,
            line_bytes: 0,
        };
        // SAFETY: it reads `inner` bytes of each row, `inner` vectors of weights and the channels, and writes `filled` bytes a
        // row; all of them are there, as just checked. It follows the calling convention.
        unsafe {
            match self.lanes {
                LANES => npu_tile_32(&arguments),
                _ => npu_tile_16(&arguments),
            }
        }
    }
}

/// One output row of a depthwise convolution of three by three, for a block of channels.
pub struct Line<'t> {
    /// The spread image, from the first line that the row sees.
    pub plane: &'t [i32],
    /// Elements of a line of it.
    pub width: usize,
    /// Outputs.
    pub columns: usize,
    /// Elements between two of them.
    pub step: usize,
    /// Spread weights of nine taps.
    pub weights: &'t [i32],
    /// The block's channels.
    pub channels: &'t Channels,
    /// The output's.
    pub bounds: Bounds,
    /// From one output to the next one.
    pub stride: usize,
    /// Channels that there are.
    pub filled: usize,
    /// Channels that the block has room for.
    pub lanes: usize,
}

impl Line<'_> {
    /// Computes the row.
    pub fn run(&self, target: &mut [i8]) {
        let fits = self.columns > 0
            && self.plane.len() >= (2 * self.width + (self.columns - 1) * self.step + 3) * self.lanes
            && self.weights.len() >= 9 * self.lanes
            && self.filled <= self.lanes
            && target.len() >= (self.columns - 1) * self.stride + self.filled;
        assert!(fits);
        let arguments = Arguments {
            source: self.plane.as_ptr().cast(),
            source_step: self.step * self.lanes * 4,
            weights: self.weights.as_ptr(),
            count: self.columns,
            channels: self.channels,
            target: target.as_mut_ptr(),
            stride: self.stride,
            filled: self.filled,
            zero_point: self.bounds.zero_point.into(),
            min: self.bounds.min.into(),
            max: self.bounds.max.into(),
            rows: 0,
            line_bytes: self.width * self.lanes * 4,
        };
        // SAFETY: it reads three vectors in each of three lines for each output, nine vectors of weights and the channels, and
        // writes `filled` bytes an output; all of them are there, as just checked. It follows the calling convention.
        unsafe {
            match self.lanes {
                LANES => npu_line_32(&arguments),
                _ => npu_line_16(&arguments),
            }
        }
    }
}

/// Spreads the weights of `filled` channels over `lanes`: strides are those of channel, index, and how many indices there
/// are. Returns the sum of each channel's weights.
pub fn spread(
    weights: &[i8],
    (channel_stride, stride, inner): (usize, usize, usize),
    filled: usize,
    lanes: usize,
    target: &mut [i32],
) -> [i32; LANES] {
    let last = (filled - 1) * channel_stride + (inner - 1) * stride;
    assert!(
        filled > 0
            && filled <= lanes
            && lanes <= LANES
            && inner > 0
            && weights.len() > last
            && target.len() >= inner * lanes
    );
    let mut sums = [0i32; LANES];
    // SAFETY: it reads `filled` weights at each of `inner` indices and writes `lanes` words for each, all checked above; lanes
    // without a channel get zeros. `sums` has room for two vectors.
    unsafe {
        asm!(
            ".option push",
            ".option arch, +v",
            "vsetvli zero, {lanes}, e32, m2, ta, ma",
            "vmv.v.i v8, 0",
            "vmv.v.i v12, 0",
            "2:",
            "vsetvli zero, {filled}, e32, m2, tu, ma",
            "vlse8.v v10, ({w}), {channel_stride}",
            "vsext.vf4 v12, v10",
            "vsetvli zero, {lanes}, e32, m2, ta, ma",
            "vadd.vv v8, v8, v12",
            "vse32.v v12, ({t})",
            "add {w}, {w}, {stride}",
            "add {t}, {t}, {bytes}",
            "addi {inner}, {inner}, -1",
            "bnez {inner}, 2b",
            "vse32.v v8, ({sums})",
            ".option pop",
            w = inout(reg) weights.as_ptr() => _,
            t = inout(reg) target.as_mut_ptr() => _,
            inner = inout(reg) inner => _,
            stride = in(reg) stride,
            channel_stride = in(reg) channel_stride,
            lanes = in(reg) lanes,
            filled = in(reg) filled,
            bytes = in(reg) lanes * 4,
            sums = in(reg) sums.as_mut_ptr(),
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
            options(nostack),
        );
    }
    sums
}

/// Widens `filled` channels of each element of a line of an image, `stride` apart, to `lanes` words.
pub fn widen(source: &[i8], stride: usize, filled: usize, lanes: usize, target: &mut [i32]) {
    let elements = target.len() / lanes;
    if elements == 0 {
        return;
    }
    assert!(filled <= lanes && lanes <= LANES && source.len() >= (elements - 1) * stride + filled);
    // SAFETY: for each element it reads `filled` bytes and writes `lanes` words, which are there as just checked.
    unsafe {
        asm!(
            ".option push",
            ".option arch, +v",
            "vsetvli zero, {lanes}, e32, m2, ta, ma",
            "vmv.v.i v12, 0",
            "2:",
            "vsetvli zero, {filled}, e32, m2, tu, ma",
            "vle8.v v10, ({s})",
            "vsext.vf4 v12, v10",
            "vsetvli zero, {lanes}, e32, m2, ta, ma",
            "vse32.v v12, ({t})",
            "add {s}, {s}, {stride}",
            "add {t}, {t}, {bytes}",
            "addi {n}, {n}, -1",
            "bnez {n}, 2b",
            ".option pop",
            s = inout(reg) source.as_ptr() => _,
            t = inout(reg) target.as_mut_ptr() => _,
            n = inout(reg) elements => _,
            stride = in(reg) stride,
            lanes = in(reg) lanes,
            filled = in(reg) filled,
            bytes = in(reg) lanes * 4,
            out("v10") _, out("v11") _, out("v12") _, out("v13") _,
            options(nostack),
        );
    }
}

/// Copies bytes.
pub fn copy(source: &[i8], target: &mut [i8]) {
    assert!(source.len() == target.len());
    // SAFETY: both slices have so many bytes, and one is borrowed mutably, so they are apart.
    unsafe { copy_bytes(source.as_ptr().cast(), target.as_mut_ptr().cast(), target.len()) }
}

/// Copies words as they lie in a file, little-endian as this hart is.
pub fn copy_words(source: &[[u8; 4]], target: &mut [i32]) {
    assert!(source.len() == target.len());
    // SAFETY: as above; a word of the target takes any four bytes.
    unsafe { copy_bytes(source.as_ptr().cast(), target.as_mut_ptr().cast(), 4 * target.len()) }
}

/// # Safety
/// There are `bytes` bytes to read at `source` and, apart from them, to write at `target`.
unsafe fn copy_bytes(source: *const u8, target: *mut u8, bytes: usize) {
    let words = bytes / 8;
    // SAFETY: reads and writes `words` times eight bytes and then the rest, which is so many in all, as the caller promises.
    // The hart loads and stores elements at any address; eight bytes at a time are eight times as fast in the emulator.
    unsafe {
        asm!(
            ".option push",
            ".option arch, +v",
            "beqz {n}, 3f",
            "2:",
            "vsetvli {vl}, {n}, e64, m8, ta, ma",
            "vle64.v v8, ({s})",
            "vse64.v v8, ({t})",
            "sub {n}, {n}, {vl}",
            "slli {vl}, {vl}, 3",
            "add {s}, {s}, {vl}",
            "add {t}, {t}, {vl}",
            "bnez {n}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "4:",
            "lbu {vl}, 0({s})",
            "sb {vl}, 0({t})",
            "addi {s}, {s}, 1",
            "addi {t}, {t}, 1",
            "addi {rest}, {rest}, -1",
            "bnez {rest}, 4b",
            "5:",
            ".option pop",
            s = inout(reg) source => _,
            t = inout(reg) target => _,
            n = inout(reg) words => _,
            rest = inout(reg) bytes % 8 => _,
            vl = out(reg) _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(nostack),
        );
    }
}

/// Fills with one value.
pub fn fill(target: &mut [i8], value: i8) {
    target.fill(value);
}

/// Widens inputs and takes off their zero point.
pub fn widen_inputs(source: &[i8], zero_point: i32, target: &mut [i16]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target = i16::from(*source) - zero_point as i16;
    }
}

/// A row of a fully connected layer.
pub struct Dense<'t> {
    /// Inputs less their zero point, at most 255 in size.
    pub inputs: &'t [i16],
    /// As many weights for each output.
    pub weights: &'t [i8],
}

impl Dense<'_> {
    /// Computes the sums. A product of input and weight fits in 16 bits, a sum of them in 32.
    pub fn run(&self, sums: &mut [i32]) {
        let inputs = self.inputs.len();
        let count = sums.len();
        assert!(inputs > 0 && self.weights.len() >= inputs * count);
        let (fours, rest) = sums.as_chunks_mut::<4>();
        self.groups(core::array::from_fn(|row| row), fours);
        if !rest.is_empty() {
            // Outputs behind the last one are the last one again.
            let mut last = [[0; 4]];
            self.groups(core::array::from_fn(|row| (fours.len() * 4 + row).min(count - 1)), &mut last);
            rest.copy_from_slice(&last[0][..rest.len()]);
        }
    }

    /// The sums of groups of four outputs: of the first group from the four rows given on, of the others from those behind.
    fn groups(&self, first: [usize; 4], sums: &mut [[i32; 4]]) {
        let inputs = self.inputs.len();
        if sums.is_empty() {
            return;
        }
        let end = (first[3] + 4 * (sums.len() - 1) + 1) * inputs;
        assert!(inputs > 0 && self.weights.len() >= end && first.is_sorted());
        let rows = first.map(|row| self.weights[row * inputs..].as_ptr());
        // SAFETY: reads the inputs and as many weights of each row, which are there as just checked, and writes the sums.
        unsafe {
            asm!(
                ".option push",
                ".option arch, +v",
                "1:",
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.v.i v1, 0",
                "vmv.v.i v2, 0",
                "vmv.v.i v3, 0",
                "vmv.v.i v4, 0",
                "mv {n}, {inputs}",
                "mv {x}, {first}",
                "2:",
                "vsetvli {vl}, {n}, e16, m8, ta, ma",
                "vle16.v v8, ({x})",
                "vle8.v v16, ({r0})",
                "vsext.vf2 v24, v16",
                "vmul.vv v24, v24, v8",
                "vwredsum.vs v1, v24, v1",
                "vle8.v v16, ({r1})",
                "vsext.vf2 v24, v16",
                "vmul.vv v24, v24, v8",
                "vwredsum.vs v2, v24, v2",
                "vle8.v v16, ({r2})",
                "vsext.vf2 v24, v16",
                "vmul.vv v24, v24, v8",
                "vwredsum.vs v3, v24, v3",
                "vle8.v v16, ({r3})",
                "vsext.vf2 v24, v16",
                "vmul.vv v24, v24, v8",
                "vwredsum.vs v4, v24, v4",
                "add {r0}, {r0}, {vl}",
                "add {r1}, {r1}, {vl}",
                "add {r2}, {r2}, {vl}",
                "add {r3}, {r3}, {vl}",
                "sub {n}, {n}, {vl}",
                "slli {vl}, {vl}, 1",
                "add {x}, {x}, {vl}",
                "bnez {n}, 2b",
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.x.s {vl}, v1",
                "sw {vl}, 0({out})",
                "vmv.x.s {vl}, v2",
                "sw {vl}, 4({out})",
                "vmv.x.s {vl}, v3",
                "sw {vl}, 8({out})",
                "vmv.x.s {vl}, v4",
                "sw {vl}, 12({out})",
                "add {r0}, {r0}, {skip}",
                "add {r1}, {r1}, {skip}",
                "add {r2}, {r2}, {skip}",
                "add {r3}, {r3}, {skip}",
                "addi {out}, {out}, 16",
                "bne {out}, {end}, 1b",
                ".option pop",
                first = in(reg) self.inputs.as_ptr(),
                inputs = in(reg) inputs,
                skip = in(reg) 3 * inputs,
                x = out(reg) _,
                n = out(reg) _,
                r0 = inout(reg) rows[0] => _,
                r1 = inout(reg) rows[1] => _,
                r2 = inout(reg) rows[2] => _,
                r3 = inout(reg) rows[3] => _,
                vl = out(reg) _,
                out = inout(reg) sums.as_mut_ptr() => _,
                end = in(reg) sums.as_mut_ptr_range().end,
                out("v1") _, out("v2") _, out("v3") _, out("v4") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(nostack),
            );
        }
    }
}

/// Sums of up to [`LANES`] channels.
pub struct Requantize<'t> {
    /// The sums.
    pub sums: &'t [i32],
    /// Their channels.
    pub channels: &'t Channels,
    /// The output's.
    pub bounds: Bounds,
}

impl Requantize<'_> {
    /// Computes the outputs.
    pub fn run(&self, target: &mut [i8]) {
        let count = target.len();
        assert!(count > 0 && count <= LANES && self.sums.len() >= count);
        // SAFETY: reads `count` sums and factors, and writes as many bytes; all are there, as just checked.
        unsafe {
            asm!(
                ".option push",
                ".option arch, +v",
                "vsetvli zero, {n}, e32, m2, ta, ma",
                "vle32.v v8, ({sums})",
                "vle32.v v10, ({bias})",
                "vle32.v v12, ({fraction})",
                "vle32.v v14, ({shift})",
                "vle32.v v16, ({sign})",
                "vadd.vv v8, v8, v10",
                "vsmul.vv v8, v8, v12",
                "vsra.vi v18, v8, 31",
                "vand.vv v18, v18, v16",
                "vadd.vv v8, v8, v18",
                "vssra.vv v8, v8, v14",
                "vsadd.vx v8, v8, {zero_point}",
                "vmax.vx v8, v8, {min}",
                "vmin.vx v8, v8, {max}",
                "vsetvli zero, {n}, e16, m1, ta, ma",
                "vnsrl.wi v10, v8, 0",
                "vsetvli zero, {n}, e8, mf2, ta, ma",
                "vnsrl.wi v8, v10, 0",
                "vse8.v v8, ({target})",
                ".option pop",
                n = in(reg) count,
                sums = in(reg) self.sums.as_ptr(),
                bias = in(reg) self.channels.bias.as_ptr(),
                fraction = in(reg) self.channels.fraction.as_ptr(),
                shift = in(reg) self.channels.shift.as_ptr(),
                sign = in(reg) self.channels.sign.as_ptr(),
                zero_point = in(reg) i64::from(self.bounds.zero_point),
                min = in(reg) i64::from(self.bounds.min),
                max = in(reg) i64::from(self.bounds.max),
                target = in(reg) target.as_mut_ptr(),
                out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                options(nostack),
            );
        }
    }
}
