//! Rules about links: two ends that talk by ring.
//!
//! An end called `NAME` is the symbols `NAME_tx` and `NAME_rx` (addresses of the own and of the peer's region), `NAME_tx_size`,
//! `NAME_rx_size` and `NAME_channel`. `<link>` sets them all; so can a description that spells everything out.

use super::description::{End, Pd, Value};
use super::program::Link;
use super::{Check, list, suggest};

/// Regions are whole pages.
const PAGE_BYTES: u64 = 0x1000;

/// An end of a link that the description wires, whatever the program declares.
#[derive(Clone, Copy, Debug)]
pub struct Wired<'a> {
    pub name: &'a str,
    /// Maps of the own and of the peer's region.
    maps: [usize; 2],
    /// Index of the channel, and of the end.
    channel: usize,
    end: usize,
}

/// Which words an end consists of.
const SUFFIXES: [&str; 5] = ["_tx", "_tx_size", "_rx", "_rx_size", "_channel"];

/// Ends of links that the description wires in a protection domain.
pub fn wired<'a>(pd: &Pd<'a>) -> Vec<Wired<'a>> {
    let map = |name: &str, suffix: &str| match value(pd, &format!("{name}{suffix}")) {
        Some(Value::Address(map)) => Some(map),
        _ => None,
    };
    let end = |symbol: &'a str, to| {
        let (name, Value::ChannelId(channel, end)) = (symbol.strip_suffix("_channel")?, to) else { return None };
        Some(Wired { name, maps: [map(name, "_tx")?, map(name, "_rx")?], channel, end })
    };
    pd.settings.iter().filter_map(|setting| end(setting.symbol, setting.to)).collect()
}

/// What a symbol is set to.
pub fn value<'a>(pd: &Pd<'a>, symbol: &str) -> Option<Value<'a>> {
    pd.settings.iter().find(|setting| setting.symbol == symbol).map(|setting| setting.to)
}

/// The name of the link to which a symbol would belong, if the description wires it and the program has none of it.
pub fn undeclared_link<'a>(check: &Check<'a>, pd: usize, symbol: &str) -> Option<&'a str> {
    wired(&check.system.pds[pd]).into_iter().map(|wired| wired.name).find(|name| {
        let suffix = symbol.strip_prefix(name).unwrap_or_default();
        (SUFFIXES.contains(&suffix) || suffix == "_data" || suffix == "_data_size")
            && !SUFFIXES.iter().any(|suffix| check.has_variable(pd, &format!("{name}{suffix}")))
    })
}

pub fn check(check: &mut Check) {
    for pd in 0..check.system.pds.len() {
        let Some(interface) = check.interface(pd).cloned() else { continue };
        for end in wired(&check.system.pds[pd]) {
            if is_wired_twice(&check.system.pds[pd], end.name) {
                let name = check.system.pds[pd].name;
                let message = format!("the link '{}' of '{name}' is wired more than once; remove one", end.name);
                check.error(place(check, &end), message);
                continue;
            }
            match interface.links.get(end.name) {
                Some(link) => check_end(check, pd, &end, link),
                None if undeclared_link(check, pd, &format!("{}_tx", end.name)).is_some() => {
                    let known = || interface.links.keys().map(String::as_str);
                    let (name, suggestion) = (check.system.pds[pd].name, suggest(end.name, known()));
                    let message = format!("'{name}' has no link '{}'; it has: {}{suggestion}", end.name, list(known()));
                    check.error(place(check, &end), message);
                }
                None => {}
            }
        }
        for (name, link) in &interface.links {
            if is_wired_twice(&check.system.pds[pd], name) {
                continue;
            }
            check_whole(check, pd, name, link);
        }
    }
}

