//! The rules of the system description, one small description each.
//!
//! Every refusal must name its position, the offending value and what would be valid: the tables give the line and words
//! of the message.

use microkit::board::Board;
use microkit::description::files::SearchPath;
use microkit::description::{Description, parse};
use microkit::model::{DomainSlot, Duration, Parent, SetVarValue, SharedCapKind, Trigger};

const BOARD: &str = include_str!("../../../boards/qemu_virt_riscv64/board.toml");

fn read(text: &str) -> Result<Description, microkit::error::Error> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prefill");
    let search = SearchPath { folders: vec![folder.into()] };
    parse(text, &Board::parse(BOARD).expect("the board's facts are valid"), &search)
}

/// A system with one PD `a`; attributes and content are added to the PD, elements before and behind it.
fn system(before: &str, attributes: &str, content: &str, behind: &str) -> String {
    format!(
        "<system>\n{before}\n<protection_domain name=\"a\" {attributes}>\n<program_image path=\"a.elf\"/>\n{content}\n\
         </protection_domain>\n{behind}\n</system>"
    )
}

fn accept(text: &str) -> Description {
    read(text).unwrap_or_else(|e| panic!("refused: {e}\n{text}"))
}

/// The text must be refused in this line, with a message that has all these words.
fn refuse(text: &str, line: u32, words: &[&str]) {
    let Err(e) = read(text) else { panic!("accepted:\n{text}") };
    assert_eq!(e.location().map(|location| location.line), Some(line), "{e}\n{text}");
    for word in words {
        assert!(e.message().contains(word), "no '{word}' in: {e}\n{text}");
    }
}

/// A channel from `a` to `b`, with these attributes at its ends, after PD `b` with these attributes.
fn channel(b: &str, first: &str, second: &str) -> String {
    format!(
        "<protection_domain name=\"b\" {b}><program_image path=\"b.elf\"/></protection_domain>\n\
         <channel>\n<end pd=\"a\" {first}/>\n<end pd=\"b\" {second}/>\n</channel>"
    )
}

const REGION: &str = "<memory_region name=\"r\" size=\"0x1000\"/>";

#[test]
fn an_empty_pd_gets_the_defaults() {
    let description = accept(&system("", "", "", ""));
    let pd = &description.system.pds[0];
    assert_eq!((pd.priority, pd.budget_us, pd.period_us, pd.stack_bytes, pd.domain), (0, 1000, 1000, 0x2000, 0));
    assert_eq!((pd.passive, pd.fpu, pd.parent), (false, true, None));
    assert!(description.warnings.is_empty());
}

#[test]
fn documents_that_are_no_system() {
    for (text, line, words) in [
        ("", 1, &["XML"][..]),
        ("<system>", 1, &["XML"]),
        ("<system/>", 1, &["at least one <protection_domain>"]),
        ("<!-- a comment -->\n<other/>", 2, &["<other>", "must be <system>"]),
        ("<system>\n<a x='1' x='1'/></system>", 2, &["XML"]),
        ("<!DOCTYPE system [<!ENTITY a 'b'>]>\n<system/>", 1, &["XML"]),
        ("<system>\n<other/></system>", 2, &["<other>", "protection_domain, memory_region, channel, domains"]),
        ("<system>\nwords<!-- --></system>", 1, &["text", "words", "comment"]),
        ("<system><!-- -->\nwords</system>", 1, &["text", "words"]),
    ] {
        refuse(text, line, words);
    }
}

