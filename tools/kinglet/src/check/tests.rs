//! Each rule, with what it says. Programs are given as what their notes would declare.

use roxmltree::Document;

use super::program::{Interface, Link, Program, Protocol};
use super::{Finding, check, distance, list, suggest};

fn protocol(id: &[u8; 4], version: u32) -> Protocol {
    Protocol { id: u32::from_le_bytes(*id), version }
}

fn link(id: &[u8; 4], version: u32, types: [&str; 2]) -> Link {
    Link {
        protocol: protocol(id, version),
        entry_types: types.map(str::to_owned),
        entry_bytes: [16, 16],
        min_bytes: [0x1010, 0x1010],
        required: false,
    }
}

/// A program with links `NAME`, and other variables.
fn with_links(links: &[(&str, Link)], variables: &[&str]) -> Program {
    let mut program = Program { interface: Some(Interface::default()), ..Program::default() };
    for (name, link) in links {
        let words = ["tx", "tx_size", "rx", "rx_size", "channel"].map(|word| format!("{name}_{word}"));
        program.variables.extend(words);
        program.interface.as_mut().unwrap().links.insert((*name).to_owned(), link.clone());
    }
    program.variables.extend(variables.iter().map(|name| (*name).to_owned()));
    program
}

/// The programs of the descriptions below.
fn load(path: &str) -> Result<Program, String> {
    let ask = link(b"MODL", 1, ["Request", "Reply"]);
    let answer = link(b"MODL", 1, ["Reply", "Request"]);
    let other = link(b"CONS", 1, ["Line", "Key"]);
    let mut program = match path {
        "client" => with_links(&[("models", ask), ("console", other)], &["models_data", "models_data_size", "timer"]),
        "server" => with_links(&[("client0", answer)], &["client0_data", "client0_data_size", "arena", "arena_size"]),
        "newer" => with_links(&[("client0", link(b"MODL", 2, ["Reply", "Request"]))], &[]),
        "fatter" => with_links(&[("client0", Link { entry_bytes: [24, 16], ..answer })], &[]),
        "needy" => {
            with_links(&[("models", Link { required: true, ..ask })], &["arena", "models_data", "models_data_size"])
        }
        "timer" => with_links(&[], &[]),
        "plain" => with_links(&[], &["some_channel"]),
        "c" => Program::default(),
        _ => return Err(format!("there is no file '{path}' in the search path")),
    };
    if let Some(interface) = &mut program.interface {
        match path {
            "client" => drop(interface.calls.insert("timer".into(), protocol(b"TIMR", 1))),
            "timer" => drop(interface.serves.insert(protocol(b"TIMR", 1))),
            "newer" => drop(interface.serves.insert(protocol(b"TIMR", 9))),
            "needy" => {
                interface.regions.insert("arena".into(), 0x3000);
                interface.regions.insert("models_data".into(), 1);
                interface.min_stack_bytes = 0x4000;
            }
            _ => {}
        }
    }
    Ok(program)
}

fn board() -> crate::board::Board {
    toml::from_str("name='b'\ndescription=''").unwrap()
}

/// What is said of a description, `LINE: ` and the message each.
fn said(source: &str) -> Vec<String> {
    // Links are written as in system.xml.
    let text = crate::link::expand(source, &board()).unwrap();
    let document = Document::parse(&text).unwrap();
    let findings = check(&text, &document, |_| Some(0x2001), load);
    let say = |finding: &Finding| {
        let warning = if finding.is_warning { "warning: " } else { "" };
        format!("{}: {warning}{}", document.text_pos_at(finding.at).row, finding.message)
    };
    findings.iter().map(say).collect()
}

/// A description: two domains `a` and `b` with these programs and contents, then the rest.
fn system(a: (&str, &str, &str), b: (&str, &str, &str), rest: &str) -> String {
    let pd = |name, (attributes, program, content): (&str, &str, &str)| {
        format!(
            r#"<protection_domain name="{name}" {attributes}><program_image path="{program}"/>{content}</protection_domain>"#
        )
    };
    format!("<system>\n{}\n{}\n{rest}\n</system>", pd("a", a), pd("b", b))
}

