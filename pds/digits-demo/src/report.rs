//! What came of it, and how that is told.

use core::fmt;

use protocols::console::{Level, Lines, Outbox};
use protocols::model::{JobResult, code};
use protocols::model_pack::{PackedModel, Sample};

/// Scans that are shown as pictures.
const PICTURES: usize = 4;
/// Rows and columns of a scan.
const SIDE: usize = 8;
/// The share of right answers below which something is wrong with the model, in percent.
const LEAST_RIGHT: usize = 95;

/// What is counted.
pub(crate) struct Tally<'a> {
    model: PackedModel<'a>,
    answered: usize,
    right: usize,
    exact: usize,
    failed: usize,
    first_failure: u32,
    pub retries: u32,
    pub restarts: u32,
    /// Class and its stored probability of the first scans.
    shown: [Option<(usize, i8)>; PICTURES],
    /// The quickest inference.
    best: Option<JobResult>,
}

/// The class with the largest probability, and that.
fn top(output: &[u8]) -> Option<(usize, i8)> {
    let values = output.iter().map(|value| *value as i8).enumerate();
    // The first of equals, as usual.
    values.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

impl<'a> Tally<'a> {
    pub fn new(model: PackedModel<'a>) -> Self {
        Tally {
            model,
            answered: 0,
            right: 0,
            exact: 0,
            failed: 0,
            first_failure: code::DONE,
            retries: 0,
            restarts: 0,
            shown: [None; PICTURES],
            best: None,
        }
    }

    /// Counts an output.
    pub fn add(&mut self, scan: usize, sample: &Sample<'_>, output: &[u8], result: &JobResult) {
        self.answered += 1;
        self.exact += usize::from(output == sample.output);
        let best = top(output);
        self.right += usize::from(best.map(|(class, _)| class) == sample.label.map(usize::from));
        if let Some(shown) = self.shown.get_mut(scan) {
            *shown = best;
        }
        if self.best.is_none_or(|best| result.instructions < best.instructions) {
            self.best = Some(*result);
        }
    }

    /// Counts a scan that was given up.
    pub fn fail(&mut self, code: u32) {
        self.failed += 1;
        if self.first_failure == code::DONE {
            self.first_failure = code;
        }
    }

    fn passed(&self) -> bool {
        let scans = self.model.samples();
        scans > 0 && self.answered == scans && self.exact == scans && self.right * 100 >= scans * LEAST_RIGHT
    }

    /// How many lines the report has.
    pub fn lines(&self) -> usize {
        SIDE + 7
    }

    /// Prints line `index` of the report.
    pub fn print(&self, index: usize, lines: &mut Lines, console: &mut impl Outbox) {
        lines.print(console, Level::Info, format_args!("{}", Line { tally: self, index }));
    }
}

struct Line<'t, 'a> {
    tally: &'t Tally<'a>,
    index: usize,
}

impl fmt::Display for Line<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        let scans = tally.model.samples();
        let Some(index) = self.index.checked_sub(1) else {
            let bytes = tally.model.file().len();
            return write!(
                f,
                "digits: {scans} scans of handwriting that the model was not trained on; model of {bytes} bytes"
            );
        };
        if index < SIDE {
            return picture_row(f, tally, index);
        }
        match index - SIDE {
            0 => captions(f, tally),
            1 => match &tally.best {
                Some(JobResult { compute_ns, instructions, macs, .. }) => {
                    let per_mac = instructions * 100 / (*macs).max(1);
                    write!(f, "digits: one inference: {} us, {instructions} instructions, ", compute_ns / 1000)?;
                    write!(f, "{}.{:02} per multiply-accumulate ({macs})", per_mac / 100, per_mac % 100)
                }
                None => f.write_str("digits: no inference finished"),
            },
            2 => write!(f, "digits: accuracy: {} of {scans} right, {}", tally.right, Percent(tally.right, scans)),
            3 => write!(f, "digits: {} of {scans} outputs equal the reference bit for bit", tally.exact),
            4 => write!(
                f,
                "digits: {} restarts of the model runner, {} jobs tried again, {} failed",
                tally.restarts, tally.retries, tally.failed
            ),
            _ if tally.passed() => {
                write!(f, "digits: PASS {scans} scans, all outputs exact, {} right", Percent(tally.right, scans))
            }
            _ => {
                write!(f, "digits: FAIL {} of {scans} outputs exact, {}", tally.exact, Percent(tally.right, scans))?;
                write!(f, " right, {} without answer: {}", scans - tally.answered, code::text(tally.first_failure))
            }
        }
    }
}

/// A share with two decimals, rounded to nearest.
struct Percent(usize, usize);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.1.max(1);
        let hundredths = (self.0 * 10_000 + whole / 2) / whole;
        write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100)
    }
}

/// Row `row` of the first scans side by side, two characters a pixel.
fn picture_row(f: &mut fmt::Formatter<'_>, tally: &Tally<'_>, row: usize) -> fmt::Result {
    const SHADES: [&str; 8] = ["  ", "..", "::", "--", "==", "++", "##", "@@"];
    for scan in 0..PICTURES {
        let Some(sample) = tally.model.sample(scan) else { break };
        for pixel in sample.input.iter().skip(row * SIDE).take(SIDE) {
            // Stored values run from −128 (white paper) to 127 (black ink).
            let shade = (i32::from(*pixel as i8) + 128) as usize * SHADES.len() / 256;
            f.write_str(SHADES[shade])?;
        }
        f.write_str("  ")?;
    }
    Ok(())
}

/// What the first scans were taken for.
fn captions(f: &mut fmt::Formatter<'_>, tally: &Tally<'_>) -> fmt::Result {
    for (scan, shown) in tally.shown.iter().enumerate().take(tally.model.samples()) {
        let label = tally.model.sample(scan).and_then(|sample| sample.label);
        match shown {
            Some((class, stored)) => {
                let percent = (i32::from(*stored) + 128) * 100 / 256;
                let verdict = if label.map(usize::from) == Some(*class) { "right" } else { "wrong" };
                write!(f, " {class}  ({percent:3} %)  {verdict}  ")?;
            }
            None => write!(f, " no answer         ")?,
        }
    }
    Ok(())
}
