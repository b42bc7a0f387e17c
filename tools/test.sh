#!/bin/sh
# `make test`: every test, on the host and in the emulator. The last line says what ran.
#
#   tools/test.sh [TOOLCHAIN]
#
# Each step writes build/test/STEP.log; what it counted is added up.
set -u

toolchain=${1:-auto}
logs=build/test
passed=0 failed=0 skipped=0
rm -rf "$logs"
mkdir -p "$logs"
# What is said once in every build's settings: cargo, and how to call it.
settings=$(make -s print-settings TOOLCHAIN="$toolchain") || exit 1
eval "$settings"

# Runs one step: its name, what it is, and the command. A step that fails without saying which test failed counts as one.
step() {
    name=$1 what=$2
    shift 2
    log=$logs/$name.log
    echo "==> $what" >&2
    started=$(date +%s)
    "$@" >"$log" 2>&1
    status=$?
    # cargo test's closing lines, and the plain form `N passed, N failed[, N skipped]`.
    set -- $(sed -n -e 's/^test result: [a-zA-Z]*\. \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' \
        -e 's/^\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)\{0,1\}$/\1 \2 \4/p' "$log" |
        awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
    if [ $status -ne 0 ] && [ "$2" -eq 0 ]; then set -- "$1" 1 "$3"; fi
    if [ $status -eq 0 ] && [ "$2" -eq 0 ] && [ "$1" -eq 0 ]; then set -- 1 0 "$3"; fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    seconds=$(($(date +%s) - started))
    echo "    $1 passed, $2 failed, $3 skipped ($seconds s)" >&2
    grep -h '^skipped: ' "$log" >&2
    if [ "$2" -gt 0 ]; then
        echo "    from the end of $log:" >&2
        tail -n 60 "$log" >&2
    fi
}

# The whole system, without a terminal: the main job's verdict is the exit status.
main_job() { make run CONFIG="$1" TOOLCHAIN="$2" BOARD="${3:-qemu_virt_riscv64}" </dev/null; }

step host "logic on the host: kernel core, composer, rings, drivers, shell, inference" \
    "$CARGO" test --locked --workspace
step loom "the ring under every interleaving (loom)" \
    env RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/loom" \
    "$CARGO" test --locked --release -p ring loom
step systems-debug "small systems in the emulator, debug configuration" \
    make systems CONFIG=debug TOOLCHAIN="$toolchain"
step systems-release "small systems in the emulator, release configuration" \
    make systems CONFIG=release TOOLCHAIN="$toolchain"
step root-of-trust "the root of trust's firmware on its machine, killed and started again" \
    env KINGLET_ROT_FIRMWARE="$CARGO_TARGET_DIR/riscv32imc-unknown-none-elf/release/rot-firmware" "$CARGO" test --locked -p rot-host --features built-firmware --test firmware
step main-debug "the main job, debug configuration" main_job debug "$toolchain"
step wiring "system.xml with one thing changed at a time, against the programs that were built" \
    "$CARGO" test --locked -p kinglet --features built-system --test system_xml
step main-release "the main job, release configuration" main_job release "$toolchain"
step main-minimal "the same system.xml on the board without accelerator" main_job debug "$toolchain" qemu_virt_riscv64_minimal
if [ "$toolchain" = auto ] && command -v apt-get >/dev/null; then
    # The other way to build: a distribution's toolchain, the standard library compiled here.
    step build-std "the main job, built with the distribution's toolchain" main_job release build-std
else
    echo "skipped: the distribution's toolchain (no apt-get, or one toolchain asked for)" >&2
    skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