#[test]
fn attributes_of_protection_domains() {
    for attributes in [
        "priority='254'",
        "priority='0x_f_e'",
        "budget='20'",
        "budget='500' period='1_000'",
        "stack_size='0x1000'",
        "stack_size='0x1000000'",
        "passive='true'",
        "fpu='false'",
        "smc='false'",
        "cpu='0'",
    ] {
        accept(&system("", attributes, "", ""));
    }
    for (attributes, words) in [
        ("priority='255'", &["priority=\"255\"", "0 to 254"][..]),
        ("priority='-1'", &["priority=\"-1\"", "number"]),
        ("priority=''", &["priority=\"\"", "number"]),
        ("budget='19'", &["budget=\"19\"", "at least 20"]),
        ("budget='1001' period='1000'", &["period=\"1000\"", "1001 µs", "must not exceed"]),
        ("period='999'", &["period=\"999\"", "1000 µs"]),
        ("period='0x7fffffffffffffff'", &["too long", "at most"]),
        ("stack_size='0'", &["stack_size=\"0\"", "0x1000"]),
        ("stack_size='0x1800'", &["stack_size=\"0x1800\"", "multiple of 0x1000"]),
        ("stack_size='0x1001000'", &["up to 0x1000000"]),
        ("passive='yes'", &["passive=\"yes\"", "'true' or 'false'"]),
        ("fpu='True'", &["fpu=\"True\"", "'true' or 'false'"]),
        ("smc='true'", &["smc", "Arm"]),
        ("smc='maybe'", &["smc=\"maybe\"", "'true' or 'false'"]),
        ("cpu='1'", &["cpu=\"1\"", "must be 0"]),
        ("cpu='256'", &["cpu=\"256\"", "must be 0"]),
        ("pp='true'", &["no attribute 'pp'", "priority"]),
        ("id='1'", &["no attribute 'id'"]),
        ("setvar_id='x'", &["no attribute 'setvar_id'"]),
        ("domain='d'", &["domain=\"d\"", "<domains>"]),
    ] {
        refuse(&system("", attributes, "", ""), 3, words);
    }
    refuse(
        "<system><protection_domain><program_image path='a'/></protection_domain></system>",
        1,
        &["'name' is missing"],
    );
    refuse("<system><protection_domain name='a'/></system>", 1, &["<program_image", "missing"]);
    refuse("<system><protection_domain name='monitor'/></system>", 1, &["name=\"monitor\"", "Microkit's monitor"]);
}

#[test]
fn elements_of_protection_domains() {
    for (content, words) in [
        ("<program_image path='b.elf'/>", &["second"][..]),
        ("<other/>", &["<other>", "map, irq, setvar"]),
        ("<virtual_machine name='v'/>", &["hypervisor"]),
        ("<ioport id='0' addr='0' size='1'/>", &["x86"]),
        ("<cspace/><cspace/>", &["second"]),
        ("<setvar symbol='s'/>", &["'region_paddr' is missing"]),
        ("<setvar region_paddr='r'/>", &["'symbol' is missing"]),
        ("<setvar symbol='s' region_paddr='q'/>", &["region_paddr=\"q\"", "no such memory region", "there are r"]),
        ("<setvar symbol='s' region_paddr='r'/><setvar symbol='s' region_paddr='r'/>", &["symbol=\"s\"", "already"]),
    ] {
        refuse(&system(REGION, "", content, ""), 5, words);
    }
    refuse(
        "<system><protection_domain name='a'><program_image/></protection_domain></system>",
        1,
        &["'path' is missing"],
    );
    let text = "<system><protection_domain name='a'><program_image path='a' x=''/></protection_domain></system>";
    refuse(text, 1, &["no attribute 'x'", "path, path_for_symbols"]);
    let setvars =
        accept(&system(REGION, "", "<setvar symbol='s' region_paddr='r'/>", "")).system.pds[0].setvars.clone();
    assert_eq!((setvars[0].symbol.as_str(), setvars[0].value), ("s", SetVarValue::RegionPaddr(0)));
}

