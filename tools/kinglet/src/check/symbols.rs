//! Rules about what the composer writes into programs, and what they need of memory.

use super::description::Value;
use super::links::{is_of_link_wired_twice, place, undeclared_link, value, wired};
use super::{Check, list, suggest};

pub fn check(check: &mut Check) {
    let mut found = Vec::new();
    for pd in 0..check.system.pds.len() {
        twice(check, pd, &mut found);
        undeclared(check, pd, &mut found);
        regions(check, pd, &mut found);
        domain(check, pd, &mut found);
    }
    for (name, region) in check.system.regions.iter().filter(|(_, region)| !region.is_used) {
        found.push((region.at, format!("nobody maps the memory region '{name}'; map it or remove it")));
    }
    for (at, message) in found {
        check.error(at, message);
    }
    idle_ends(check);
}

type Found = Vec<(usize, String)>;

fn twice(check: &Check, pd: usize, found: &mut Found) {
    let domain = &check.system.pds[pd];
    for (index, setting) in domain.settings.iter().enumerate() {
        let Some(first) = domain.settings[..index].iter().find(|first| first.symbol == setting.symbol) else {
            continue;
        };
        // Said of the link as a whole.
        if check.interface(pd).is_some() && is_of_link_wired_twice(domain, setting.symbol) {
            continue;
        }
        let line = check.text[..first.at].matches('\n').count() + 1;
        let message = format!(
            "the symbol '{}' of '{}' is set twice, first on line {line}; remove one",
            setting.symbol, domain.name
        );
        found.push((setting.at, message));
    }
}

fn undeclared(check: &Check, pd: usize, found: &mut Found) {
    let domain = &check.system.pds[pd];
    let (Some(program), Some(interface)) = (&check.programs[pd], check.interface(pd)) else { return };
    for setting in domain.settings.iter().filter(|setting| !program.variables.contains(setting.symbol)) {
        // Said of the link as a whole.
        if undeclared_link(check, pd, setting.symbol).is_some() {
            continue;
        }
        let link = setting.symbol.strip_suffix("_size").unwrap_or(setting.symbol).strip_suffix("_data");
        let ends = wired(domain);
        let end = ends.iter().find(|end| Some(end.name) == link && interface.links.contains_key(end.name));
        if let Some(end) = end {
            let message = format!(
                "the link '{}' of '{}' has no data beside its rings; remove data from the <link>",
                end.name, domain.name
            );
            // Two symbols, one mistake.
            found.push((place(check, end), message));
            continue;
        }
        let names = || program.variables.iter().map(String::as_str);
        // The words of links are many, and are set by <link>.
        let of_link = |name: &str| {
            interface.links.keys().any(|link| {
                name.strip_prefix(link.as_str())
                    .is_some_and(|rest| matches!(rest, "_tx" | "_tx_size" | "_rx" | "_rx_size" | "_channel"))
            })
        };
        found.push((
            setting.at,
            format!(
                "the program of '{}' has no symbol '{}'; it has: {}{}",
                domain.name,
                setting.symbol,
                list(names().filter(|name| !of_link(name))),
                suggest(setting.symbol, names())
            ),
        ));
    }
}

/// Regions that the program asks for are mapped and large enough.
fn regions(check: &Check, pd: usize, found: &mut Found) {
    let domain = &check.system.pds[pd];
    let Some(interface) = check.interface(pd) else { return };
    for (symbol, min_bytes) in &interface.regions {
        let setting = domain.settings.iter().find(|setting| setting.symbol == symbol);
        match (setting, value(domain, symbol)) {
            (Some(setting), Some(Value::Address(map))) => {
                let Some(bytes) = check.system.map_bytes(domain, map).filter(|bytes| bytes < min_bytes) else {
                    continue;
                };
                let message = format!(
                    "the region '{}' has {bytes:#x} bytes, but '{}' needs at least {min_bytes:#x} at '{symbol}'; make it larger",
                    domain.maps[map].region, domain.name
                );
                found.push((setting.at, message));
            }
            (Some(setting), _) => {
                let message = format!(
                    "'{symbol}' of '{}' takes the address of a memory region; set it by setvar_vaddr of a <map>",
                    domain.name
                );
                found.push((setting.at, message));
            }
            (None, _) => {
                let link = symbol.strip_suffix("_data").filter(|name| interface.links.contains_key(*name));
                let fix = match link {
                    // Without the link there is nothing to put into the region.
                    Some(link) if wired(domain).iter().all(|wired| wired.name != link) => continue,
                    Some(link) => format!("add data=\"SIZE\" to the link '{link}'"),
                    None => format!("add <map mr=\"…\" vaddr=\"…\" setvar_vaddr=\"{symbol}\" />"),
                };
                let message =
                    format!("'{}' needs a memory region at '{symbol}', and no map gives it; {fix}", domain.name);
                found.push((domain.at, message));
            }
        }
    }
}

/// The protection domain itself: its stack, and whether it can be restarted.
fn domain(check: &Check, pd: usize, found: &mut Found) {
    let domain = &check.system.pds[pd];
    let needed = check.interface(pd).map_or(0, |interface| interface.min_stack_bytes);
    if let Some(bytes) = domain.stack_bytes.filter(|bytes| *bytes < needed) {
        let message = format!(
            "'{}' has a stack of {bytes:#x} bytes, but its program needs {needed:#x}; set stack_size=\"{needed:#x}\"",
            domain.name
        );
        found.push((domain.at, message));
    }
    if domain.passive && domain.is_child {
        let message = format!(
            "'{}' is passive and a child: its parent could not restart it, because it has no time of its own; remove \
             passive=\"true\", or move it out of its parent",
            domain.name
        );
        found.push((domain.at, message));
    }
}

/// Channels that carry nothing, and ends that no program knows of.
fn idle_ends(check: &mut Check) {
    let mut found = Vec::new();
    for channel in &check.system.channels {
        let names = channel.ends.each_ref().map(|end| check.system.pds[end.pd].name);
        if channel.ends.iter().all(|end| !end.may_call && !end.may_notify) {
            found.push((
                channel.at,
                format!("the channel of '{}' and '{}' carries nothing; remove it", names[0], names[1]),
            ));
        }
        for (index, end) in channel.ends.iter().enumerate() {
            let Some(interface) = check.interface(end.pd).filter(|interface| interface.declares_channels()) else {
                continue;
            };
            let is_called = channel.ends[1 - index].may_call;
            if end.symbol.is_none() && !end.may_call && !is_called && interface.serves.is_empty() {
                let message = format!(
                    "nothing in the program of '{}' knows of channel {}; set setvar_id to one of its symbols, or remove \
                     the channel",
                    names[index], end.id
                );
                found.push((end.at, message));
            }
        }
    }
    for (at, message) in found {
        check.warn(at, message);
    }
}
