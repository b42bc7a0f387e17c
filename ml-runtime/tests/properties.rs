//! Operators of any shape against definitions that are as plain as can be: an element at a time, by its coordinates.

mod common;

use common::file::ModelFile;
use ml_runtime::{Interpreter, Io, LoadError, Model};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// A tensor: its dimensions and its values in order.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    dims: Vec<u32>,
    values: Vec<i8>,
}

/// All places of a tensor in order.
fn places(dims: &[u32]) -> Vec<Vec<u32>> {
    dims.iter().fold(vec![vec![]], |places, dim| {
        places.iter().flat_map(|place| (0..*dim).map(move |i| [&place[..], &[i]].concat())).collect()
    })
}

impl Array {
    /// The tensor whose value at each place is that of `f`.
    fn of(dims: &[u32], f: impl FnMut(Vec<u32>) -> i8) -> Array {
        Array { dims: dims.to_vec(), values: places(dims).into_iter().map(f).collect() }
    }

    fn at(&self, place: &[u32]) -> i8 {
        let index = self.dims.iter().zip(place).fold(0, |index, (dim, i)| {
            assert!(i < dim);
            index * dim + i
        });
        self.values[index as usize]
    }
}

/// Runs a model on inputs and returns what all its outputs hold.
fn run(file: &ModelFile, inputs: &[&Array]) -> Result<Vec<Vec<i8>>, LoadError> {
    let file = file.write();
    let mut tables = vec![0u64; Model::table_bytes(&file)?.div_ceil(8)];
    let model = Model::load(&file, tables.as_mut_bytes(), Io::Arena)?;
    let mut arena = vec![!0u128; model.arena_bytes().div_ceil(16)];
    let mut interpreter = Interpreter::new(&model, arena.as_mut_bytes()).unwrap();
    for (i, input) in inputs.iter().enumerate() {
        let values = interpreter.input_mut(i).unwrap().iter_mut();
        values.zip(&input.values).for_each(|(byte, value)| *byte = *value as u8);
    }
    interpreter.invoke().unwrap();
    let outputs = (0..model.outputs().len()).map(|i| interpreter.output(i).unwrap());
    Ok(outputs.map(|bytes| bytes.iter().map(|byte| *byte as i8).collect()).collect())
}

/// A model of one operator: its constants come behind its inputs.
fn one(
    code: u32,
    inputs: &[&Array],
    constants: &[&[i32]],
    out: &[u32],
    options: u8,
    fields: &[(usize, &[u8])],
) -> Result<Array, LoadError> {
    let mut file = ModelFile::default();
    let mut tensors: Vec<i32> = inputs.iter().map(|input| file.input(&input.dims, 1.0, 0)).collect();
    tensors.extend(constants.iter().map(|values| file.numbers(values)));
    let output = file.int8(out, 1.0, 0);
    file.operator(code, &tensors, &[output], options, fields);
    file.output(output);
    Ok(Array { dims: out.to_vec(), values: run(&file, inputs)?.remove(0) })
}

fn dims(rank: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1u32..6, rank)
}

/// Values from a seed: quick to make, and as good as any.
fn array(dims: &[u32], seed: u64) -> Array {
    let mut state = seed;
    Array::of(dims, |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as i8
    })
}

/// A slice along one dimension, for Python's rules: what `range(begin, end, step)` goes through.
fn range(dim: i64, begin: i64, end: i64, step: i64) -> Vec<u32> {
    let (lowest, highest) = if step > 0 { (0, dim) } else { (-1, dim - 1) };
    let place = |at: i64| (if at < 0 { at + dim } else { at }).clamp(lowest, highest);
    let mut at = place(begin);
    let end = place(end);
    let mut taken = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        taken.push(at as u32);
        at += step;
    }
    taken
}