#[test]
fn maps() {
    let map = |attributes: &str| system(REGION, "", &format!("<map mr='r' {attributes}/>"), "");
    for (attributes, rights) in [
        ("vaddr='0'", (true, true, false)),
        ("vaddr='0x1000' perms='r'", (true, false, false)),
        ("vaddr='0x1000' perms='xwr'", (true, true, true)),
        ("vaddr='0x1000' perms='x'", (false, false, true)),
        ("vaddr='0x1000' perms='wx'", (false, false, true)),
        ("vaddr='0x1000' perms=''", (false, false, false)),
        ("vaddr='0x1000' cached='false'", (true, true, false)),
        // One page below the stack's bottom, 0x3f_ffff_b000.
        ("vaddr='0x3f_ffff_9000'", (true, true, false)),
    ] {
        let map = accept(&map(attributes)).system.pds[0].maps[0].clone();
        assert_eq!((map.read, map.write, map.execute), rights, "{attributes}");
    }
    for (attributes, words) in [
        ("", &["'vaddr' is missing"][..]),
        ("vaddr='0x1001'", &["vaddr=\"0x1001\"", "multiple", "0x1000"]),
        ("vaddr='x'", &["vaddr=\"x\"", "number"]),
        ("vaddr='0x1000' perms='w'", &["perms=\"w\"", "write-only"]),
        ("vaddr='0x1000' perms='rwz'", &["perms=\"rwz\"", "'r', 'w' and 'x'"]),
        ("vaddr='0x1000' cached='1'", &["cached=\"1\"", "'true' or 'false'"]),
        ("vaddr='0x1000' other='1'", &["no attribute 'other'", "setvar_vaddr"]),
        ("vaddr='0x3f_ffff_a000'", &["vaddr", "one page below the stack", "0x3fffffa000"]),
        ("vaddr='0x3f_ffff_b000'", &["below the stack"]),
        ("vaddr='0xffff_ffff_ffff_f000'", &["below the stack"]),
        ("vaddr='0x1000' setvar_prefill_size='s'", &["setvar_prefill_size=\"s\"", "prefill_path"]),
        ("vaddr='0x1000' setvar_vaddr='s' setvar_size='s'", &["setvar_size=\"s\"", "already"]),
    ] {
        refuse(&map(attributes), 5, words);
    }
    refuse(&system("", "", "<map mr='r' vaddr='0'/>", ""), 5, &["mr=\"r\"", "no such memory region"]);
    refuse(&system("", "", "<map vaddr='0'/>", ""), 5, &["'mr' is missing"]);
    let empty = "<memory_region name='r' size='0'/>";
    refuse(&system(empty, "", "<map mr='r' vaddr='0'/>", ""), 5, &["size 0"]);
    let overlapping = "<map mr='r' vaddr='0x2000'/>\n<map mr='r' vaddr='0x1000'/>\n<map mr='q' vaddr='0x0'/>";
    let regions = "<memory_region name='r' size='0x1000'/><memory_region name='q' size='0x2000'/>";
    refuse(&system(regions, "", overlapping, ""), 6, &["'r'", "overlaps", "'q'", "line 7"]);
}

#[test]
fn a_map_sets_variables() {
    let map = "<map mr='r' vaddr='0x5000' setvar_vaddr='v' setvar_size='s' setvar_prefill_size='p'/>";
    let region = "<memory_region name='r' prefill_path='five.bin'/>";
    let setvars = accept(&system(region, "", map, "")).system.pds[0].setvars.clone();
    let values: Vec<_> = setvars.iter().map(|setvar| (setvar.symbol.as_str(), setvar.value)).collect();
    let expected = [("v", 0x5000), ("s", 0x1000), ("p", 5)].map(|(name, value)| (name, SetVarValue::Number(value)));
    assert_eq!(values, expected);
}

