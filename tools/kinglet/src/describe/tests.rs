//! Descriptions of the project's own model, of the public ones where they are, and of files that are none.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn board(name: &str) -> Board {
    Board::find(&root().join("boards"), name).unwrap()
}

fn digits() -> Vec<u8> {
    std::fs::read(root().join("ml-runtime/models/digits/model.tflite")).unwrap()
}

#[test]
fn the_projects_model_is_described() {
    let file = digits();
    let described = describe("digits", &file, &board("qemu_virt_riscv64"), Some(0x40000)).unwrap();
    assert!(described.fits, "{}", described.text);
    let mut tables = vec![0u64; Model::table_bytes(&file).unwrap().div_ceil(8)];
    let model = Model::load(&file, tables.as_mut_bytes(), Io::Caller).unwrap();
    // Every operator has its line, in order, and every block of the plan its own.
    for (index, step) in model.operators().enumerate() {
        assert!(described.text.contains(&format!("\n{index:3} {}", step.name)), "{}", described.text);
    }
    for stay in model.arena_plan() {
        let line = format!("{:>8} bytes at {:>8}, operators {} to {}", stay.bytes, stay.at, stay.first, stay.last);
        assert!(described.text.contains(&line), "{line}\n{}", described.text);
    }
    assert!(described.text.contains("accelerator, vectors"));
    assert!(described.text.contains("accelerator, scalar"), "softmax has no vector kernel");
    // A picture that is well-formed, with a rectangle for each block and one behind all.
    let picture = roxmltree::Document::parse(&described.svg).unwrap();
    let rectangles = picture.descendants().filter(|node| node.has_tag_name("rect")).count();
    assert_eq!(rectangles, model.arena_plan().count() + 1);
}

#[test]
fn a_board_without_accelerator_has_everything_on_the_processor() {
    let described = describe("digits", &digits(), &board("qemu_virt_riscv64_minimal"), Some(0x40000)).unwrap();
    assert!(described.fits);
    assert!(described.text.contains("board qemu_virt_riscv64_minimal has no accelerator"));
    assert!(described.text.contains("  processor\n") && !described.text.contains("accelerator, "));
}

#[test]
fn what_does_not_fit_says_by_how_much() {
    let described = describe("digits", &digits(), &board("qemu_virt_riscv64"), Some(100)).unwrap();
    assert!(!described.fits);
    assert!(described.text.contains("does not fit: working memory"), "{}", described.text);
    assert!(described.text.contains("there are 100; raise size of region 'arena'"));
}

#[test]
fn titles_are_escaped() {
    let described = describe("<a & \"b\">", &digits(), &board("qemu_virt_riscv64"), None).unwrap();
    assert!(described.fits && described.text.contains("--arena BYTES says whether that fits"));
    let picture = roxmltree::Document::parse(&described.svg).unwrap();
    assert!(picture.descendants().any(|node| node.text().is_some_and(|text| text.starts_with("<a & \"b\">: arena"))));
}

#[test]
fn what_cannot_run_is_refused_with_the_devices_words() {
    let board = board("qemu_virt_riscv64");
    let refusal = |file: &[u8]| describe("x", file, &board, None).map(|_| ()).unwrap_err();
    assert_eq!(refusal(b""), "refused: not a TensorFlow Lite model (schema version 3)");
    assert_eq!(refusal(b"not a model at all"), "refused: not a TensorFlow Lite model (schema version 3)");
    assert!(refusal(&digits()[..1000]).starts_with("refused: broken flatbuffer"));
    // An operator that does not exist: the code of CONV_2D, which the file has in two places, becomes that of LSH_PROJECTION.
    let mut file = digits();
    let supported = ml_runtime::OpName::builtin(3);
    let mut tried = 0;
    for at in 0..file.len() {
        if file[at] != 3 {
            continue;
        }
        file[at] = 15;
        tried += 1;
        if let Err(why) = describe("x", &file, &board, None)
            && why.contains("LSH_PROJECTION is not supported")
        {
            assert!(why.starts_with("refused: operator "), "{why}");
            return;
        }
        file[at] = 3;
    }
    panic!("none of {tried} bytes is the code of {supported}");
}

#[test]
fn every_refused_model_of_the_library_is_refused() {
    let board = board("qemu_virt_riscv64");
    let folder = root().join("ml-runtime/tests/operators/refused");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tflite") {
            let why = describe("x", &std::fs::read(&path).unwrap(), &board, None).map(|_| ());
            assert!(why.as_ref().is_err_and(|why| why.starts_with("refused: ")), "{path:?}: {why:?}");
        }
    }
}

#[test]
fn public_models_are_described() {
    let folder = std::env::var_os("KINGLET_MODELS").map_or(root().join("../shared/models"), PathBuf::from);
    let mut described = 0;
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let Ok(file) = std::fs::read(entry.path().join("model.tflite")) else { continue };
        let description = describe("model", &file, &board("qemu_virt_riscv64"), Some(0x40000)).unwrap();
        assert!(description.fits, "{}", description.text);
        roxmltree::Document::parse(&description.svg).unwrap();
        described += 1;
    }
    if described == 0 {
        eprintln!("skipped: public models (there are none in {})", folder.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_is_never_worse_than_refused(at in 0usize..18_000, bytes in prop::collection::vec(any::<u8>(), 1..8)) {
        let mut file = digits();
        let at = at.min(file.len() - bytes.len());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = describe("x", &file, &board("qemu_virt_riscv64"), Some(0x40000));
    }
}
