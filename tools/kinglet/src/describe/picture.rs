//! The plan of a model's arena as a picture: operators from left to right, bytes from bottom to top.

use std::fmt::{self, Write};

use ml_runtime::Model;
use ml_runtime::describe::{Owner, Stay};

/// Rows of the picture in text.
const ROWS: u64 = 20;
/// What stands for a block in it.
const MARKS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A block of the arena, and what to call it.
struct Block {
    stay: Stay,
    label: String,
}

/// The plan of an arena.
pub struct Plan {
    blocks: Vec<Block>,
    operators: Vec<String>,
    arena_bytes: u64,
}

impl Plan {
    /// The plan of `model`.
    pub fn of(model: &Model<'_>) -> Self {
        let shape = |index| model.tensor(index).map(|tensor| format!("{:?}", tensor.dims())).unwrap_or_default();
        let blocks = model.arena_plan().map(|stay| {
            let label = match stay.owner {
                Owner::Tensor(index) => format!("t{index} {}", shape(index)),
                Owner::Variable(index) => format!("variable t{index}"),
                Owner::Scratch(index) => format!("scratch of {index}"),
            };
            Block { stay, label }
        });
        let operators = model.operators().map(|step| step.name.to_string()).collect();
        Plan { blocks: blocks.collect(), operators, arena_bytes: model.arena_bytes() as u64 }
    }

    /// The most bytes that are occupied at once.
    fn peak(&self) -> u64 {
        let live = |operator: u32| {
            let blocks =
                self.blocks.iter().filter(move |Block { stay, .. }| stay.first <= operator && operator <= stay.last);
            blocks.map(|block| u64::from(block.stay.bytes)).sum::<u64>()
        };
        (0..self.operators.len() as u32).map(live).max().unwrap_or(0)
    }

    /// What stands in the picture for the bytes of row `row` at `operator`: the block that has most of them.
    fn mark(&self, row: u64, operator: u32) -> char {
        let (from, to) = (row * self.arena_bytes / ROWS, (row + 1) * self.arena_bytes / ROWS);
        let shared = |stay: &Stay| {
            let (start, end) = (u64::from(stay.at), u64::from(stay.at) + u64::from(stay.bytes));
            end.min(to.max(from + 1)).saturating_sub(start.max(from))
        };
        let live = self.blocks.iter().enumerate().filter(|(_, block)| {
            block.stay.first <= operator && operator <= block.stay.last && shared(&block.stay) > 0
        });
        let most = live.max_by_key(|(_, block)| shared(&block.stay));
        most.map_or('.', |(index, _)| char::from(MARKS[index % MARKS.len()]))
    }

    /// The picture for a browser. `title` is any text.
    pub fn svg(&self, title: &str) -> String {
        const LEFT: f64 = 70.0;
        const TOP: f64 = 40.0;
        const HEIGHT: f64 = 420.0;
        let column = (900.0 / self.operators.len().max(1) as f64).clamp(14.0, 90.0);
        let width = column * self.operators.len() as f64;
        let scale = HEIGHT / self.arena_bytes.max(1) as f64;
        let x = |operator: u32| LEFT + column * f64::from(operator);
        let y = |bytes: u64| TOP + HEIGHT - bytes as f64 * scale;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{}: arena of {} bytes</text>\n",
            (LEFT + width + 30.0).max(500.0),
            TOP + HEIGHT + 170.0,
            escape(title),
            self.arena_bytes
        );
        for tick in 0..=4 {
            let bytes = self.arena_bytes * tick / 4;
            let at = y(bytes);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ccc\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{bytes}</text>",
                LEFT + width,
                LEFT - 6.0,
                at + 4.0
            );
        }
        for (index, Block { stay, label }) in self.blocks.iter().enumerate() {
            let fill = match stay.owner {
                Owner::Tensor(_) => format!("hsl({},55%,78%)", index * 67 % 360),
                Owner::Variable(_) => "#c9b2e0".into(),
                Owner::Scratch(_) => "#ddd".into(),
            };
            let end = u64::from(stay.at) + u64::from(stay.bytes);
            let (left, top) = (x(stay.first), y(end));
            let (wide, high) = (x(stay.last + 1) - left, f64::from(stay.bytes) * scale);
            let note =
                format!("{label}: {} bytes at {}, operators {} to {}", stay.bytes, stay.at, stay.first, stay.last);
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"{fill}\" stroke=\"#555\"><title>{}</title></rect>",
                escape(&note)
            );
            // A label only where it has room; letters are about six units wide.
            let short = label.split(' ').next().unwrap_or_default();
            let text = [label.as_str(), short].into_iter().find(|text| wide >= 6.5 * text.len() as f64);
            if let Some(text) = text.filter(|_| high >= 13.0) {
                let (middle, base) = (left + wide / 2.0, top + high / 2.0 + 4.0);
                let _ = writeln!(
                    svg,
                    "<text x=\"{middle:.1}\" y=\"{base:.1}\" text-anchor=\"middle\">{}</text>",
                    escape(text)
                );
            }
        }
        for (index, name) in self.operators.iter().enumerate() {
            let (at, base) = (x(index as u32) + column / 2.0 + 4.0, TOP + HEIGHT + 10.0);
            let _ = writeln!(
                svg,
                "<text transform=\"translate({at:.1},{base:.1}) rotate(-90)\" text-anchor=\"end\">{index} {}</text>",
                escape(name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Text as XML has it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = self.peak();
        writeln!(f, "arena: {} bytes; at most {peak} are in use at once", self.arena_bytes)?;
        if self.arena_bytes == 0 {
            return Ok(());
        }
        let operators = self.operators.len() as u32;
        // Wider where there is room.
        let repeat = if operators <= 36 { 2 } else { 1 };
        for row in (0..ROWS).rev() {
            write!(f, "{:>8} |", row * self.arena_bytes / ROWS)?;
            for operator in 0..operators {
                let mark = self.mark(row, operator);
                (0..repeat).try_for_each(|_| f.write_char(mark))?;
            }
            writeln!(f)?;
        }
        write!(f, "{:>8} +", "byte")?;
        for operator in 0..operators {
            if operator % 5 == 0 {
                write!(f, "{:-<width$}", operator, width = repeat * 5.min((operators - operator) as usize))?;
            }
        }
        writeln!(f, "  operator")?;
        for (index, Block { stay, label }) in self.blocks.iter().enumerate() {
            let mark = char::from(MARKS[index % MARKS.len()]);
            writeln!(
                f,
                "  {mark}  {label:<24} {:>8} bytes at {:>8}, operators {} to {}",
                stay.bytes, stay.at, stay.first, stay.last
            )?;
        }
        Ok(())
    }
}