/// Where a link stands: its channel, or what `<link>` put before that on the same line.
pub fn place(check: &Check, end: &Wired) -> usize {
    let channel = &check.system.channels[end.channel];
    // The name that `<link>` gives to an end's own region.
    let region = |end: &End| {
        let name = end.symbol?.strip_suffix("_channel")?;
        check.system.regions.get(format!("{}.{name}", check.system.pds[end.pd].name).as_str())
    };
    let regions = channel.ends.iter().filter_map(region).map(|region| region.at);
    let before = regions.filter(|at| *at < channel.at && !check.text[*at..channel.at].contains('\n'));
    before.min().unwrap_or(channel.at)
}

/// Whether a symbol is a word of an end that the description wires more than once, which is told of the end as a whole.
pub fn is_of_link_wired_twice(pd: &Pd, symbol: &str) -> bool {
    let is_word = |name: &str| symbol.strip_prefix(name).is_some_and(|suffix| SUFFIXES.contains(&suffix));
    wired(pd).iter().any(|end| is_word(end.name) && is_wired_twice(pd, end.name))
}

/// Whether the description wires an end more than once.
fn is_wired_twice(pd: &Pd, name: &str) -> bool {
    wired(pd).iter().filter(|end| end.name == name).count() > 1
}

/// All words of an end are set, or none; none only where the program can do without.
fn check_whole(check: &mut Check, pd: usize, name: &str, link: &Link) {
    let domain = &check.system.pds[pd];
    let symbols = SUFFIXES.map(|suffix| format!("{name}{suffix}"));
    let missing: Vec<&str> =
        symbols.iter().map(String::as_str).filter(|symbol| value(domain, symbol).is_none()).collect();
    if missing.len() == symbols.len() {
        if link.required {
            let message = format!(
                "'{}' needs its link '{name}' ({}), which is not wired; add <link bytes=\"{:#x}\"><end pd=\"{}\" \
                 name=\"{name}\" />…</link>",
                domain.name,
                link.protocol,
                link.min_bytes[0].max(link.min_bytes[1]).next_multiple_of(PAGE_BYTES),
                domain.name,
            );
            check.error(domain.at, message);
        }
        return;
    }
    if !missing.is_empty() {
        let message = format!(
            "the link '{name}' of '{}' is wired in part: nothing sets {}; write <link>, or set them all",
            domain.name,
            list(missing)
        );
        let first = domain.settings.iter().find(|setting| symbols.iter().any(|symbol| symbol == setting.symbol));
        check.error(first.map_or(domain.at, |setting| setting.at), message);
        return;
    }
    // Each word is of the right kind, and sizes are those of the same region.
    let region = |map: usize| domain.maps[map].region;
    let mut wrong = Vec::new();
    for (symbol, setting) in domain
        .settings
        .iter()
        .filter_map(|setting| Some((symbols.iter().position(|symbol| symbol == setting.symbol)?, setting)))
    {
        let address = |of: usize| match value(domain, &symbols[of]) {
            Some(Value::Address(map)) => Some(region(map)),
            _ => None,
        };
        let (fits, what) = match (symbol, setting.to) {
            (0 | 2, to) => (matches!(to, Value::Address(_)), "the address of a region (setvar_vaddr)".to_owned()),
            (1 | 3, Value::Size(map)) => {
                let expected = address(symbol - 1);
                (expected.is_none_or(|expected| expected == region(map)), {
                    format!("the size of '{}', whose address is in {}", expected.unwrap_or("?"), symbols[symbol - 1])
                })
            }
            (1 | 3, _) => (false, "the size of a region (setvar_size)".to_owned()),
            (_, to) => (matches!(to, Value::ChannelId(..)), "the id of a channel (setvar_id)".to_owned()),
        };
        if !fits {
            wrong.push((setting.at, format!("{} of '{}' must be set to {what}", setting.symbol, domain.name)));
        }
    }
    for (at, message) in wrong {
        check.error(at, message);
    }
}