#[track_caller]
fn says(source: &str, expected: &[&str]) {
    let said = said(source);
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected.split('|').next().unwrap()), "{said}\nis not\n{expected}");
        for part in expected.split('|').skip(1) {
            assert!(said.contains(part), "{said}\nlacks\n{part}");
        }
    }
}

const LINK: &str = r#"<link bytes="0x2000"><end pd="a" name="models"/><end pd="b" name="client0"/></link>"#;
const CALL: &str = r#"<channel><end pd="a" id="9" pp="true" setvar_id="timer"/><end pd="b" id="3"/></channel>"#;

#[test]
fn what_fits_is_not_mentioned() {
    says(&system(("", "client", ""), ("", "server", ""), LINK), &[]);
    says(&system(("", "client", ""), ("", "server", ""), &LINK.replace("<link", r#"<link data="0x1000""#)), &[]);
    says(&system(("", "client", ""), (r#"priority="1""#, "timer", ""), CALL), &[]);
    says(&system(("", "c", ""), (r#"priority="1""#, "c", ""), &CALL.replace("timer", "whatever")), &[]);
}

#[test]
fn the_two_ends_of_a_link_fit() {
    let joined = |a, b| system(("", a, ""), ("", b, ""), LINK);
    says(
        &system(("", "client", ""), ("", "server", ""), &LINK.replace("models", "console")),
        &[
            "4: 'a' speaks CONS version 1 on its link 'console', but 'b' speaks MODL version 1 on its link 'client0'; join \
           ends that speak the same: 'a' speaks MODL version 1 on: models, 'b' speaks CONS version 1 on: nothing",
        ],
    );
    says(&joined("client", "newer"), &["4: 'a' speaks MODL version 1|'b' speaks MODL version 2|the same definition"]);
    says(&joined("client", "fatter"), &["4: 'b' sends Reply of 24 bytes|'a' receives Reply of 16 bytes on 'models'"]);
    says(
        &system(("", "client", ""), ("", "client", ""), &LINK.replace("client0", "models")),
        &["4: 'a' and 'b' have the same role on this link: both send Request (MODL version 1)"],
    );
}

#[test]
fn links_have_names_that_programs_know() {
    says(
        &system(("", "client", ""), ("", "server", ""), &LINK.replace("models", "modles")),
        &["4: 'a' has no link 'modles'; it has: console, models; did you mean 'models'?"],
    );
    says(
        &system(
            ("", "client", ""),
            ("", "server", ""),
            &LINK.replace("client0", "x").replace("<link", r#"<link data="0x1000""#),
        ),
        &["4: 'b' has no link 'x'; it has: client0"],
    );
    // A program that says nothing of links can be wired to anything, if it maps what it must.
    says(&system(("", "client", ""), ("", "c", ""), LINK), &[]);
}

#[test]
fn regions_of_links_are_large_enough() {
    says(
        &system(("", "client", ""), ("", "server", ""), &LINK.replace("0x2000", "0x1000")),
        &[
            "4: the region 'a.models' has 0x1000 bytes; link 'models' of 'a' needs 0x1010|one Request of 16 bytes; make it 0x2000",
            "4: the region 'b.client0' has 0x1000 bytes; link 'client0' of 'b'",
        ],
    );
    says(
        &system(("", "client", ""), ("", "c", ""), &LINK.replace("0x2000", "0x1000")),
        &["4: the region 'a.models'", "4: the region 'b.client0'|one Reply"],
    );
}

/// A link of `a` to the C program `b`, spelled out.
fn spelled_out(tx: &str, rx: &str, theirs: &str) -> String {
    let words = r#"setvar_size="models_tx_size""#;
    let a = format!(
        r#"<map mr="own" vaddr="0x1000" {tx} setvar_vaddr="models_tx" {words}/>
        <map mr="peer" vaddr="0x9000" {rx} setvar_vaddr="models_rx" {}/>"#,
        words.replace("tx", "rx")
    );
    system(
        ("", "client", &a),
        ("", "c", theirs),
        r#"<memory_region name="own" size="0x2000"/><memory_region name="peer" size="0x2000"/>
        <channel><end pd="a" id="1" setvar_id="models_channel"/><end pd="b" id="1"/></channel>"#,
    )
}

#[test]
fn who_writes_a_region_of_a_link_may_write_it_alone() {
    let good = r#"<map mr="own" vaddr="0x1000" perms="r"/><map mr="peer" vaddr="0x9000"/>"#;
    says(&spelled_out("", r#"perms="r""#, good), &[]);
    says(
        &spelled_out(r#"perms="r""#, r#"perms="r""#, good),
        &["2: 'a' cannot write 'own', its own region|perms=\"rw\""],
    );
    says(
        &spelled_out("", "", good),
        &["3: 'a' can write 'peer', which in link 'models' only 'b' may write|perms=\"r\""],
    );
    says(
        &spelled_out("", r#"perms="r""#, ""),
        &["6: 'b' does not map 'own'|perms=\"r\"; add the map", "6: 'b' does not map 'peer'|perms=\"rw\""],
    );
    let mute = spelled_out("", r#"perms="r""#, good).replace(r#"pd="a" id="1""#, r#"pd="a" id="1" notify="false""#);
    says(&mute, &["6: 'a' cannot notify 'b' on link 'models'"]);
    let partial = spelled_out("", r#"perms="r""#, good).replace(r#"setvar_id="models_channel""#, "");
    says(
        &partial,
        &["2: the link 'models' of 'a' is wired in part: nothing sets models_channel", "6: warning: nothing in"],
    );
    let twice = spelled_out("", r#"perms="r""#, good)
        .replace("</system>", r#"<memory_region name="more" size="0x1000"/></system>"#)
        .replacen("<map", r#"<map mr="more" vaddr="0x20000" setvar_size="models_tx_size"/><map"#, 1);
    assert!(said(&twice).iter().any(|said| said.contains("the symbol 'models_tx_size' of 'a' is set twice")));
    let swapped = spelled_out("", r#"perms="r""#, good)
        .replace("models_tx_size", "X")
        .replace("models_rx_size", "models_tx_size")
        .replace('X', "models_rx_size");
    says(
        &swapped,
        &[
            "2: models_rx_size of 'a' must be set to the size of 'peer'",
            "3: models_tx_size of 'a' must be set to the size of 'own'",
        ],
    );
    let kind = spelled_out("", r#"perms="r""#, good)
        .replace(r#"setvar_vaddr="models_rx""#, r#"setvar_prefill_size="models_rx""#);
    says(&kind, &["3: models_rx of 'a' must be set to the address of a region (setvar_vaddr)"]);
}

#[test]
fn both_ends_of_a_link_use_the_same_regions() {
    let source = system(("", "client", ""), ("", "server", ""), &LINK.replace("<link", r#"<link data="0x1000""#));
    let plain = crate::link::expand(&source, &board()).unwrap();
    let (front, back) = plain.split_once(r#"name="b""#).unwrap();
    let other = r#"<memory_region name="other" size="0x2000"/></system>"#;
    let with = |back: String| format!("{front}name=\"b\"{}", back.replace("</system>", other));
    says(
        &with(back.replacen(r#"<map mr="a.models""#, r#"<map mr="other""#, 1)),
        &["4: 'a' writes 'a.models' on the link to 'b', which reads 'other'"],
    );
    says(
        &with(back.replacen(r#"<map mr="b.client0.data""#, r#"<map mr="other""#, 1)),
        &["4: models_data of 'a' is region 'b.client0.data', but client0_data of 'b' is region 'other'"],
    );
    // An end that is no link of the program.
    let said = said(&with(back.replacen(r#" setvar_id="client0_channel""#, "", 1)));
    let expected = "ends at channel 0 of 'b', which is none of its links; it has: client0";
    assert!(said.iter().any(|said| said.contains(expected)), "{said:#?}");
}

#[test]
fn an_end_is_wired_once() {
    let twice = format!("{LINK}\n{}", LINK.replace("client0", "client1"));
    says(
        &system(("", "client", ""), ("", "c", ""), &twice),
        &["4: the link 'models' of 'a' is wired more than once; remove one", "5: the link 'models' of 'a'"],
    );
}

#[test]
fn data_beside_a_link_is_for_programs_that_know_of_it() {
    says(
        &system(
            ("", "client", ""),
            ("", "server", ""),
            &LINK.replace("models", "console").replace("<link", r#"<link data="0x1000""#),
        ),
        &["4: 'a' speaks CONS", "4: the link 'console' of 'a' has no data beside its rings"],
    );
}

fn needy(attributes: &str, maps: &str, rest: &str) -> String {
    system((attributes, "needy", maps), ("", "server", ""), rest)
}

#[test]
fn what_a_program_needs_is_there() {
    let stack = r#"stack_size="0x4000""#;
    let arena = r#"<map mr="r" vaddr="0x1000" setvar_vaddr="arena"/>"#;
    let region = r#"<memory_region name="r" size="0x3000"/>"#;
    let data = LINK.replace("<link", r#"<link data="0x1000""#);
    let whole = format!("{region}{data}");
    says(&needy(stack, arena, &whole), &[]);
    says(
        &needy("", arena, &whole),
        &["2: 'a' has a stack of 0x2000 bytes, but its program needs 0x4000; set stack_size=\"0x4000\""],
    );
    says(
        &needy(stack, arena, &format!("{region}{LINK}")),
        &["2: 'a' needs a memory region at 'models_data'|add data=\"SIZE\" to the link 'models'"],
    );
    says(
        &needy(stack, arena, region),
        &["2: 'a' needs its link 'models' (MODL version 1), which is not wired; add <link bytes=\"0x2000\">"],
    );
    says(&needy(stack, "", &data), &["2: 'a' needs a memory region at 'arena', and no map gives it; add <map"]);
    says(
        &needy(stack, arena, &whole.replace("0x3000", "0x2000")),
        &["2: the region 'r' has 0x2000 bytes, but 'a' needs at least 0x3000 at 'arena'"],
    );
    says(
        &needy(stack, &arena.replace("setvar_vaddr", "setvar_size"), &whole),
        &["2: 'arena' of 'a' takes the address of a memory region"],
    );
    // A region that is filled with a file of 0x2001 bytes has three pages.
    says(&needy(stack, arena, &whole.replace(r#"size="0x3000""#, r#"prefill_path="f""#)), &[]);
}

#[test]
fn calls_go_upwards_and_never_in_circles() {
    let low = |a, b| system((a, "client", ""), (b, "timer", ""), CALL);
    says(&low(r#"priority="5""#, r#"priority="5""#), &["4: 'a' (priority 5) calls 'b' (priority 5)|strictly higher"]);
    says(&low(r#"priority="6""#, r#"priority="5""#), &["4: 'a' (priority 6) calls|raise 'b' or lower 'a'"]);
    let back = r#"<channel><end pd="b" id="5" pp="true"/><end pd="a" id="5"/></channel>"#;
    let circle = system(("", "c", ""), (r#"priority="2""#, "c", ""), &format!("{CALL}\n{back}"));
    says(&circle, &["5: 'b' (priority 2) calls 'a'", "5: a circle of calls: 'a' calls 'b' calls 'a'"]);
}

#[test]
fn who_may_run_out_of_budget_calls_no_passive_server() {
    let with = |a, b| system((a, "client", ""), (b, "timer", ""), CALL);
    let passive = r#"priority="5" passive="true""#;
    says(
        &with(r#"budget="100" period="1000""#, passive),
        &["4: 'a' (budget 100 of 1000 us) calls the passive server 'b'"],
    );
    says(&with(r#"period="2000""#, passive), &["4: 'a' (budget 1000 of 2000 us)"]);
    says(&with(r#"budget="100""#, passive), &[]);
    says(&with(r#"budget="100" period="1000""#, r#"priority="5""#), &[]);
}

#[test]
fn caller_and_callee_mean_the_same() {
    let with = |a, b, call: &str| system(("", a, ""), (r#"priority="5""#, b, ""), call);
    says(
        &with("client", "newer", CALL),
        &["4: 'a' speaks TIMR version 1 when it calls, but 'b' answers TIMR version 9"],
    );
    says(&with("client", "server", CALL), &["4: the program of 'b' answers no calls"]);
    says(
        &with("client", "timer", &CALL.replace(r#" setvar_id="timer""#, "")),
        &["4: the program of 'a' makes no calls on channel 9; it calls on: timer"],
    );
    says(
        &with("server", "timer", &CALL.replace("timer", "arena")),
        &["4: the program of 'a' makes no calls on 'arena'; it calls on: nothing"],
    );
    says(&with("client", "timer", &CALL.replace(r#"pp="true""#, "")), &["4: 'a' makes calls on 'timer', which needs"]);
    says(
        &with("client", "timer", &CALL.replace("timer", "timre")),
        &["4: the program of 'a' has no symbol 'timre'; it has:|did you mean 'timer'?"],
    );
    // Programs that use channels as rust-sel4's API gives them declare no calls, and may make and answer any.
    says(&with("plain", "plain", &CALL.replace("timer", "some_channel")), &[]);
    says(&with("client", "plain", CALL), &[]);
}

#[test]
fn a_child_is_not_passive() {
    let child = r#"<protection_domain name="kid" id="1" passive="true"><program_image path="c"/></protection_domain>"#;
    says(&system(("", "c", child), ("", "c", ""), ""), &["2: 'kid' is passive and a child"]);
    says(&system((r#"passive="true""#, "c", ""), ("", "c", ""), ""), &[]);
}

#[test]
fn symbols_are_set_once_and_exist() {
    let map = r#"<map mr="r" vaddr="0x1000" setvar_vaddr="arena" setvar_size="arena_size"/>"#;
    let region = r#"<memory_region name="r" size="0x1000"/>"#;
    let with = |maps: &str, rest| system(("", "server", maps), ("", "c", ""), rest);
    says(&with(map, region), &[]);
    says(
        &with(&map.replace("arena\"", "area\""), region),
        &["2: the program of 'a' has no symbol 'area'; it has: arena, arena_size, client0_data|did you mean 'arena'?"],
    );
    says(
        &with(&format!("{map}\n<setvar symbol=\"arena\" region_paddr=\"r\"/>"), region),
        &["3: the symbol 'arena' of 'a' is set twice, first on line 2"],
    );
    says(&with("", region), &["4: nobody maps the memory region 'r'; map it or remove it"]);
    says(&with("", r#"<memory_region name="r" size="0x1000"/><virtual_machine><map mr="r"/></virtual_machine>"#), &[]);
    says(
        &system(("", "missing", ""), ("", "c", ""), ""),
        &["2: the program of 'a' cannot be checked: there is no file 'missing'"],
    );
}

#[test]
fn channels_that_nobody_uses_are_warned_of() {
    let channel = r#"<channel><end pd="a" id="1"/><end pd="b" id="2"/></channel>"#;
    says(
        &system(("", "client", ""), ("", "c", ""), channel),
        &["4: warning: nothing in the program of 'a' knows of channel 1"],
    );
    says(&system(("", "timer", ""), ("", "c", ""), channel), &[]);
    let mute = channel.replace("/>", r#" notify="false"/>"#);
    says(&system(("", "c", ""), ("", "c", ""), &mute), &["4: warning: the channel of 'a' and 'b' carries nothing"]);
}

#[test]
fn suggestions_are_close() {
    assert_eq!(distance("models", "modles"), 1);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(suggest("consol", ["console", "models"]), "; did you mean 'console'?");
    assert_eq!(suggest("uart", ["console", "models"]), "");
    assert_eq!(list([]), "nothing");
    assert!(list((0..20).map(|_| "x")).ends_with("and 8 more"));
}
