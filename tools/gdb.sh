#!/bin/sh
# `make gdb`: boots an image under a debugger, halted before the first instruction.
#
#   tools/gdb.sh RUN OUTPUT_FOLDER KERNEL_ELF PD_FOLDER
#
# The console goes to a file in the output folder. In the debugger, `pd shell` loads the symbols of a protection domain.
set -eu

# RUN is the command that boots the image, without the options for the debugger.
run=$1 out=$2 kernel=$3 pds=$4
console=$out/console.log

debugger=
for candidate in gdb-multiarch riscv64-unknown-elf-gdb; do
    if command -v $candidate >/dev/null; then debugger=$candidate; break; fi
done
if [ -z "$debugger" ]; then
    echo "gdb: installing gdb-multiarch" >&2
    if [ "$(id -u)" = 0 ]; then root=; elif command -v sudo >/dev/null; then root=sudo; else
        echo "gdb: please install, as root: apt-get install gdb-multiarch" >&2
        exit 1
    fi
    $root apt-get update -qq >/dev/null
    $root apt-get install -y -qq gdb-multiarch >/dev/null
    debugger=gdb-multiarch
fi

commands=$(mktemp)
$run --debugger --timeout-s 86400 </dev/null >"$console" 2>&1 &
emulator=$!
# The emulator is a child of the runner: both go, also when the debugger is interrupted.
trap 'pkill -P $emulator 2>/dev/null; kill $emulator 2>/dev/null; rm -f "$commands"' EXIT INT TERM

cat >"$commands" <<END
set pagination off
set confirm off
define pd
    add-symbol-file $pds/\$arg0.elf
end
document pd
Load the symbols of a protection domain: pd NAME (a file in $pds without .elf).
end
file $kernel
target remote 127.0.0.1:1234
echo \nHalted before the first instruction. The console is in $console.\n
echo hbreak NAME, continue; \`pd shell\` loads a protection domain's symbols.\n
END
# The emulator listens a moment after it was started.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.2
    if kill -0 $emulator 2>/dev/null && grep -q ':04D2 ' /proc/net/tcp 2>/dev/null; then break; fi
done
$debugger -q -x "$commands"
