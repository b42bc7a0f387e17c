//! Hands the linker script to the linker, with the addresses of the board that `KINGLET_BOARD_DIR` names.

fn main() {
    println!("cargo::rerun-if-changed=firmware.ld");
    println!("cargo::rerun-if-env-changed=KINGLET_BOARD_DIR");
    if std::env::var_os("CARGO_FEATURE_MACHINE").is_none() {
        return;
    }
    // Cargo names stable features only in CARGO_CFG_TARGET_FEATURE, and vectors are not among them.
    if !std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().contains("+v") {
        panic!("the firmware needs vectors: build it with `make npu-firmware`, which sets RUSTFLAGS");
    }
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest's folder");
    let board = std::env::var("KINGLET_BOARD_DIR").expect("KINGLET_BOARD_DIR names the board's folder");
    println!("cargo::rerun-if-changed={board}/npu.ld");
    println!("cargo::rustc-link-arg-bins=-L{board}");
    println!("cargo::rustc-link-arg-bins=-T{folder}/firmware.ld");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
}