/// One end by itself: rights, sizes, notifications; then the other end.
fn check_end(check: &mut Check, pd: usize, end: &Wired, link: &Link) {
    let (domain, at, name) = (&check.system.pds[pd], place(check, end), end.name);
    let [tx, rx] = end.maps.map(|map| &domain.maps[map]);
    let channel = &check.system.channels[end.channel];
    let peer = channel.ends[1 - end.end].pd;
    let (own_name, peer_name) = (domain.name, check.system.pds[peer].name);
    let map_at = |suffix: &str| {
        let symbol = format!("{name}{suffix}");
        domain.settings.iter().find(|setting| setting.symbol == symbol).map_or(at, |setting| setting.at)
    };
    let mut found = Vec::new();
    if !tx.writable {
        let message = format!(
            "'{own_name}' cannot write '{}', its own region of link '{name}'; map it with perms=\"rw\"",
            tx.region
        );
        found.push((map_at("_tx"), message));
    }
    if rx.writable {
        let message = format!(
            "'{own_name}' can write '{}', which in link '{name}' only '{peer_name}' may write; map it with perms=\"r\"",
            rx.region
        );
        found.push((map_at("_rx"), message));
    }
    // What the peer writes is the peer's to judge, if its program says anything.
    let sides = if check.interface(peer).is_some() { 0..1 } else { 0..2 };
    for side in sides {
        let (map, needed) = (end.maps[side], link.min_bytes[side]);
        let Some(bytes) = check.system.map_bytes(domain, map).filter(|bytes| *bytes < needed) else { continue };
        found.push((
            at,
            format!(
                "the region '{}' has {bytes:#x} bytes; link '{name}' of '{own_name}' needs {needed:#x} for its index page \
                 and one {} of {} bytes; make it {:#x}",
                domain.maps[map].region,
                link.entry_types[side],
                link.entry_bytes[side],
                needed.next_multiple_of(PAGE_BYTES)
            ),
        ));
    }
    let silent = &channel.ends[end.end];
    if !silent.may_notify {
        let message =
            format!("'{own_name}' cannot notify '{peer_name}' on link '{name}'; remove notify=\"false\" from this end");
        found.push((silent.at, message));
    }
    found.extend(check_peer(check, pd, end, link).into_iter().map(|message| (at, message)));
    for (at, message) in found {
        check.error(at, message);
    }
}

/// Both ends together. Told once for both, at the end that comes first.
fn check_peer(check: &Check, pd: usize, end: &Wired, link: &Link) -> Vec<String> {
    let channel = &check.system.channels[end.channel];
    let other_end = &channel.ends[1 - end.end];
    let (own, peer) = (&check.system.pds[pd], &check.system.pds[other_end.pd]);
    let [tx, rx] = end.maps.map(|map| own.maps[map].region);
    let Some(interface) = check.interface(other_end.pd) else {
        let maps =
            |region: &str, writable: bool| peer.maps.iter().any(|map| map.region == region && map.writable == writable);
        let missing =
            [(tx, false, "r"), (rx, true, "rw")].into_iter().filter(|(region, writable, _)| !maps(region, *writable));
        return missing
            .map(|(region, _, perms)| {
                format!(
                    "'{}' does not map '{region}' of link '{}' to '{}' with perms=\"{perms}\"; add the map",
                    peer.name, end.name, own.name
                )
            })
            .collect();
    };
    let other = wired(peer).into_iter().find(|other| (other.channel, other.end) == (end.channel, 1 - end.end));
    let Some((other, theirs)) = other.and_then(|other| Some((other, interface.links.get(other.name)?))) else {
        // A name that the program does not know is told where names are judged.
        let told = other_end.symbol.is_some_and(|symbol| !check.has_variable(other_end.pd, symbol));
        let message = format!(
            "link '{}' of '{}' ends at channel {} of '{}', which is none of its links; it has: {}",
            end.name,
            own.name,
            other_end.id,
            peer.name,
            list(interface.links.keys().map(String::as_str))
        );
        return if told { Vec::new() } else { vec![message] };
    };
    if end.end != 0 || is_wired_twice(peer, other.name) {
        return Vec::new();
    }
    let mut found: Vec<String> =
        terms(check, (pd, end.name, link), (other_end.pd, other.name, theirs)).into_iter().collect();
    let [their_tx, their_rx] = other.maps.map(|map| peer.maps[map].region);
    for (writer, sent, reader, received) in [(own, tx, peer, their_rx), (peer, their_tx, own, rx)] {
        if sent != received {
            found.push(format!(
                "'{}' writes '{sent}' on the link to '{}', which reads '{received}'; both must map one region",
                writer.name, reader.name
            ));
        }
    }
    found.extend(data(check, (pd, end.name), (other_end.pd, other.name)));
    found
}