#[test]
fn memory_regions() {
    let region = |attributes: &str| system(&format!("<memory_region name='r' {attributes}/>"), "", "", "");
    for (attributes, bytes, page) in [
        ("size='0x1000'", 0x1000, 0x1000),
        ("size='0x20_0000'", 0x20_0000, 0x20_0000),
        ("size='0x20_0000' page_size='0x1000'", 0x20_0000, 0x1000),
        ("size='0x40_0000' page_size='0x20_0000'", 0x40_0000, 0x20_0000),
        ("size='0x20_0000' phys_addr='0x1_0000_1000'", 0x20_0000, 0x1000),
        ("size='0x1000' phys_addr='0x1000_0000'", 0x1000, 0x1000),
        ("size='0x1000' phys_addr='0x8000_0000'", 0x1000, 0x1000),
        ("size='0x1000' phys_addr='0x7f_ffff_f000'", 0x1000, 0x1000),
        ("prefill_path='five.bin'", 0x1000, 0x1000),
        ("prefill_path='five.bin' page_size='0x20_0000'", 0x20_0000, 0x20_0000),
        ("prefill_path='five.bin' size='0x1000'", 0x1000, 0x1000),
        ("prefill_path='page.bin' size='0x2000'", 0x2000, 0x1000),
        ("prefill_bootinfo='fdt'", 0x1000, 0x1000),
        ("prefill_bootinfo='x86_tsc_freq' size='0x2000'", 0x2000, 0x1000),
    ] {
        let description = accept(&region(attributes));
        let region = &description.system.regions[0];
        assert_eq!((region.bytes, region.page_bytes), (bytes, page), "{attributes}");
        assert!(description.warnings.iter().any(|warning| warning.message().contains("no protection domain maps")));
    }
    for (attributes, words) in [
        ("", &["'size' is missing"][..]),
        ("size='0x1001'", &["size=\"0x1001\"", "multiple of the page size, 0x1000"]),
        ("size='0x1000' page_size='0x20_0000'", &["size=\"0x1000\"", "0x200000"]),
        ("size='0x1000' page_size='0x4000_0000'", &["page_size", "4 KiB", "2 MiB"]),
        ("size='1M'", &["size=\"1M\"", "number"]),
        ("size='0x80_0000_1000'", &["size", "0x8000000000"]),
        ("size='0x1000' phys_addr='0x1001'", &["phys_addr=\"0x1001\"", "multiple"]),
        ("size='0x1000' phys_addr='0x80_0000_0000'", &["phys_addr", "at or below 0x8000000000"]),
        ("size='0x2000' phys_addr='0xffff_ffff_ffff_f000'", &["phys_addr", "at or below"]),
        ("size='0x1000' phys_addr='0xc00_0000'", &["phys_addr", "plic"]),
        ("size='0x40_0000' phys_addr='0x1e0_0000'", &["phys_addr", "clint"]),
        ("prefill_path='five.bin' phys_addr='0x8000_0000'", &["firmware"]),
        ("prefill_path='missing.bin'", &["prefill_path=\"missing.bin\"", "no such file"]),
        ("prefill_path='.'", &["not a regular file"]),
        ("prefill_path='empty.bin'", &["prefill_path=\"empty.bin\"", "empty"]),
        ("prefill_path='page.bin' size='0'", &["longer", "0x1000"]),
        ("prefill_path='five.bin' size='0x2000'", &["0x5 bytes", "last page", "0x1000"]),
        ("prefill_path='five.bin' prefill_bootinfo='fdt'", &["exclude"]),
        ("prefill_bootinfo='acpi'", &["prefill_bootinfo=\"acpi\"", "fdt"]),
        ("size='0x1000' align='4'", &["no attribute 'align'", "page_size"]),
    ] {
        refuse(&region(attributes), 2, words);
    }
    refuse(&system("<memory_region size='0x1000'/>", "", "", ""), 2, &["'name' is missing"]);
    refuse(&system(&format!("{REGION}\n{REGION}"), "", "", ""), 3, &["name=\"r\"", "already"]);
    let overlapping = "<memory_region name='r' size='0x2000' phys_addr='0x9000_1000'/>\n\
                       <memory_region name='q' size='0x2000' phys_addr='0x9000_0000'/>";
    refuse(&system(overlapping, "", "", ""), 2, &["'r'", "overlaps", "'q'", "line 3"]);
}

#[test]
fn maps_decide_on_the_size_of_pages() {
    let region = "<memory_region name='r' size='0x20_0000'/>";
    let page = |vaddr: &str| {
        accept(&system(region, "", &format!("<map mr='r' vaddr='{vaddr}'/>"), "")).system.regions[0].page_bytes
    };
    assert_eq!(page("0x40_0000"), 0x20_0000);
    assert_eq!(page("0x40_1000"), 0x1000);
}

