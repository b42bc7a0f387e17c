//! The command line, on an SDK folder made for the test.

use microkit::args::{Args, Command, help, parse};
use microkit::image::ImageType;
use microkit::sdk::Sdk;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A folder with one board in two configurations, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let root = std::env::temp_dir().join(format!("microkit-test-{}-{name}", std::process::id()));
        for config in ["debug", "release"] {
            let folder = root.join("board/qemu_virt_riscv64").join(config);
            std::fs::create_dir_all(&folder).expect("a folder for the test");
            let facts = include_str!("../../../boards/qemu_virt_riscv64/board.toml");
            std::fs::write(folder.join("board.toml"), facts).expect("the board's facts");
        }
        Folder(root)
    }

    fn sdk(&self) -> Sdk {
        Sdk::at(&self.0).unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(sdk: &Sdk, words: &str) -> Result<Args, String> {
    match parse(words.split_whitespace().map(OsString::from), sdk) {
        Ok(Command::Compose(args)) => Ok(*args),
        Ok(Command::Help) => Err("help".to_string()),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn all_options() {
    let folder = Folder::new("all");
    let sdk = folder.sdk();
    let args = read(
        &sdk,
        "s.system --search-path a b -o i.img --board qemu_riscv64_virt --report -r --config release --image-type elf \
         --override-kernel k.elf --search-path c",
    );
    let expected = Args {
        system: "s.system".into(),
        board: "qemu_virt_riscv64".to_string(),
        config: "release".to_string(),
        output: "i.img".into(),
        report: "-r".into(),
        search_path: ["a", "b", "c"].map(PathBuf::from).to_vec(),
        image_type: ImageType::Elf,
        override_kernel: Some("k.elf".into()),
    };
    assert_eq!(args, Ok(expected));
}

#[test]
fn defaults() {
    let folder = Folder::new("defaults");
    let args = read(&folder.sdk(), "--search-path --board qemu_virt_riscv64 --config debug s").expect("all there");
    assert_eq!((args.output, args.report), (PathBuf::from("loader.img"), PathBuf::from("report.txt")));
    assert_eq!((args.image_type, args.search_path, args.override_kernel), (ImageType::UImage, vec![], None));
}

#[test]
fn what_is_wrong_is_named() {
    let folder = Folder::new("wrong");
    let sdk = folder.sdk();
    let there = "s --board qemu_virt_riscv64 --config debug";
    for (words, message) in [
        ("".to_string(), "missing: --board, --config, SYSTEM"),
        ("--board qemu_virt_riscv64 --config debug --search-path a s".to_string(), "missing: SYSTEM"),
        ("s --board other --config debug".to_string(), "there is no 'other'; there are qemu_virt_riscv64"),
        ("s --board qemu_virt_riscv64 --config smp".to_string(), "there are debug, release"),
        (format!("{there} --image-type iso"), "there are binary, elf, uimage"),
        (format!("{there} t"), "'t' is one argument too many"),
        (format!("{there} --verbose"), "'--verbose' is one argument too many"),
        (format!("{there} -o"), "-o: a value is missing"),
        (format!("{there} --capdl-json"), "--capdl-json: a value is missing"),
        (format!("{there} --viper-output"), "--viper-output: a value is missing"),
        (format!("{there} --help --nonsense"), "help"),
    ] {
        let found = read(&sdk, &words).expect_err(message);
        assert!(found.contains(message), "{found}, expected: {message}");
    }
    let not_text = OsString::from_vec(vec![0xff, b's']);
    let words = ["s", "--config", "debug", "--board"].map(OsString::from).into_iter().chain([not_text]);
    assert!(parse(words, &sdk).is_err_and(|e| e.message().contains("UTF-8")));
}

#[test]
fn help_names_the_boards() {
    let folder = Folder::new("help");
    let text = help(Some(&folder.sdk()));
    assert!(text.contains("qemu_virt_riscv64 (debug, release)") && text.contains("not seL4"), "{text}");
}

#[test]
fn a_folder_without_boards_is_no_sdk() {
    assert!(Sdk::at(std::path::Path::new("/nonexistent")).is_err_and(|e| e.message().contains("MICROKIT_SDK")));
}