/// `sum / 2^shift` as the reference rounds it: its half first, ties upwards, then the rest, ties away from zero.
fn rounded(sum: i32, shift: i32) -> i8 {
    let half = (sum + 1).div_euclid(2);
    ((f64::from(half) / f64::from(1 << (shift - 1))).round() as i32).clamp(-128, 127) as i8
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn transposes(shape in dims(1..=6), order in any::<u64>(), seed: u64) {
        let mut axes: Vec<i32> = (0..shape.len() as i32).collect();
        (1..axes.len()).for_each(|i| axes.swap(i, (order >> (8 * i)) as usize % (i + 1)));
        let input = array(&shape, seed);
        let out: Vec<u32> = axes.iter().map(|axis| shape[*axis as usize]).collect();
        let expected = Array::of(&out, |place| {
            let mut source = vec![0; shape.len()];
            axes.iter().zip(&place).for_each(|(axis, at)| source[*axis as usize] = *at);
            input.at(&source)
        });
        prop_assert_eq!(one(39, &[&input], &[&axes], &out, 26, &[]), Ok(expected));
    }

    #[test]
    fn strided_slices(
        bounds in prop::collection::vec((1u32..7, -9i32..9, -9i32..9, -3i32..4), 1..=5), shrink: u8, seed: u64
    ) {
        let shape: Vec<u32> = bounds.iter().map(|(dim, ..)| *dim).collect();
        let shrink = |i: usize| shrink >> i & 1 != 0;
        let taken: Vec<Vec<u32>> = bounds.iter().enumerate().map(|(i, (dim, begin, end, step))| {
            let all = range((*dim).into(), (*begin).into(), (*end).into(), (*step).into());
            match shrink(i) {
                // One element: where it begins, if that is one.
                true => range((*dim).into(), (*begin).into(), i64::MAX, 1).into_iter().take(usize::from(*step > 0)).collect(),
                false => if *step == 0 { vec![] } else { all },
            }
        }).collect();
        let out: Vec<u32> = taken.iter().enumerate().filter(|(i, _)| !shrink(*i)).map(|(_, all)| all.len() as u32).collect();
        let input = array(&shape, seed);
        let [begins, ends, steps]: [Vec<i32>; 3] = [
            bounds.iter().map(|bound| bound.1).collect(),
            bounds.iter().map(|bound| bound.2).collect(),
            bounds.iter().map(|bound| bound.3).collect(),
        ];
        let mask = (0..bounds.len()).filter(|i| shrink(*i)).map(|i| 1 << i).sum::<i32>().to_le_bytes();
        let result = one(45, &[&input], &[&begins, &ends, &steps], &out, 32, &[(4, &mask)]);
        if taken.iter().any(Vec::is_empty) {
            prop_assert!(result.is_err());
        } else {
            let expected = Array::of(&out, |place| {
                let mut rest = place.into_iter();
                let source: Vec<u32> = taken.iter().enumerate()
                    .map(|(i, all)| all[if shrink(i) { 0 } else { rest.next().unwrap() as usize }]).collect();
                input.at(&source)
            });
            prop_assert_eq!(result, Ok(expected));
        }
    }

    #[test]
    fn pads_and_slices_back(sizes in prop::collection::vec((1u32..6, 0u32..4, 0u32..4), 1..=6), seed: u64) {
        let shape: Vec<u32> = sizes.iter().map(|(dim, ..)| *dim).collect();
        let out: Vec<u32> = sizes.iter().map(|(dim, before, after)| dim + before + after).collect();
        let widths: Vec<i32> = sizes.iter().flat_map(|(_, before, after)| [*before as i32, *after as i32]).collect();
        let input = array(&shape, seed);
        let padded = Array::of(&out, |place| {
            let inner = |(at, (dim, before, _)): (&u32, &(u32, u32, u32))| at.checked_sub(*before).filter(|at| at < dim);
            place.iter().zip(&sizes).map(inner).collect::<Option<Vec<_>>>().map_or(0, |source| input.at(&source))
        });
        prop_assert_eq!(one(34, &[&input], &[&widths], &out, 22, &[]), Ok(padded.clone()));
        let begins: Vec<i32> = sizes.iter().map(|(_, before, _)| *before as i32).collect();
        let counts: Vec<i32> = shape.iter().map(|dim| *dim as i32).collect();
        prop_assert_eq!(one(65, &[&padded], &[&begins, &counts], &shape, 48, &[]), Ok(input));
    }

    #[test]
    fn joins_and_splits(shape in dims(1..=4), axis in any::<prop::sample::Index>(), parts in prop::collection::vec(1u32..5, 1..6), seed: u64) {
        let axis = axis.index(shape.len());
        let inputs: Vec<Array> = parts.iter().enumerate().map(|(i, size)| {
            let mut dims = shape.clone();
            dims[axis] = *size;
            array(&dims, seed ^ i as u64)
        }).collect();
        let mut out = shape.clone();
        out[axis] = parts.iter().sum();
        let whole = Array::of(&out, |mut place| {
            let mut part = 0;
            while place[axis] >= parts[part] {
                place[axis] -= parts[part];
                part += 1;
            }
            inputs[part].at(&place)
        });
        let number = (axis as i32 - shape.len() as i32).to_le_bytes();
        let borrowed: Vec<&Array> = inputs.iter().collect();
        prop_assert_eq!(one(2, &borrowed, &[], &out, 10, &[(0, &number)]), Ok(whole.clone()));
        let mut file = ModelFile::default();
        let source = file.input(&out, 1.0, 0);
        let sizes = file.numbers(&parts.iter().map(|size| *size as i32).collect::<Vec<_>>());
        let axis = file.numbers(&[axis as i32]);
        let outputs: Vec<i32> = inputs.iter().map(|part| file.int8(&part.dims, 1.0, 0)).collect();
        file.operator(102, &[source, sizes, axis], &outputs, 79, &[(0, &(parts.len() as i32).to_le_bytes())]);
        outputs.iter().for_each(|output| file.output(*output));
        prop_assert_eq!(run(&file, &[&whole]), Ok(inputs.into_iter().map(|part| part.values).collect()));
    }

    #[test]
    fn stretches(shape in prop::collection::vec((1u32..5, 0u8..3), 1..=5), drop in 0usize..3, seed: u64) {
        // Each dimension is stretched on the left, on the right, or not at all; leading ones may be left out.
        let side = |which: u8| shape.iter().map(|(dim, how)| if *how == which { 1 } else { *dim }).collect::<Vec<u32>>();
        let out: Vec<u32> = shape.iter().map(|(dim, _)| *dim).collect();
        let (left, right) = (array(&side(1), seed), side(2));
        let skip = right.iter().take(drop.min(right.len() - 1)).take_while(|dim| **dim == 1).count();
        let right = array(&right[skip..], !seed);
        let pick = |array: &Array, place: &[u32]| {
            let place = &place[place.len() - array.dims.len()..];
            array.at(&array.dims.iter().zip(place).map(|(dim, at)| if *dim == 1 { 0 } else { *at }).collect::<Vec<_>>())
        };
        let expected = Array::of(&out, |place| pick(&left, &place).max(pick(&right, &place)));
        prop_assert_eq!(one(55, &[&left, &right], &[], &out, 39, &[]), Ok(expected));
        let expected = Array::of(&out, |place| pick(&left, &place).min(pick(&right, &place)));
        prop_assert_eq!(one(57, &[&right, &left], &[], &out, 39, &[]), Ok(expected));
    }

    #[test]
    fn reduces(shape in dims(1..=6), which: u8, keep: bool, seed: u64) {
        let gone = |i: usize| which >> i & 1 != 0;
        let axes: Vec<i32> = (0..shape.len()).filter(|i| gone(*i)).map(|i| i as i32).collect();
        prop_assume!(!axes.is_empty());
        let input = array(&shape, seed);
        let full: Vec<u32> = shape.iter().enumerate().map(|(i, dim)| if gone(i) { 1 } else { *dim }).collect();
        let out: Vec<u32> = match keep {
            true => full.clone(),
            false => full.iter().enumerate().filter(|(i, _)| !gone(*i)).map(|(_, dim)| *dim).collect(),
        };
        let group = |place: &[u32]| -> Vec<i32> {
            let same = |other: &Vec<u32>| (0..shape.len()).all(|i| gone(i) || other[i] == place[i]);
            places(&shape).into_iter().filter(same).map(|other| i32::from(input.at(&other))).collect()
        };
        let groups: Vec<Vec<i32>> = places(&full).iter().map(|place| group(place)).collect();
        let reduce = |code| one(code, &[&input], &[&axes], &out, 27, &[(0, &[u8::from(keep)])]).unwrap().values;
        for (values, [largest, smallest, sum, mean]) in groups.iter().zip(
            reduce(82).iter().zip(reduce(89)).zip(reduce(74)).zip(reduce(40)).map(|(((a, b), c), d)| [*a, b, c, d])
        ) {
            prop_assert_eq!(i32::from(largest), *values.iter().max().unwrap());
            prop_assert_eq!(i32::from(smallest), *values.iter().min().unwrap());
            let total: i32 = values.iter().sum();
            prop_assert_eq!(i32::from(sum), total.clamp(-128, 127));
            let real = f64::from(total) / values.len() as f64;
            // Two roundings: of the half, and of what is left.
            prop_assert!((f64::from(mean) - real).abs() < 1.0, "{} of {:?}", mean, values);
        }
    }

    #[test]
    fn transposed_convolutions(
        image in (1u32..5, 1u32..5, 1u32..4), filter in (1u32..5, 1u32..5, 1u32..4), stride in (1u32..4, 1u32..4), seed: u64
    ) {
        let ((rows, columns, depth), (filter_rows, filter_columns, filters)) = (image, filter);
        let input = array(&[1, rows, columns, depth], seed);
        let weights = array(&[filters, filter_rows, filter_columns, depth], !seed);
        // Without padding, the output has room for all: VALID.
        let out = [1, (rows - 1) * stride.0 + filter_rows, (columns - 1) * stride.1 + filter_columns, filters];
        let mut sums = vec![0i32; out.iter().product::<u32>() as usize];
        for place in places(&input.dims) {
            for tap in places(&weights.dims) {
                let (row, column) = (place[1] * stride.0 + tap[1], place[2] * stride.1 + tap[2]);
                if place[3] == tap[3] {
                    let at = (row * out[2] + column) * filters + tap[0];
                    sums[at as usize] += i32::from(input.at(&place)) * i32::from(weights.at(&tap));
                }
            }
        }
        let mut file = ModelFile::default();
        let shape = file.numbers(&out.map(|dim| dim as i32));
        let constant = file.constant(&weights.dims, 1.0, &weights.values);
        let source = file.input(&input.dims, 1.0, 0);
        let output = file.int8(&out, 64.0, 0);
        let (height, width) = (stride.0.to_le_bytes(), stride.1.to_le_bytes());
        file.operator(67, &[shape, constant, source], &[output], 49, &[(0, &[1]), (1, &width), (2, &height)]);
        file.output(output);
        prop_assert_eq!(run(&file, &[&input]), Ok(vec![sums.into_iter().map(|sum| rounded(sum, 6)).collect::<Vec<i8>>()]));
    }

    #[test]
    fn matrices(sizes in (1u32..5, 1u32..6, 1u32..5), batch in dims(0..=2), flags: [bool; 2], seed: u64) {
        let (rows, inner, columns) = sizes;
        let matrix = |a: u32, b: u32, flag: bool| [&batch[..], &if flag { [b, a] } else { [a, b] }].concat();
        let (left, right) = (array(&matrix(rows, inner, flags[0]), seed), array(&matrix(inner, columns, flags[1]), !seed));
        let out = matrix(rows, columns, false);
        let at = |array: &Array, place: &[u32], a: u32, b: u32, flag: bool| {
            let batch = &place[..place.len() - 2];
            i32::from(array.at(&[batch, &if flag { [b, a] } else { [a, b] }].concat()))
        };
        let mut file = ModelFile::default();
        let (a, b) = (file.input(&left.dims, 1.0, 0), file.input(&right.dims, 1.0, 0));
        let output = file.int8(&out, 256.0, 0);
        file.operator(126, &[a, b], &[output], 101, &[(0, &[u8::from(flags[0])]), (1, &[u8::from(flags[1])])]);
        file.output(output);
        let expected = Array::of(&out, |place| {
            let [row, column] = place[place.len() - 2..] else { unreachable!() };
            let sum: i32 = (0..inner).map(|i| at(&left, &place, row, i, flags[0]) * at(&right, &place, i, column, flags[1])).sum();
            rounded(sum, 8)
        });
        prop_assert_eq!(run(&file, &[&left, &right]), Ok(vec![expected.values]));
    }
}