#[test]
fn interrupts() {
    let irq = |attributes: &str| system("", "", &format!("<irq {attributes}/>"), "");
    let accepted = accept(&irq("irq='95' id='61' setvar_id='s' trigger='edge'"));
    let irq_of = accepted.system.pds[0].irqs[0];
    assert_eq!((irq_of.id, irq_of.source, irq_of.trigger), (61, 95, Trigger::Edge));
    assert_eq!(accepted.system.pds[0].setvars[0].value, SetVarValue::Number(61));
    assert_eq!(accept(&irq("irq='1' id='0'")).system.pds[0].irqs[0].trigger, Trigger::Level);
    for (attributes, words) in [
        ("id='0'", &["'irq' is missing"][..]),
        ("irq='1'", &["'id' is missing"]),
        ("irq='1' id='62'", &["id=\"62\"", "0 to 61"]),
        ("irq='1' id='-1'", &["id=\"-1\"", "0 to 61"]),
        ("irq='1' id='0x1'", &["id=\"0x1\"", "decimal"]),
        ("irq='0' id='0'", &["irq=\"0\"", "1 to 95"]),
        ("irq='96' id='0'", &["irq=\"96\"", "1 to 95"]),
        ("irq='0x1' id='0'", &["irq=\"0x1\"", "decimal"]),
        ("irq='1' id='0' trigger='rising'", &["trigger=\"rising\"", "'level' or 'edge'"]),
        ("irq='1' id='0' pin='3'", &["no attribute 'pin'"]),
        ("pin='1' vector='1' id='0'", &["I/O APIC", "x86"]),
        ("pcidev='0:0.0' handle='0' vector='1' id='0'", &["MSI", "x86"]),
        ("irq='1' id='0'/><irq irq='1' id='1'", &["irq=\"1\"", "already"]),
        ("irq='1' id='0'/><irq irq='2' id='0'", &["id 0", "'a'", "line 5"]),
    ] {
        refuse(&irq(attributes), 5, words);
    }
}

#[test]
fn channels() {
    let all = |b: &str, first: &str, second: &str| system("", "priority='1'", "", &channel(b, first, second));
    let accepted = accept(&all("priority='2'", "id='0' pp='true' setvar_id='s'", "id='61' notify='false'"));
    let [first, second] = accepted.system.channels[0].ends;
    assert_eq!((first.pd, first.id, first.notify, first.pp), (0, 0, true, true));
    assert_eq!((second.pd, second.id, second.notify, second.pp), (1, 61, false, false));
    assert!(accepted.system.needs_endpoint(1) && !accepted.system.needs_endpoint(0));
    for (b, first, second, line, words) in [
        ("", "", "id='0'", 9, &["'id' is missing"][..]),
        ("", "id='62'", "id='0'", 9, &["id=\"62\"", "0 to 61"]),
        ("", "id='0'", "id='-1'", 10, &["id=\"-1\"", "0 to 61"]),
        ("", "id='0x0'", "id='0'", 9, &["id=\"0x0\"", "decimal"]),
        ("", "id='1_0'", "id='0'", 9, &["id=\"1_0\"", "decimal"]),
        ("", "id='0' notify='no'", "id='0'", 9, &["notify=\"no\"", "'true' or 'false'"]),
        ("", "id='0' pp='1'", "id='0'", 9, &["pp=\"1\"", "'true' or 'false'"]),
        ("", "id='0' x='1'", "id='0'", 9, &["no attribute 'x'", "pp, notify"]),
        ("priority='2'", "id='0' pp='true'", "id='0' pp='true'", 8, &["both ends", "one way"]),
        ("priority='1'", "id='0' pp='true'", "id='0'", 9, &["'a' (priority 1)", "'b' has 1"]),
        ("priority='2'", "id='0'", "id='0' pp='true'", 10, &["'b' (priority 2)", "'a' has 1"]),
        ("", "id='0' setvar_id='s'", "id='0' setvar_id='t'/><end pd='a' id='9'", 8, &["exactly two", "3"]),
        ("", "id='0'/><other", "id='0'", 9, &["<other>", "valid are end"]),
    ] {
        refuse(&all(b, first, second), line, words);
    }
    let pd = system("", "", "", "<channel>\n<end pd='a' id='0'/>\n</channel>");
    refuse(&pd, 7, &["exactly two", "1"]);
    refuse(&system("", "", "", "<channel x=''/>"), 7, &["no attribute 'x'", "none"]);
    let unknown = system("", "", "", "<channel>\n<end pd='a' id='0'/><end pd='c' id='0'/></channel>");
    refuse(&unknown, 8, &["pd=\"c\"", "there are a"]);
    refuse(&system("", "", "", "<channel>\n<end id='0'/></channel>"), 8, &["'pd' is missing"]);
}

