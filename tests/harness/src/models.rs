//! The models' figures as tables, beside what other runtimes need on the same instruction set.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::bench::Figures;

/// What is known of other runtimes with a public model: instructions of an inference on rv64 without vectors, all with the
/// same outputs.
struct Known {
    model: &'static str,
    /// TensorFlow Lite Micro's reference kernels, as it builds them by default.
    reference: f64,
    /// The fewest of any scalar build that was measured: muRISCV-NN's, for micro_speech CMSIS-NN's.
    best: f64,
    /// What Kinglet is to stay below.
    goal: f64,
    /// Bytes of the reference's arena, with inputs and outputs.
    arena: f64,
}

const KNOWN: [Known; 5] = [
    Known { model: "micro_speech", reference: 11.7e6, best: 1.71e6, goal: 0.85e6, arena: 7312.0 },
    Known { model: "ad", reference: 2.47e6, best: 1.34e6, goal: 0.67e6, arena: 3424.0 },
    Known { model: "kws", reference: 48.5e6, best: 15.3e6, goal: 7.6e6, arena: 24000.0 },
    Known { model: "vww", reference: 119e6, best: 45.8e6, goal: 23e6, arena: 103_392.0 },
    Known { model: "ic", reference: 129e6, best: 54.5e6, goal: 27e6, arena: 55712.0 },
];

/// Whether a figure belongs to a single operator: the tables show it, the list of figures does not.
pub fn of_an_operator(name: &str) -> bool {
    operator(name).is_some()
}

/// Takes apart `ml_MODEL_opNN_NAME_insns` and `…_macs`: model, number, name, what.
fn operator(name: &str) -> Option<(&str, &str, &str, &str)> {
    let (model, rest) = name.strip_prefix("ml_")?.split_once("_op")?;
    let (number, rest) = rest.split_once('_').filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (name, what) = rest.rsplit_once('_').filter(|(_, what)| ["insns", "macs"].contains(what))?;
    Some((model, number, name, what))
}

/// The tables, or nothing if there are no figures of models.
pub fn tables(figures: &Figures) -> String {
    let value = |model: &str, what: &str| figures.get(&format!("ml_{model}_{what}")).map(|figure| figure.value);
    let names = figures.keys().filter_map(|name| name.strip_prefix("ml_")?.strip_suffix("_tables_bytes"));
    let models: Vec<_> = names.collect();
    let mut text = String::new();
    if models.is_empty() {
        return text;
    }
    let heads = [
        "insns",
        "per MAC",
        "goal",
        "best",
        "reference",
        "load",
        "arena B",
        "in+out B",
        "reference B",
        "tables B",
        "packed B",
    ];
    let _ = write!(text, "{:<14}", "model");
    heads.iter().for_each(|head| _ = write!(text, "{head:>12}"));
    text.push('\n');
    for model in &models {
        let known = KNOWN.iter().find(|known| known.model == *model);
        let cells = [
            value(model, "insns"),
            value(model, "insns_per_mac"),
            known.map(|known| known.goal),
            known.map(|known| known.best),
            known.map(|known| known.reference),
            value(model, "load_insns"),
            value(model, "arena_bytes"),
            value(model, "edge_bytes"),
            known.map(|known| known.arena),
            value(model, "tables_bytes"),
            value(model, "packed_bytes"),
        ];
        let _ = write!(text, "{model:<14}");
        cells.iter().for_each(|cell| _ = write!(text, "{:>12}", cell.map_or("-".into(), |cell| cell.to_string())));
        text.push('\n');
    }
    text.push_str("goal, best, reference: instructions; best is another runtime's scalar build, reference TensorFlow Lite Micro's\n");
    text.push_str("default; reference B is its arena, inputs and outputs included.\n");
    let mut operators: BTreeMap<&str, BTreeMap<(&str, &str), [f64; 2]>> = BTreeMap::new();
    for (name, figure) in figures {
        let Some((model, number, name, what)) = operator(name) else { continue };
        let cells = operators.entry(model).or_default().entry((number, name)).or_default();
        cells[usize::from(what == "macs")] = figure.value;
    }
    for (model, operators) in operators {
        let _ = writeln!(text, "\n{model:<4}{:<24}{:>12}{:>12}{:>10}", " operator", "insns", "MACs", "per MAC");
        for ((number, name), [instructions, macs]) in operators {
            let ratio = if macs > 0.0 { format!("{:.3}", instructions / macs) } else { "-".into() };
            let _ = writeln!(text, "  {number} {name:<23}{instructions:>12}{macs:>12}{ratio:>10}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Figure;

    #[test]
    fn operators_are_told_from_sums() {
        assert_eq!(operator("ml_kws_op03_CONV_2D_insns"), Some(("kws", "03", "CONV_2D", "insns")));
        assert_eq!(operator("ml_micro_speech_op00_RESHAPE_macs"), Some(("micro_speech", "00", "RESHAPE", "macs")));
        for other in
            ["ml_kws_CONV_2D_insns", "ml_kws_insns", "ml_my_open_insns", "ring_op00_X_insns", "ml_a_op1_X_bytes"]
        {
            assert!(!of_an_operator(other), "{other}");
        }
    }

    #[test]
    fn tables_have_a_line_for_each_model_and_operator() {
        let figures = [
            ("ml_kws_insns", 6e6),
            ("ml_kws_tables_bytes", 2832.0),
            ("ml_own_tables_bytes", 7.0),
            ("ml_kws_op00_CONV_2D_insns", 3000.0),
            ("ml_kws_op00_CONV_2D_macs", 2000.0),
            ("ring_notify", 1.0),
        ];
        let figure = |value| Figure { value, unit: String::new() };
        let text = tables(&figures.into_iter().map(|(name, value)| (name.to_owned(), figure(value))).collect());
        let words = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(words("kws")[..5], ["kws", "6000000", "-", "7600000", "15300000"]);
        assert_eq!(words("own")[1..4], ["-", "-", "-"]);
        assert_eq!(words("00"), ["00", "CONV_2D", "3000", "2000", "1.500"]);
        assert_eq!(tables(&Figures::new()), "");
    }
}
