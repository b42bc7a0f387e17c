//! `kinglet graph`: a picture of a plain description, in Graphviz's DOT language.
//!
//! PDs are boxes, coloured by what they are (a driver has an interrupt or a device's registers), those of higher priority
//! further up. Arrows are protected calls, lines are notifications, dotted lines memory that several map and somebody writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use roxmltree::{Document, Node};

/// Arguments of `kinglet graph`.
#[derive(clap::Args)]
pub struct Args {
    /// A plain system description, as `kinglet expand` writes it
    system: PathBuf,
    /// The picture to write, for `dot -Tsvg`
    #[arg(short, long)]
    output: PathBuf,
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<(), String> {
    let plain = fs::read_to_string(&args.system).map_err(|why| format!("{}: {why}", args.system.display()))?;
    let picture = draw(&plain).map_err(|error| format!("{}: {error}", args.system.display()))?;
    fs::write(&args.output, picture).map_err(|why| format!("{}: {why}", args.output.display()))
}

/// The picture of a description.
fn draw(plain: &str) -> Result<String, roxmltree::Error> {
    let document = Document::parse(plain)?;
    let elements = |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
    let devices: BTreeSet<_> = elements("memory_region")
        .filter(|region| region.attribute("phys_addr").is_some() && region.attribute("prefill_path").is_none())
        .filter_map(|region| region.attribute("name"))
        .collect();

    let mut dot = String::from(
        "digraph system {\n  rankdir=TB; splines=true; nodesep=0.4;\n  \
         node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fillcolor=\"#eef3fa\", color=\"#555577\"];\n  \
         edge [fontname=\"sans-serif\", fontsize=10, color=\"#555577\"];\n",
    );
    let mut ranks: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
    for pd in elements("protection_domain") {
        let Some(name) = pd.attribute("name") else { continue };
        let priority = pd.attribute("priority").unwrap_or("0");
        ranks.entry(-priority.parse().unwrap_or(0)).or_default().push(name);
        let own = |tag: &'static str| pd.children().filter(move |child| child.has_tag_name(tag));
        let mut label = format!("{name}\\npriority {priority}");
        for irq in own("irq").filter_map(|irq| irq.attribute("irq")) {
            let _ = write!(label, "\\ninterrupt {irq}");
        }
        let mut drives = own("irq").next().is_some();
        for map in own("map") {
            let Some(region) = map.attribute("mr") else { continue };
            if devices.contains(region) {
                drives = true;
                let _ = write!(label, "\\ndevice {region}");
            }
            let writes = map.attribute("perms").unwrap_or("rw").contains('w');
            users.entry(region).or_default().push((name, writes));
        }
        let colour = if drives { ", fillcolor=\"#fdeeda\"" } else { "" };
        let _ = writeln!(dot, "  {name:?} [label=\"{label}\"{colour}];");
    }
    for names in ranks.values() {
        let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        let _ = writeln!(dot, "  {{ rank=same; {}; }}", names.join("; "));
    }
    for rank in ranks.values().collect::<Vec<_>>().windows(2) {
        let _ = writeln!(dot, "  {:?} -> {:?} [style=invis];", rank[0][0], rank[1][0]);
    }
    let mut joined = BTreeSet::new();
    for channel in elements("channel") {
        let ends: Vec<Node> = channel.children().filter(|node| node.has_tag_name("end")).collect();
        let [a, b] = ends[..] else { continue };
        let (Some(from), Some(to)) = (a.attribute("pd"), b.attribute("pd")) else { continue };
        joined.insert((from.min(to), from.max(to)));
        let _ = match (a.attribute("pp"), b.attribute("pp")) {
            (Some("true"), _) => writeln!(dot, "  {from:?} -> {to:?} [label=\"call\", constraint=false];"),
            (_, Some("true")) => writeln!(dot, "  {to:?} -> {from:?} [label=\"call\", constraint=false];"),
            _ => writeln!(dot, "  {from:?} -> {to:?} [dir=none, constraint=false];"),
        };
    }
    for (region, users) in users {
        for (index, (a, writes_a)) in users.iter().enumerate() {
            for (b, writes_b) in &users[index + 1..] {
                if (*writes_a || *writes_b) && !joined.contains(&(*a.min(b), *a.max(b))) {
                    let _ =
                        writeln!(dot, "  {a:?} -> {b:?} [dir=none, style=dotted, label={region:?}, constraint=false];");
                }
            }
        }
    }
    dot.push_str("}\n");
    Ok(dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_devices_and_shared_memory_are_drawn() {
        let picture = draw(
            r#"<system><memory_region name="uart" size="0x1000" phys_addr="0x1000"/><memory_region name="m" size="0x1000"/>
            <protection_domain name="a" priority="3"><map mr="uart" vaddr="0x1000"/><map mr="m" vaddr="0x3000"/></protection_domain>
            <protection_domain name="b"/><protection_domain name="c"><map mr="m" vaddr="0x2000" perms="r"/></protection_domain>
            <channel><end pd="b" id="1" pp="true"/><end pd="a" id="2"/></channel></system>"#,
        )
        .unwrap();
        assert!(picture.contains(r#""b" -> "a" [label="call""#), "{picture}");
        assert!(picture.contains("device uart") && picture.contains(r#"style=dotted, label="m""#), "{picture}");
        assert!(picture.contains(r#"{ rank=same; "b"; "c"; }"#), "{picture}");
    }
}