#[test]
fn ids_are_unique_within_a_pd() {
    let twice =
        |first: &str, second: &str| system("", "", "", &format!("{}\n{}", channel("", first, "id='1'"), second));
    let again = "<channel><end pd='a' id='0'/><end pd='b' id='2'/></channel>";
    refuse(&twice("id='0'", again), 12, &["id 0 of 'a'", "line 9"]);
    let again = "<channel><end pd='a' id='3'/><end pd='b' id='1'/></channel>";
    refuse(&twice("id='0'", again), 12, &["id 1 of 'b'", "line 10"]);
    let irq = system("", "", "<irq irq='1' id='0'/>", &channel("", "id='0'", "id='0'"));
    refuse(&irq, 9, &["id 0 of 'a'", "line 5"]);
    let symbols =
        twice("id='0' setvar_id='s'", "<channel><end pd='a' id='3' setvar_id='s'/><end pd='b' id='2'/></channel>");
    refuse(&symbols, 12, &["setvar_id=\"s\"", "already"]);
    // A channel of a PD to itself, with one id.
    accept(&system("", "", "", "<channel><end pd='a' id='1'/><end pd='a' id='1' notify='false'/></channel>"));
    refuse(&system("", "", "", "<channel><end pd='a' id='1'/><end pd='a' id='1'/></channel>"), 7, &["id 1"]);
}

#[test]
fn children() {
    let child =
        |attributes: &str| format!("<protection_domain {attributes}><program_image path='c.elf'/></protection_domain>");
    let family =
        system("", "", &format!("{}{}", child("name='c' id='61' setvar_id='s'"), child("name='d' id='0'")), "");
    let accepted = accept(&family).system;
    assert_eq!(accepted.pds[1].parent, Some(Parent { pd: 0, child_id: 61 }));
    assert_eq!(accepted.pds[2].parent, Some(Parent { pd: 0, child_id: 0 }));
    assert_eq!(accepted.pds[0].setvars[0].value, SetVarValue::Number(61));
    assert!(accepted.needs_endpoint(0) && !accepted.needs_endpoint(1));
    for (attributes, words) in [
        ("name='c'", &["'id' is missing"][..]),
        ("name='c' id='62'", &["id=\"62\"", "0 to 61"]),
        ("name='c' id='400'", &["id=\"400\"", "0 to 61"]),
        ("name='a' id='0'", &["name=\"a\"", "already"]),
    ] {
        refuse(&system("", "", &child(attributes), ""), 5, words);
    }
    let twins = format!("{}\n{}", child("name='c' id='0x1'"), child("name='d' id='1'"));
    refuse(&system("", "", &twins, ""), 6, &["id=\"1\"", "another child of 'a'"]);
}

#[test]
fn there_are_at_most_63_pds() {
    let many = |count: usize| -> String {
        let pds = (0..count)
            .map(|i| format!("<protection_domain name='p{i}'><program_image path='p'/></protection_domain>\n"));
        format!("<system>\n{}</system>", pds.collect::<String>())
    };
    assert_eq!(accept(&many(63)).system.pds.len(), 63);
    refuse(&many(64), 65, &["more than 63"]);
    let nested = |count: usize| {
        let open: String = (0..count)
            .map(|i| {
                let id = if i == 0 { "" } else { "id='0'" };
                format!("<protection_domain name='p{i}' {id}><program_image path='p'/>\n")
            })
            .collect();
        format!("<system>\n{open}{}</system>", "</protection_domain>".repeat(count))
    };
    assert_eq!(accept(&nested(63)).system.pds.len(), 63);
    refuse(&nested(64), 65, &["more than 63"]);
}

