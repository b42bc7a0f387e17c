//! Hands the linker script to the linker.

fn main() {
    println!("cargo::rerun-if-changed=firmware.ld");
    if std::env::var_os("CARGO_FEATURE_MACHINE").is_some() {
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest's folder");
        println!("cargo::rustc-link-arg-bins=-T{folder}/firmware.ld");
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=16");
    }
}