type Party<'p> = (usize, &'p str, &'p Link);

/// Protocol, version and entries of two ends.
fn terms(check: &Check, a: Party, b: Party) -> Option<String> {
    let name = |party: Party| check.system.pds[party.0].name;
    let says = |party: Party| format!("'{}' speaks {} on its link '{}'", name(party), party.2.protocol, party.1);
    let (link_a, link_b) = (a.2, b.2);
    if link_a.protocol.id != link_b.protocol.id {
        let speakers = |party: Party, link: &Link| {
            let links = check.interface(party.0).into_iter().flat_map(|interface| &interface.links);
            let same = links.filter(|(_, other)| other.protocol == link.protocol).map(|(name, _)| name.as_str());
            format!("'{}' speaks {} on: {}", name(party), link.protocol, list(same))
        };
        return Some(format!(
            "{}, but {}; join ends that speak the same: {}, {}",
            says(a),
            says(b),
            speakers(a, link_b),
            speakers(b, link_a)
        ));
    }
    if link_a.protocol != link_b.protocol {
        return Some(format!("{}, but {}; build both programs from the same definition", says(a), says(b)));
    }
    if link_a.entry_types == link_b.entry_types && link_a.entry_types[0] != link_a.entry_types[1] {
        return Some(format!(
            "'{}' and '{}' have the same role on this link: both send {} ({}); join '{}' with the other side of {}",
            name(a),
            name(b),
            link_a.entry_types[0],
            link_a.protocol,
            a.1,
            link_a.protocol
        ));
    }
    [(a, b), (b, a)].into_iter().find_map(|(from, to)| {
        let (sent, received) = (&from.2.entry_types[0], &to.2.entry_types[1]);
        let (sent_bytes, received_bytes) = (from.2.entry_bytes[0], to.2.entry_bytes[1]);
        (sent != received || sent_bytes != received_bytes).then(|| {
            format!(
                "'{}' sends {sent} of {sent_bytes} bytes on its link '{}', but '{}' receives {received} of \
                 {received_bytes} bytes on '{}'; build both programs from the same definition",
                name(from),
                from.1,
                name(to),
                to.1
            )
        })
    })
}

/// If both programs know of a region of data beside the link, then it is the same one, or there is none.
fn data(check: &Check, a: (usize, &str), b: (usize, &str)) -> Option<String> {
    let symbols = [a, b].map(|(pd, name)| (pd, format!("{name}_data")));
    if !symbols.iter().all(|(pd, symbol)| check.has_variable(*pd, symbol)) {
        return None;
    }
    let regions = symbols.each_ref().map(|(pd, symbol)| match value(&check.system.pds[*pd], symbol) {
        Some(Value::Address(map)) => Some(check.system.pds[*pd].maps[map].region),
        _ => None,
    });
    let says = |index: usize| {
        let (pd, symbol) = &symbols[index];
        let region = regions[index].map_or("not set".to_owned(), |region| format!("region '{region}'"));
        format!("{symbol} of '{}' is {region}", check.system.pds[*pd].name)
    };
    (regions[0] != regions[1])
        .then(|| format!("{}, but {}; both must map one region: data=\"SIZE\" on the <link>", says(0), says(1)))
}