#[test]
fn shared_capabilities() {
    let cspace = |content: &str| system("", "", &format!("<cspace>\n{content}\n</cspace>"), "");
    let all = "<cap_tcb slot='1' pd='a'/><cap_sc slot='0x3f' pd='a'/><cap_vspace slot='2' pd='a'/>";
    let caps = accept(&cspace(all)).system.pds[0].shared_caps.clone();
    let found: Vec<_> = caps.iter().map(|cap| (cap.kind, cap.pd, cap.slot)).collect();
    let expected = [(SharedCapKind::Tcb, 0, 1), (SharedCapKind::SchedContext, 0, 63), (SharedCapKind::VSpace, 0, 2)];
    assert_eq!(found, expected);
    for (content, words) in [
        ("<cap_tcb slot='0' pd='a'/>", &["slot=\"0\"", "1 to 63"][..]),
        ("<cap_tcb slot='64' pd='a'/>", &["slot=\"64\"", "1 to 63"]),
        ("<cap_tcb slot='1' pd='b'/>", &["pd=\"b\"", "there are a"]),
        ("<cap_tcb pd='a'/>", &["'slot' is missing"]),
        ("<cap_tcb slot='1'/>", &["'pd' is missing"]),
        ("<cap_tcb slot='1' pd='a' x=''/>", &["no attribute 'x'", "slot, pd"]),
        ("<cap_notification slot='1' pd='a'/>", &["<cap_notification>", "cap_tcb, cap_sc, cap_vspace"]),
        ("<cap_tcb slot='1' pd='a'/><cap_sc slot='1' pd='a'/>", &["slot=\"1\"", "already"]),
    ] {
        refuse(&cspace(content), 6, words);
    }
    let later = "<protection_domain name='z'><program_image path='z.elf'/></protection_domain>";
    let text = system("", "", "<cspace><cap_tcb slot='1' pd='z'/></cspace>", later);
    assert_eq!(accept(&text).system.pds[0].shared_caps[0].pd, 1);
}

