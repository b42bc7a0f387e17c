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
targets="riscv64gc-unknown-none-elf riscv64imac-unknown-none-elf"

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

updated=
# Installs the packages named, as root or through sudo; otherwise says in one line what to install.
install() {
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if have sudo; then as_root=sudo; else fail "please install, as root: apt-get install $*"; fi
    fi
    have apt-get || fail "please install with this system's package manager what Debian calls: $*"
    if [ -z "$updated" ]; then
        say "reading the lists of packages"
        $as_root apt-get update -qq >/dev/null || fail "apt-get update failed; is the network there?"
        updated=yes
    fi
    say "installing $*"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        fail "could not install: $*"
}
# The first of the packages named that this system has.
available() {
    if [ -z "$updated" ] && have apt-get; then install ca-certificates; fi
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then echo "$package"; return; fi
    done
    echo "$1"
}

have cc || install gcc libc6-dev
have qemu-system-riscv64 || {
    # One shell for both look-ups, so that the lists of packages are read once.
    available x >/dev/null
    updated=yes
    # Debian 13 and later have the RISC-V emulator, and its firmware, in packages of their own.
    install "$(available qemu-system-riscv qemu-system-misc)"
}
[ -e /usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin ] || install opensbi

# Minor version of a rustc 1.x, or 0.
minor() { "$1" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p' | grep . || echo 0; }
has_targets() {
    for target in $targets; do
        [ -e "$("$1" --print sysroot)/lib/rustlib/$target/lib" ] || return 1
    done
}
has_source() { [ -e "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; }
recent() { have "$1" && [ "$(minor "$1")" -ge $minimum ]; }

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
if [ -z "$mode" ] && [ "$want" != prebuilt ]; then
    if [ "$want" = auto ] && have cargo && recent rustc && has_source rustc; then
        cargo=$(command -v cargo) rustc=$(command -v rustc)
    else
        cargo=/usr/bin/cargo rustc=/usr/bin/rustc
        if ! { [ -x $cargo ] && recent $rustc && has_source $rustc; }; then
            install rustc-web cargo-web rust-web-src
        fi
        recent $rustc || fail "rustc $(minor $rustc) is older than 1.$minimum; install a newer one, for example with rustup"
        has_source $rustc || fail "the standard library's source is missing; install rust-web-src"
    fi
    mode=build-std
fi
[ -n "$mode" ] || fail "no Rust toolchain 1.$minimum or later with the targets: $targets"

# Toolchains from a distribution come without rust-lld.
linker=
host_lld=$("$rustc" --print sysroot)/lib/rustlib/$("$rustc" -vV | sed -n 's/^host: //p')/bin/rust-lld
if [ ! -x "$host_lld" ]; then
    have ld.lld || install lld
    linker=ld.lld
fi

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
