//! Rules about protected calls.

use super::description::{End, Value};
use super::{Check, list, suggest};

/// A call that the description allows: caller's end and callee's end of one channel.
struct Call {
    channel: usize,
    caller_end: usize,
}

pub fn check(check: &mut Check) {
    let mut calls = Vec::new();
    for (channel, ends) in check.system.channels.iter().enumerate() {
        calls.extend((0..2).filter(|end| ends.ends[*end].may_call).map(|caller_end| Call { channel, caller_end }));
    }
    let mut found = Vec::new();
    for call in &calls {
        let ends = &check.system.channels[call.channel].ends;
        let (caller, callee) = (&ends[call.caller_end], &ends[1 - call.caller_end]);
        let messages =
            [priorities(check, caller, callee), budget(check, caller, callee), meaning(check, caller, callee)];
        found.extend(messages.into_iter().flatten().map(|message| (caller.at, message)));
    }
    found.extend(cycles(check, &calls));
    found.extend(without_right(check));
    for (at, message) in found {
        check.error(at, message);
    }
}

fn priorities(check: &Check, caller: &End, callee: &End) -> Option<String> {
    let (from, to) = (&check.system.pds[caller.pd], &check.system.pds[callee.pd]);
    let (low, high) = (from.priority?, to.priority?);
    (low >= high).then(|| {
        format!(
            "'{}' (priority {low}) calls '{}' (priority {high}); protected calls go only to a strictly higher priority: \
             raise '{}' or lower '{}'",
            from.name, to.name, to.name, from.name
        )
    })
}

/// A caller whose budget runs out inside a passive server takes the server with it until its next period.
fn budget(check: &Check, caller: &End, callee: &End) -> Option<String> {
    let (from, to) = (&check.system.pds[caller.pd], &check.system.pds[callee.pd]);
    let (budget, period) = (from.budget_us?, from.period_us?);
    (to.passive && budget < period).then(|| {
        format!(
            "'{}' (budget {budget} of {period} us) calls the passive server '{}', and would stall its other clients when \
             its budget runs out in there; make '{}' active, or the budget as long as the period",
            from.name, to.name, to.name
        )
    })
}

/// Whether both programs know of the call, and mean the same by it.
fn meaning(check: &Check, caller: &End, callee: &End) -> Option<String> {
    let (from, to) = (check.system.pds[caller.pd].name, check.system.pds[callee.pd].name);
    let asks = match check.interface(caller.pd).filter(|interface| interface.declares_channels()) {
        None => None,
        Some(interface) => {
            // A symbol that the program does not have is told where symbols are judged.
            if caller.symbol.is_some_and(|symbol| !check.has_variable(caller.pd, symbol)) {
                return None;
            }
            let declared = caller.symbol.and_then(|symbol| interface.calls.get(symbol));
            if declared.is_none() {
                let known = || interface.calls.keys().map(String::as_str);
                let written = caller.symbol.map_or(format!("channel {}", caller.id), |symbol| format!("'{symbol}'"));
                return Some(format!(
                    "the program of '{from}' makes no calls on {written}; it calls on: {}{}; set setvar_id to one of \
                     these, remove pp=\"true\", or declare the call with protocols::calls!",
                    list(known()),
                    suggest(caller.symbol.unwrap_or_default(), known())
                ));
            }
            declared
        }
    };
    let interface = check.interface(callee.pd)?;
    if interface.serves.is_empty() && interface.declares_channels() {
        return Some(format!(
            "the program of '{to}' answers no calls; let '{from}' call another, remove pp=\"true\", or declare it with \
             protocols::serves!"
        ));
    }
    let asks = asks.filter(|asks| !interface.serves.is_empty() && !interface.serves.contains(asks))?;
    let serves: Vec<String> = interface.serves.iter().map(ToString::to_string).collect();
    Some(format!(
        "'{from}' speaks {asks} when it calls, but '{to}' answers {}; let it call who speaks that, or build both programs \
         from the same definition",
        list(serves.iter().map(String::as_str))
    ))
}

/// Calls that a program makes on a channel that does not allow them.
fn without_right(check: &Check) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, pd) in check.system.pds.iter().enumerate() {
        let Some(interface) = check.interface(index) else { continue };
        for setting in pd.settings.iter().filter(|setting| interface.calls.contains_key(setting.symbol)) {
            let allowed = match setting.to {
                Value::ChannelId(channel, end) => check.system.channels[channel].ends[end].may_call,
                _ => false,
            };
            if !allowed {
                found.push((
                    setting.at,
                    format!(
                        "'{}' makes calls on '{}', which needs an <end> with pp=\"true\" and this setvar_id",
                        pd.name, setting.symbol
                    ),
                ));
            }
        }
    }
    found
}

/// Circles of calls: everyone in it would wait for the others. Each is told once, at the call that closes it.
fn cycles(check: &Check, calls: &[Call]) -> Vec<(usize, String)> {
    let ends = |call: &Call| {
        let ends = &check.system.channels[call.channel].ends;
        (&ends[call.caller_end], ends[1 - call.caller_end].pd)
    };
    let mut found = Vec::new();
    let mut done = vec![false; check.system.pds.len()];
    for start in 0..check.system.pds.len() {
        // Depth first: the way from `start`, and for each on it the calls not yet followed.
        let calls_of = |pd: usize| calls.iter().filter(|call| ends(call).0.pd == pd).collect::<Vec<_>>();
        let mut way = if done[start] { Vec::new() } else { vec![(start, calls_of(start))] };
        while let Some((pd, open)) = way.last_mut() {
            let Some(call) = open.pop() else {
                done[*pd] = true;
                way.pop();
                continue;
            };
            let (caller, callee) = ends(call);
            if let Some(from) = way.iter().position(|(pd, _)| *pd == callee) {
                let circle = way[from..].iter().map(|(pd, _)| *pd).chain([callee]);
                let names: Vec<_> = circle.map(|pd| format!("'{}'", check.system.pds[pd].name)).collect();
                let message = format!(
                    "a circle of calls: {}; each would wait for the other: replace a call by a <link> or a notification",
                    names.join(" calls ")
                );
                found.push((caller.at, message));
            } else if !done[callee] {
                way.push((callee, calls_of(callee)));
            }
        }
    }
    found
}