#[test]
fn domain_schedules() {
    let domains = |content: &str| system(&format!("<domains>{content}</domains>"), "domain='x'", "", "");
    let entry = "<schedule_entry domain='x' duration='0x10 us'/><schedule_end_marker/>";
    let text = format!("<domain name='y' id='0'/><domain name='x'/><domain_schedule>{entry}</domain_schedule>");
    let accepted = accept(&domains(&text)).system;
    assert_eq!(accepted.pds[0].domain, 1);
    let schedule = accepted.domains.expect("the system has domains");
    assert_eq!(schedule.names, [("y".to_string(), 0), ("x".to_string(), 1)]);
    let run = DomainSlot::Run { domain: 1, duration: Duration::Micros(16) };
    assert_eq!((schedule.start, schedule.slots), (0, vec![run, DomainSlot::EndMarker]));

    let schedule = |attributes: &str, content: &str| {
        domains(&format!("<domain name='x' id='3'/><domain_schedule {attributes}>{content}</domain_schedule>"))
    };
    let run = "<schedule_entry domain='x' duration='1 ticks'/>";
    accept(&schedule("", &run.repeat(99)));
    accept(&schedule("index_shift='98' start_index='0'", run));
    accept(&schedule("index_shift='1' start_index='1'", &format!("<schedule_end_marker/>{run}")));
    for (text, words) in [
        (schedule("", &run.repeat(100)), &["at most 99"][..]),
        (schedule("index_shift='99'", run), &["index_shift=\"99\"", "0 to 98"]),
        (schedule("index_shift='0xffff_ffff_ffff_ffff'", run), &["0 to 98"]),
        (schedule("start_index='1'", run), &["start_index=\"1\"", "0 to 0"]),
        (schedule("start_index='1'", &format!("{run}<schedule_end_marker/>")), &["end marker"]),
        (schedule("start_index='1'", &format!("<schedule_end_marker/>{run}")), &["end marker"]),
        (schedule("", ""), &["at least one"]),
        (schedule("x=''", run), &["no attribute 'x'"]),
        (schedule("", "<other/>"), &["<other>", "schedule_entry"]),
        (schedule("", "<schedule_end_marker x=''/>"), &["no attribute 'x'"]),
        (schedule("", "<schedule_entry domain='q' duration='1 us'/>"), &["domain=\"q\"", "there are x"]),
        (schedule("", "<schedule_entry domain='x'/>"), &["'duration' is missing"]),
        (schedule("", "<schedule_entry domain='x' duration='5'/>"), &["duration=\"5\"", "us"]),
        (schedule("", "<schedule_entry domain='x' duration='5 ms'/>"), &["duration=\"5 ms\"", "ticks"]),
        (schedule("", "<schedule_entry domain='x' duration='0 us'/>"), &["above zero"]),
        (schedule("", "<schedule_entry domain='x' duration='0x100_0000_0000_0000 ticks'/>"), &["at most"]),
        (domains("<domain name='x'/>"), &["<domain_schedule> is missing"]),
        (domains("<other/>"), &["<other>", "domain, domain_schedule"]),
        (domains("<domain_schedule/><domain_schedule/>"), &["second"]),
        (domains("<domain name='x'/><domain name='x'/>"), &["name=\"x\"", "already"]),
        (domains("<domain name='x' id='1'/><domain name='y' id='1'/>"), &["id=\"1\"", "already"]),
        (domains("<domain name='x' id='16'/>"), &["id=\"16\"", "0 to 15"]),
        (domains("<domain id='1'/>"), &["'name' is missing"]),
        (domains(&(0..17).map(|i| format!("<domain name='{i}'/>")).collect::<String>()), &["at most 16"]),
    ] {
        refuse(&text, 2, words);
    }
    let declared = format!("<domains><domain name='x'/><domain_schedule>{run}</domain_schedule></domains>");
    refuse(&system(&declared, "", "", ""), 3, &["'domain' is missing"]);
    refuse(&system(&declared, "domain='y'", "", ""), 3, &["domain=\"y\"", "there are x"]);
    refuse(&system(&declared, "domain='x'", "", &declared), 7, &["second"]);
}

#[test]
fn what_only_other_machines_have_is_refused_by_name() {
    refuse(&system("<virtual_machine name='v'/>", "", "", ""), 2, &["<virtual_machine>", "hypervisor"]);
    refuse(&system("<io_address_space name='i'/>", "", "", ""), 2, &["<io_address_space>", "IOMMU"]);
}

#[test]
fn what_microkit_ignores_is_ignored_with_a_warning() {
    assert!(accept(&system("<?instruction?><!-- comment -->", "", "<!-- comment -->", "")).warnings.is_empty());
    for (text, words) in [
        (system("", "", "words\n", ""), "ignored within <protection_domain>: text: 'words'"),
        (system("", "", "<cspace>more words</cspace>", ""), "ignored within <cspace>: text: 'more words'"),
        (system(REGION, "", "<map mr='r' vaddr='0'><x/></map>", ""), "ignored within <map>: <x>"),
        (system("", "", "", "").replace("<system>", "<system version='2'>"), "'version' is ignored"),
    ] {
        let warnings = accept(&text).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].message().contains(words), "{}", warnings[0]);
    }
}

#[test]
fn values_in_messages_are_cut_and_escaped() {
    let long = "9".repeat(100_000);
    let e = read(&system("", &format!("priority='{long}'"), "", "")).expect_err("the priority is too high");
    assert!(e.to_string().len() < 400, "{e}");
    let e = read(&system("", "priority='&#27;[31m'", "", "")).expect_err("this is no XML character");
    assert!(!e.to_string().contains('\u{1b}'));
}
