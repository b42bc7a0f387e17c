//! The program itself: files in, files and an exit status out.

mod common;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with an SDK, a program image and a prefill file, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let root = std::env::temp_dir().join(format!("microkit-program-{}-{name}", std::process::id()));
        let config = root.join("sdk/board/qemu_virt_riscv64/debug");
        let write = |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).expect("the folder was just made");
        std::fs::create_dir_all(config.join("elf")).expect("a folder for the test");
        std::fs::create_dir_all(root.join("images")).expect("a folder for the test");
        write(&config.join("board.toml"), include_bytes!("../../../boards/qemu_virt_riscv64/board.toml"));
        write(&config.join("elf/kernel.elf"), &support::kernel_file());
        write(&root.join("images/a.elf"), &common::program(&["v"]));
        write(&root.join("images/x86.elf"), &{
            let mut file = common::program(&[]);
            file[18] = 62;
            file
        });
        Folder(root)
    }

    /// Runs the composer on a description; the options follow those that every run needs.
    fn run(&self, description: &[u8], options: &[&str]) -> Output {
        std::fs::write(self.0.join("s.system"), description).expect("the folder can be written");
        Command::new(env!("CARGO_BIN_EXE_microkit"))
            .args(["s.system", "--board", "qemu_riscv64_virt", "--config", "debug"])
            .args(options)
            .env("MICROKIT_SDK", self.0.join("sdk"))
            .current_dir(&self.0)
            .output()
            .expect("the program starts")
    }

    fn refused(&self, description: &[u8], options: &[&str]) -> String {
        let output = self.run(description, options);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(!self.0.join("loader.img").exists(), "an image was written in spite of: {message}");
        message
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SYSTEM: &str = "<system>
<memory_region name='r' size='0x1000'/>
<protection_domain name='a'><program_image path='a.elf'/><map mr='r' vaddr='0x5000' setvar_vaddr='v'/></protection_domain>
</system>";

#[test]
fn a_system_becomes_an_image_and_a_report() {
    let folder = Folder::new("image");
    let mut sizes = Vec::new();
    for kind in ["binary", "elf", "uimage"] {
        let output = folder.run(SYSTEM.as_bytes(), &["--search-path", "images", "--image-type", kind, "-o", kind]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty());
        sizes.push(std::fs::metadata(folder.0.join(kind)).expect("the image exists").len());
    }
    // The header of U-Boot has 64 bytes.
    assert_eq!(sizes[2], sizes[0] + 64);
    let report = std::fs::read_to_string(folder.0.join("report.txt")).expect("the report exists");
    for words in ["# Protection domain 0: a", "Variable v = 0x5000", "rw- region r", "page table, level 2"] {
        assert!(report.contains(words), "no '{words}' in:\n{report}");
    }
}

#[test]
fn the_current_folder_is_searched_too() {
    let folder = Folder::new("current");
    let output = folder.run(SYSTEM.replace("a.elf", "images/a.elf").as_bytes(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.0.join("loader.img").exists());
}

#[test]
fn refusals_name_the_place_and_write_no_image() {
    let folder = Folder::new("refusals");
    let images = ["--search-path", "images"];
    let from = |from: &str, to: &str| SYSTEM.replace(from, to).into_bytes();
    for (description, words) in [
        (from("0x5000", "0x5001"), "s.system:3:70: error: <map> vaddr=\"0x5001\""),
        (
            from("a.elf", "b.elf"),
            "s.system:3:1: error: protection domain 'a' (b.elf): there is no such file in images, .",
        ),
        (from("a.elf", "x86.elf"), "machine 62, not for RISC-V"),
        (from("a.elf", "."), "not a regular file"),
        (
            from("setvar_vaddr='v'", "setvar_vaddr='w'"),
            "s.system:3:85: error: protection domain 'a' (a.elf): the program image has no symbol 'w'",
        ),
        (
            from("<memory_region", "<memory_region name='huge' size='0x1_0000_0000'/><memory_region"),
            "s.system:2:1: error: no room for memory region 'huge'",
        ),
        (b"<system>\xff</system>".to_vec(), "byte 8 is not"),
        (b"\xff\xfe<\0".to_vec(), "UTF-8"),
        (Vec::new(), "s.system:1:1: error: this is not well-formed XML"),
    ] {
        let message = folder.refused(&description, &images);
        assert!(message.contains(words), "{message}, expected: {words}");
    }
    let message = folder.refused(SYSTEM.as_bytes(), &["--search-path", "images", "-o", "no/such/folder"]);
    assert!(message.contains("cannot write no/such/folder"), "{message}");
    let message = folder.refused(SYSTEM.as_bytes(), &["--override-kernel", "images/a.elf", "--search-path", "images"]);
    assert!(message.contains("the kernel's ELF cannot be used"), "{message}");
}

#[test]
fn warnings_do_not_stop_it() {
    let folder = Folder::new("warnings");
    let unused: String = (0..30).map(|i| format!("<memory_region name='u{i}' size='0x1000'/>")).collect();
    let description = SYSTEM.replace("<system>", &format!("<system>{unused}"));
    let output = folder.run(description.as_bytes(), &["--search-path", "images"]);
    assert!(output.status.success());
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        warnings.starts_with("s.system:1:9: warning: no protection domain maps the memory region 'u0'"),
        "{warnings}"
    );
    assert!(warnings.ends_with("s.system: warning: 10 more like these\n"), "{warnings}");
}
