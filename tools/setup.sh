#!/bin/sh
# Installs what the build needs and writes build/toolchain.mk: which cargo to call, and how.
#
#   tools/setup.sh [auto|prebuilt|build-std] [OUTPUT]
#
# prebuilt    a Rust toolchain that has (or can add) the standard library for the bare-metal targets: rustup's
# build-std   a Rust toolchain with the library's source, which is compiled here: Debian's rustc-web, cargo-web, rust-web-src
# auto        the first of the two that works (the default)
set -eu

want=${1:-auto}
output=${2:-build/toolchain.mk}
minimum=88 # rust-version in Cargo.toml: 1.88
targets="riscv64gc-unknown-none-elf riscv64imac-unknown-none-elf riscv32imc-unknown-none-elf"

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Packages that are missing; they are installed at once.
missing=
need() { missing="$missing $*"; }

# Runs a command as root: as it is, or through sudo; otherwise says in one line what to install.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
        fail "please install, as root: apt-get install$missing"
    fi
}
install_missing() {
    [ -n "$missing" ] || return 0
    have apt-get || fail "please install with this system's package manager what Debian calls:$missing"
    say "reading the lists of packages"
    as_root apt-get update -qq >/dev/null || fail "apt-get update failed; is the network there?"
    # Debian 13 and later have the RISC-V emulator and its firmware in packages of their own.
    case $missing in *qemu-system-misc*)
        if apt-cache show qemu-system-riscv >/dev/null 2>&1; then
            missing=$(echo "$missing" | sed 's/qemu-system-misc/qemu-system-riscv opensbi/')
        fi ;;
    esac
    say "installing$missing (a minute or two)"
    # shellcheck disable=SC2086 # one word a package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "could not install:$missing"
    missing=
}

# Minor version of a rustc 1.x, or 0.
minor() { "$1" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p' | grep . || echo 0; }
has_targets() {
    for target in $targets; do
        [ -e "$("$1" --print sysroot)/lib/rustlib/$target/lib" ] || return 1
    done
}
has_source() { [ -e "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; }
recent() { have "$1" && [ "$(minor "$1")" -ge $minimum ]; }

have cc || need gcc libc6-dev
{ have qemu-system-riscv64 && have qemu-system-riscv32; } || need qemu-system-misc
# Apps in C.
have riscv64-unknown-elf-gcc || need gcc-riscv64-unknown-elf

mode=
if [ "$want" != build-std ] && have cargo && recent rustc; then
    if ! has_targets rustc && have rustup; then
        say "adding the bare-metal targets to rustup's toolchain"
        # shellcheck disable=SC2086 # one word a target
        rustup target add $targets >/dev/null 2>&1 || say "rustup could not add them"
    fi
    if has_targets rustc; then
        mode=prebuilt cargo=$(command -v cargo) rustc=$(command -v rustc)
    fi
fi
if [ -z "$mode" ]; then
    [ "$want" != prebuilt ] || fail "no Rust toolchain 1.$minimum or later with the targets: $targets"
    mode=build-std
    if [ "$want" = auto ] && have cargo && recent rustc && has_source rustc; then
        cargo=$(command -v cargo) rustc=$(command -v rustc)
    else
        cargo=/usr/bin/cargo rustc=/usr/bin/rustc
        if ! { [ -x $cargo ] && recent $rustc && has_source $rustc; }; then need rustc-web cargo-web rust-web-src; fi
    fi
fi
# Toolchains from a distribution come without rust-lld.
linker=
has_rust_lld() {
    have "$rustc" || return 1
    host=$("$rustc" -vV | sed -n 's/^host: //p')
    [ -x "$("$rustc" --print sysroot)/lib/rustlib/$host/bin/rust-lld" ]
}
if ! has_rust_lld; then
    linker=ld.lld
    have ld.lld || need lld
fi

install_missing

recent "$rustc" || fail "$rustc is older than 1.$minimum; install a newer Rust, for example with rustup"
[ $mode = prebuilt ] || has_source "$rustc" || fail "the standard library's source is missing; install rust-web-src"

mkdir -p "$(dirname "$output")"
{
    echo "# Written by tools/setup.sh; \`make setup\` writes it anew."
    echo "TOOLCHAIN_MODE := $mode"
    echo "CARGO := $cargo"
    echo "export RUSTC := $rustc"
    if [ $mode = build-std ]; then
        echo "export RUSTC_BOOTSTRAP := 1"
        echo "BUILD_STD := -Z build-std=core,alloc,compiler_builtins -Z build-std-features=compiler-builtins-mem"
    else
        echo "BUILD_STD :="
    fi
    if [ -n "$linker" ]; then
        for target in $targets; do
            name=$(echo "$target" | tr 'a-z-' 'A-Z_')
            echo "export CARGO_TARGET_${name}_LINKER := $linker"
        done
    fi
} >"$output.new"
mv "$output.new" "$output"
say "$("$rustc" --version), $mode; $(qemu-system-riscv64 --version | head -n 1)"
