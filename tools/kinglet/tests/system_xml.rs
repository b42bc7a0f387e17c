//! The wiring of this repository: `system.xml` fits its programs, and with one thing changed it does not.
//!
//! Needs the programs: `make image`. Where they are is `KINGLET_BUILT`, by default what the debug configuration makes.

use std::path::{Path, PathBuf};
use std::process::Command;

const BOARD: &str = "qemu_virt_riscv64";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn built() -> PathBuf {
    let folder = match std::env::var_os("KINGLET_BUILT") {
        Some(folder) => PathBuf::from(folder),
        None => root().join("build").join(BOARD).join("debug"),
    };
    assert!(folder.join("pds").is_dir(), "{} has no programs; run make image first", folder.display());
    folder
}

/// Expands and checks this text; gives whether it may be composed, and what was said.
fn check(test: &str, system: &str) -> (bool, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("system.xml"), system).unwrap();
    let built = built();
    let search = ["--search-path".into(), built.clone(), built.join("pds")];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinglet"));
        let output = command.args(arguments).args(&search).current_dir(&folder).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let boards = root().join("boards").canonicalize().unwrap();
    let (expanded, errors) =
        run(&["expand", "system.xml", "--board", BOARD, "--boards", boards.to_str().unwrap(), "-o", "plain.system"]);
    assert!(expanded, "{errors}");
    run(&["check", "plain.system", "--source", "system.xml"])
}

fn system() -> String {
    std::fs::read_to_string(root().join("system.xml")).unwrap()
}

/// One change: what gives way, what stands there instead, and what is said, where.
struct Change {
    from: &'static str,
    to: &'static str,
    /// Text at whose place, line and column, the message stands.
    at: &'static str,
    says: &'static str,
}

const CHANGES: [Change; 13] = [
    Change {
        from: r#"<end pd="shell" name="supervisor" /><end pd="supervisor" name="shell" />"#,
        to: r#"<end pd="shell" name="supervisor" /><end pd="supervisor" name="console" />"#,
        at: r#"<link bytes="0x2000"><end pd="shell" name="supervisor""#,
        says: "the link 'console' of 'supervisor' is wired more than once",
    },
    Change {
        from: r#"<end pd="shell" name="models" />"#,
        to: r#"<end pd="shell" name="modles" />"#,
        at: r#"<link bytes="0x2000" data="0x10000" window="npu"><end pd="shell""#,
        says: "'shell' has no link 'modles'; it has: …; did you mean 'models'?",
    },
    Change {
        from: r#"<link bytes="0x3000"><end pd="uart""#,
        to: r#"<link bytes="0x1000"><end pd="uart""#,
        at: r#"<link bytes="0x1000">"#,
        says: "the region 'uart.console' has 0x1000 bytes; link 'console' of 'uart' needs 0x1040",
    },
    Change {
        from: r#"<link bytes="0x3000"><end pd="uart" name="console" /><end pd="console" name="uart" /></link>"#,
        to: "",
        at: r#"<protection_domain name="uart""#,
        says: "'uart' needs its link 'console' (UART version 1), which is not wired",
    },
    Change {
        from: r#"name="model_runner" id="5" priority="50" stack_size="0x20000""#,
        to: r#"name="model_runner" id="5" priority="50" stack_size="0x7000""#,
        at: r#"<protection_domain name="model_runner""#,
        says: "'model_runner' has a stack of 0x7000 bytes, but its program needs 0x20000",
    },
    Change {
        from: r#"id="3" priority="120""#,
        to: r#"id="3" priority="190""#,
        at: r#"<end pd="shell" id="20""#,
        says: "'shell' (priority 190) calls 'timer' (priority 190); protected calls go only to a strictly higher priority",
    },
    Change {
        from: r#"<map mr="arena" vaddr="0x2000000" perms="rw" setvar_vaddr="arena" setvar_size="arena_size" />"#,
        to: "",
        at: r#"<protection_domain name="model_runner""#,
        says: "'model_runner' needs a memory region at 'arena', and no map gives it",
    },
    Change {
        from: r#" data="0x10000" window="npu"><end pd="shell" name="models" /><end pd="model_runner" name="client0" data_address="true" />"#,
        to: r#"><end pd="shell" name="models" /><end pd="model_runner" name="client0" />"#,
        at: r#"<protection_domain name="shell""#,
        says: "'shell' needs a memory region at 'models_data', and no map gives it; add data=\"SIZE\" to the link 'models'",
    },
    Change {
        from: r#"<end pd="timer" id="20" />"#,
        to: r#"<end pd="console" id="20" />"#,
        at: r#"<end pd="shell" id="20""#,
        says: "the program of 'console' answers no calls",
    },
    Change {
        from: r#"<end pd="shell" id="20" pp="true" setvar_id="timer_channel""#,
        to: r#"<end pd="shell" id="20" pp="true" setvar_id="timer""#,
        at: r#"<end pd="shell" id="20""#,
        says: "the program of 'shell' has no symbol 'timer'",
    },
    Change {
        from: r#"setvar_vaddr="scripts""#,
        to: r#"setvar_vaddr="power""#,
        at: r#"<map mr="power""#,
        says: "the symbol 'power' of 'shell' is set twice",
    },
    Change {
        from: r#"name="uart" id="1" priority="180""#,
        to: r#"name="uart" id="1" priority="180" passive="true""#,
        at: r#"<protection_domain name="uart""#,
        says: "'uart' is passive and a child",
    },
    Change {
        from: "</system>",
        to: "<memory_region name=\"spare\" size=\"0x1000\" /></system>",
        at: r#"<memory_region name="spare""#,
        says: "nobody maps the memory region 'spare'",
    },
];

#[test]
fn system_xml_fits_its_programs() {
    assert_eq!(check("unchanged", &system()), (true, String::new()));
}

#[test]
fn swapped_links_do_not_fit() {
    let ends = [r#"<end pd="shell" name="console" />"#, r#"<end pd="shell" name="supervisor" />"#];
    let system = system();
    assert!(ends.iter().all(|end| system.contains(end)));
    let swapped = system.replace(ends[0], "FIRST").replace(ends[1], ends[0]).replace("FIRST", ends[1]);
    let (accepted, said) = check("swapped", &swapped);
    assert!(!accepted && said.lines().count() == 2, "{said}");
    for expected in [
        "'shell' speaks SUPV version 1 on its link 'supervisor', but 'console' speaks CONS version 1 on its link \
         'client0'; join ends that speak the same: 'shell' speaks CONS version 1 on: console",
        "'shell' speaks CONS version 1 on its link 'console', but 'supervisor' speaks SUPV version 1 on its link 'shell'",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn one_change_and_it_does_not_fit() {
    for (index, change) in CHANGES.iter().enumerate() {
        let system = system();
        assert!(system.contains(change.from), "system.xml does not have {}; change this test with it", change.from);
        let changed = system.replacen(change.from, change.to, 1);
        let at = changed.find(change.at).unwrap_or_else(|| panic!("no {}", change.at));
        let (row, column) =
            (changed[..at].matches('\n').count() + 1, at - changed[..at].rfind('\n').map_or(0, |end| end + 1) + 1);
        let (accepted, said) = check(&format!("change{index}"), &changed);
        let expected = format!("kinglet: system.xml:{row}:{column}: {}", change.says);
        // What else there is, of which there is more with time, is left open: `…`.
        let (start, end) = expected.split_once('…').unwrap_or((&expected, ""));
        let right = said.lines().any(|line| line.contains(start) && line.ends_with(end));
        assert!(!accepted && right, "expected\n{expected}\nbut\n{said}");
    }
}
