# Kinglet's two commands are `make run` and `make test`; `make help` lists the rest.

BOARD ?= qemu_virt_riscv64
CONFIG ?= debug
# auto, prebuilt or build-std: see tools/setup.sh.
TOOLCHAIN ?= auto
# A folder with an official Microkit SDK composes the same programs for seL4; without one, the built-in kernel is used.
MICROKIT_SDK ?=
SYSTEM ?= system.xml
# no: boot with nothing at the other end of the line to the root of trust.
ROT ?=
# With VERBOSE=1 cargo says what it compiles even where there is no terminal.
VERBOSE ?=

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

build := build
# Aliases of boards are names of their folders here too.
board_dir := $(or $(wildcard boards/$(BOARD)),$(patsubst %/,%,$(dir $(shell grep -l '^aliases.*"$(BOARD)"' boards/*/board.toml))))
board := $(notdir $(board_dir))
# The board that this one is like, if it says so: its kernel is the one that systems are composed for.
machine := $(or $(shell sed -n 's/^like = "\(.*\)"$$/\1/p' $(board_dir)/board.toml),$(board))
# The accelerator's firmware, where the board has one.
npu_option = $(if $(shell grep -x '\[devices.npu\]' $(board_dir)/board.toml),--npu $(npu_firmware))
# The key that signs the apps is made at first use and never leaves build/.
apps_key := $(build)/keys/development
# The disk, where the board has one: kept between runs.
disk := $(build)/$(board)/disk.img
DISK_DIR ?= disk
disk_option = $(if $(shell grep -x '\[devices.disk\]' $(board_dir)/board.toml),--disk $(disk))

# What the emulated board hears, if it can: a WAV file, or nothing.
CLIP ?= $(if $(shell grep -x '\[devices.audio\]' $(board_dir)/board.toml),ml-runtime/models/keywords/clip.wav)

# The root of trust's firmware and the folder with its flash, where the board has one; ROT=no boots without.
has_rot := $(shell grep -lx '\[devices.rot\]' $(board_dir)/board.toml)
rot_option = $(if $(has_rot),$(if $(filter no,$(ROT)),--no-rot,--rot $(rot_firmware) --rot-state $(build)/rot --enroll $(apps_key).pub))
out := $(build)/$(board)/$(CONFIG)$(if $(MICROKIT_SDK),-sel4)
sdk := $(build)/sdk
image := $(out)/kinglet.img
toolchain := $(build)/toolchain-$(TOOLCHAIN).mk

ifeq ($(filter $(CONFIG),debug release),)
$(error CONFIG=$(CONFIG) is not one of: debug release)
endif
ifeq ($(board),)
$(error BOARD=$(BOARD) is not one of: $(notdir $(wildcard boards/*)))
endif

# Every folder in these is a package whose program has the folder's name.
pds := $(notdir $(patsubst %/,%,$(dir $(wildcard pds/*/Cargo.toml drivers/*/Cargo.toml))))
comma := ,
empty :=
space := $(empty) $(empty)
join_commas = $(subst $(space),$(comma),$(strip $(1)))

-include $(toolchain)

# Programs built with different toolchains do not mix.
export CARGO_TARGET_DIR := $(abspath $(build))/cargo$(if $(filter build-std,$(TOOLCHAIN_MODE)),-build-std)
cargo_options = --locked $(if $(VERBOSE),,--quiet)
cargo_build = $(CARGO) build $(cargo_options)
pd_target := riscv64gc-unknown-none-elf
kernel_target := riscv64imac-unknown-none-elf
kinglet = $(CARGO_TARGET_DIR)/debug/kinglet
npu_target_dir = $(CARGO_TARGET_DIR)-npu
npu_firmware = $(npu_target_dir)/$(pd_target)/release/npu-firmware
rot_target := riscv32imc-unknown-none-elf
rot_firmware = $(CARGO_TARGET_DIR)/$(rot_target)/release/rot-firmware
microkit = $(if $(MICROKIT_SDK),MICROKIT_SDK=$(MICROKIT_SDK) $(MICROKIT_SDK)/bin/microkit,$(sdk)/bin/microkit)
search_path = $(out) $(out)/pds

say = @echo "==> $(1)" >&2

.PHONY: help
help: ## What one can type here
	@echo "Kinglet: a secure operating system for small machine-learning devices"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22
	@echo
	@echo "  BOARD=$(BOARD)       one of: $(notdir $(wildcard boards/*))"
	@echo "  CONFIG=$(CONFIG)                  debug prints faults and debug output, release does not"
	@echo "  MICROKIT_SDK=DIR              compose for seL4 with an official Microkit 2.3 SDK"
	@echo "  TOOLCHAIN=$(TOOLCHAIN)                auto, prebuilt (rustup) or build-std (Debian's rustc-web)"
	@echo "  SYSTEM=$(SYSTEM)             the system description"
	@echo "  SERIAL=pty                    the console for a terminal program (and files by XMODEM) instead of this terminal"
	@echo "  CLIP=FILE.wav                 what the emulated board hears; CLIP= for nothing"

$(toolchain): tools/setup.sh
	@tools/setup.sh $(TOOLCHAIN) $@

.PHONY: setup
setup: ## Install what is missing (the other commands do it too)
	@tools/setup.sh $(TOOLCHAIN) $(toolchain)

.PHONY: tools
tools: $(toolchain)
	$(call say,building the host tools)
	@$(cargo_build) -p kinglet -p microkit

.PHONY: kernel
kernel: $(toolchain)
	$(call say,building the kernel ($(CONFIG)))
	@$(cargo_build) $(BUILD_STD) --release --target $(kernel_target) \
		-p kernel --features machine$(if $(filter debug,$(CONFIG)),$(comma)debug)

# A folder in the shape of an official SDK, so that both are used alike.
.PHONY: sdk
sdk: tools kernel
	@mkdir -p $(sdk)/bin $(sdk)/board/$(machine)/$(CONFIG)/elf
	@cp -f $(CARGO_TARGET_DIR)/debug/microkit $(CARGO_TARGET_DIR)/debug/microkit-audit $(sdk)/bin/
	@cp -f $(CARGO_TARGET_DIR)/$(kernel_target)/release/kernel $(sdk)/board/$(machine)/$(CONFIG)/elf/kernel.elf
	@cp -f boards/$(machine)/board.toml $(sdk)/board/$(machine)/$(CONFIG)/board.toml

.PHONY: pds
pds: tools
	$(call say,building the protection domains ($(CONFIG)): $(pds))
	@$(cargo_build) $(BUILD_STD) --release --target $(pd_target) -p sel4-microkit $(addprefix -p ,$(pds)) \
		--features $(call join_commas,$(addsuffix /pd,$(pds)) $(if $(filter debug,$(CONFIG)),sel4-microkit/debug))
	@mkdir -p $(out)/pds
	@for pd in $(pds); do $(kinglet) finish $(CARGO_TARGET_DIR)/$(pd_target)/release/$$pd $(out)/pds/$$pd.elf || exit 1; done

.PHONY: image
image: pds $(if $(MICROKIT_SDK),,sdk) ## Compose the image of a board, for the built-in kernel or with MICROKIT_SDK=DIR for seL4
	$(call say,composing $(SYSTEM) for $(board)$(if $(MICROKIT_SDK), on seL4))
	@$(kinglet) pack ml-runtime/models --output $(out)/models.pack
	@cat pds/shell/scripts/*.txt >$(out)/scripts.txt
	@cp -f ml-runtime/models/keywords/words.txt $(out)/words.txt
	@$(kinglet) expand $(SYSTEM) --board $(board) --search-path $(search_path) \
		--table $(out)/system_table.bin --output $(out)/$(basename $(notdir $(SYSTEM))).system
	@$(kinglet) check $(out)/$(basename $(notdir $(SYSTEM))).system --source $(SYSTEM) --search-path $(search_path)
	@$(microkit) $(out)/$(basename $(notdir $(SYSTEM))).system --board $(machine) --config $(CONFIG) \
		--search-path $(search_path) -o $(image) -r $(out)/report.txt

.PHONY: run
run: image $(if $(npu_option),npu-firmware) $(if $(has_rot),rot $(apps_key)) $(if $(disk_option),$(disk)) ## Build, boot in the emulator, do the main job, open the console
	$(call say,booting)
	@$(kinglet) run $(image) --board $(board) $(npu_option) $(rot_option) $(disk_option) $(if $(CLIP),--clip '$(CLIP)') $(if $(SERIAL),--serial '$(SERIAL)') \
		$(if $(has_rot),$(if $(disk_option),--first 'source apps'))

# What is on a new disk: a folder's files, the apps' bundles in install/ (one of them altered, to be refused), and the files that
# they find in their own folders.
disk_files := $(build)/$(board)/disk
make_disk = rm -rf $(disk_files) && mkdir -p $(disk_files)/install $(disk_files)/apps && cp -R $(DISK_DIR)/. $(disk_files) && \
	cp $(apps:%=$(build)/apps/%.klb) $(build)/apps/tampered.klb $(disk_files)/install && \
	for app in $(apps); do [ ! -d apps/$$app/files ] || cp -R apps/$$app/files $(disk_files)/apps/$$app || exit 1; done && \
	$(kinglet) disk make $(disk_files) --output $(disk)

.PHONY: disk
disk: tools apps ## Make the disk anew, with the files of a folder (DISK_DIR=disk) and the apps; what was on it is lost
	@$(make_disk)

# Made if it is missing, and otherwise left alone.
$(disk): | tools apps
	@$(make_disk)

.PHONY: graph
graph: image ## Draw the system: build/BOARD/CONFIG/system.svg
	@command -v dot >/dev/null || { echo "graph: please install graphviz (apt-get install graphviz)" >&2; exit 1; }
	@$(kinglet) graph $(out)/$(basename $(notdir $(SYSTEM))).system --output $(out)/system.dot
	@dot -Tsvg $(out)/system.dot -o $(out)/system.svg
	@echo "$(out)/system.svg"

# The auditor knows the built-in kernel's images only.
.PHONY: audit
audit: image ## Read the finished image: who can touch what, and is that what the description says
	@$(if $(MICROKIT_SDK),echo "audit: only images for the built-in kernel can be read" >&2; exit 1,)
	@$(sdk)/bin/microkit-audit $(out)/$(basename $(notdir $(SYSTEM))).system --board $(machine) --config $(CONFIG) \
		--search-path $(search_path) -o $(image)

.PHONY: gdb
gdb: image $(if $(npu_option),npu-firmware) $(if $(has_rot),rot $(apps_key)) ## Boot, halt before the first instruction, open a debugger
	@tools/gdb.sh "$(kinglet) run $(image) --board $(board) $(npu_option) $(rot_option)" $(out) $(CARGO_TARGET_DIR)/$(kernel_target)/release/kernel $(out)/pds

# The accelerator's firmware has its own linker script and processor, and thus its own folder.
.PHONY: npu-firmware
npu-firmware: $(toolchain)
	$(call say,building the accelerator's firmware)
	@RUSTFLAGS="-Ctarget-feature=+v,+zvl512b" KINGLET_BOARD_DIR=$(abspath boards/$(machine)) CARGO_TARGET_DIR=$(npu_target_dir) \
		$(cargo_build) $(BUILD_STD) --release --target $(pd_target) -p npu-firmware --features machine

# Apps have a linker script of their own, and thus a folder of their own. Frame pointers make backtraces of faults. An app is
# a package in apps/, or a folder with C files in apps/sdk-c/apps/.
apps_in_rust := $(notdir $(patsubst %/,%,$(dir $(wildcard apps/*/app.toml))))
apps_in_c := $(notdir $(patsubst %/,%,$(dir $(wildcard apps/sdk-c/apps/*/app.toml))))
apps := $(apps_in_rust) $(apps_in_c)
apps_target_dir := $(CARGO_TARGET_DIR)-apps
apps_programs := $(apps_target_dir)/$(pd_target)/release
apps_environment = RUSTFLAGS="-Clink-arg=-Tapps/sdk/app.ld -Clink-arg=-zmax-page-size=4096 -Cforce-frame-pointers=yes" \
	CARGO_TARGET_DIR=$(apps_target_dir)
build_apps = $(apps_environment) $(cargo_build) $(BUILD_STD) --release --target $(pd_target)
# Those of the system tests, which are one package.
test_apps := $(patsubst tests/apps/%.toml,%,$(filter-out %/Cargo.toml,$(wildcard tests/apps/*.toml)))
c_compiler := riscv64-unknown-elf-gcc
c_flags := -march=rv64imafdc_zicsr_zifencei -mabi=lp64d -mcmodel=medany -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-omit-frame-pointer \
	-ffunction-sections -Iapps/sdk-c/include
# Links the objects of $$app into a program. Their names have a sum of their contents, so that what changed is linked anew.
define build_c_app
	objects=; for file in apps/sdk-c/format.c apps/sdk-c/apps/$$app/*.c; do \
		object=$(abspath $(build))/apps/$$app-$$(basename $$file .c); \
		$(c_compiler) $(c_flags) -c $$file -o $$object.o || exit 1; \
		sum=$$(cksum <$$object.o | cut -d' ' -f1); mv $$object.o $$object-$$sum.o; \
		objects="$$objects -Clink-arg=$$object-$$sum.o"; \
	done; \
	$(apps_environment) $(CARGO) rustc $(cargo_options) $(BUILD_STD) --release --target $(pd_target) -p sdk-c --bin c-app --features app \
		-- $$objects && cp -f $(apps_programs)/c-app $(apps_programs)/$$app
endef
$(apps_key): | tools
	@mkdir -p $(dir $@)
	@$(kinglet) bundle keygen $@ >/dev/null

.PHONY: apps
apps: tools $(apps_key) ## Build the apps of apps/ into signed bundles: build/apps/NAME.klb
	$(call say,building the apps: $(apps))
	@$(build_apps) $(addprefix -p ,$(apps_in_rust)) --features $(call join_commas,$(addsuffix /app,$(apps_in_rust)))
	@mkdir -p $(build)/apps
	@for app in $(apps_in_c); do $(build_c_app) || exit 1; done
	@for app in $(apps); do $(kinglet) bundle pack $$(ls apps/$$app/app.toml apps/sdk-c/apps/$$app/app.toml 2>/dev/null) --program $(apps_programs)/$$app \
		--key $(apps_key) --output $(build)/apps/$$app.klb || exit 1; done
	@cp $(build)/apps/hello.klb $(build)/apps/tampered.klb
	@printf 'x' | dd of=$(build)/apps/tampered.klb bs=1 seek=5000 conv=notrunc status=none

.PHONY: rot
rot: $(toolchain) ## Build the firmware of the root of trust
	$(call say,building the root of trust's firmware)
	@$(cargo_build) $(BUILD_STD) --release --target $(rot_target) -p rot-firmware --features machine

# The programs of tests/systems, finished like all others.
test_programs := $(build)/tests/$(CONFIG)/programs
.PHONY: test-programs
test-programs: tools npu-firmware rot apps
	$(call say,building the test programs ($(CONFIG)))
	@$(cargo_build) $(BUILD_STD) --release --target $(pd_target) -p sel4-microkit -p test-pds \
		--features $(call join_commas,test-pds/pd $(if $(filter debug,$(CONFIG)),sel4-microkit/debug))
	@$(cargo_build) -p system-tests
	@mkdir -p $(test_programs)
	@for pd in $(filter-out firmware_probe,$(patsubst tests/pds/src/bin/%.rs,%,$(wildcard tests/pds/src/bin/*.rs))); do \
		$(kinglet) finish $(CARGO_TARGET_DIR)/$(pd_target)/release/$$pd $(test_programs)/$$pd.elf || exit 1; done
	@cp -f $(CARGO_TARGET_DIR)/$(pd_target)/release/firmware_probe $(test_programs)/firmware_probe.elf
	@cp -f $(npu_firmware) $(test_programs)/npu-firmware.elf
	@$(build_apps) -p test-apps --features test-apps/app
	@for app in $(test_apps); do $(kinglet) bundle pack tests/apps/$$app.toml --program $(apps_programs)/$$app \
		--key $(apps_key) --output $(build)/apps/test-$$app.klb || exit 1; done
	@for app in $(build)/apps/hello.klb $(patsubst %,$(build)/apps/test-%.klb,$(test_apps)); do \
		dd if=$$app bs=65536 conv=sync status=none || exit 1; done >$(test_programs)/bundles.bin
	@cp -f $(rot_firmware) $(test_programs)/rot-firmware.elf
	@$(kinglet) pack ml-runtime/models $(wildcard $(or $(KINGLET_MODELS),../shared/models)) --output $(test_programs)/models.pack
	@$(kinglet) clip ml-runtime/models/keywords/clip.wav --output $(test_programs)/keywords.clip
	@cp -f ml-runtime/models/keywords/clip.bin $(test_programs)/keywords.reference
	@cp -f ml-runtime/models/keywords/words.txt $(test_programs)
	@printf 'this is no clip, and no silence either' >$(test_programs)/garbage.clip

system_tests = $(CARGO_TARGET_DIR)/debug/system-tests --programs $(test_programs) $(out)/pds --kinglet $(kinglet) --config $(CONFIG) --board $(machine) \
	$(if $(MICROKIT_SDK),--sdk $(MICROKIT_SDK) --official,--sdk $(sdk)) --output $(build)/tests/$(CONFIG)

.PHONY: systems
systems: test-programs image ## Boot the small systems of tests/systems, and the whole one with what tests/console types (FILTER=NAME: only those)
	@$(system_tests) --image $(image) $(if $(FILTER),--filter $(FILTER))

# For scripts: the settings, as a shell reads them.
.PHONY: print-settings
print-settings: $(toolchain)
	@printf '%s\n' 'CARGO=$(CARGO)' 'export CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)' 'export RUSTC=$(RUSTC)' \
		'$(if $(RUSTC_BOOTSTRAP),export RUSTC_BOOTSTRAP=1)'

.PHONY: test
test: $(toolchain) ## Test everything: on the host, then whole systems in the emulator
	@tools/test.sh $(TOOLCHAIN)

.PHONY: bench
bench: ## Measure costs, counted exactly: prints them, and writes build/bench.json
	@$(MAKE) image test-programs CONFIG=release
	@rm -f $(build)/bench.json
	@$(MAKE) bench-systems CONFIG=release

# Where public models with exact outputs lie; the project's own are always measured.
KINGLET_MODELS ?= ../shared/models
public_models := $(if $(wildcard $(KINGLET_MODELS)/*/model.tflite),$(KINGLET_MODELS))

.PHONY: bench-systems
bench-systems:
	@cp -f $(out)/system_table.bin $(test_programs)
	@$(kinglet) pack ml-runtime/models $(public_models) --output $(test_programs)/bench_models.pack
	@$(if $(public_models),,echo "skipped: figures of the public models (there are none in $(KINGLET_MODELS); KINGLET_MODELS=DIR)")
	@$(system_tests) --bench $(build)/bench.json $(if $(MICROKIT_SDK),,--system-report $(out)/report.txt)

.PHONY: lint
lint: $(toolchain) ## Check format and run the lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf $(build)
