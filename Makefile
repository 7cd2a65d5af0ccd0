# SPDX-License-Identifier: GPL-2.0
#
# Only forwards: the modules are built by kbuild from Kbuild, everything else
# is a script below tools/ or the Makefile of selftests/.
#
#   KDIR=<dir>     kernel headers or build tree to build the modules against
#                  (default: those of the guest's kernel)
#   KERNEL=<name>  the kernel to boot for check, check-compat and run: one of
#                  debug, kcsan, 6.12, 6.1 (built on first use), a Debian suite
#                  (forky), a release installed in the guest root, or a kernel
#                  build tree
#   TESTS="c c:t"  collections, or programs of collections, for check
#   MODULE=<name>  hmm_dmirror or test_hmm, for check-compat
#   TIME=<seconds> how long to soak; SEED=, THREADS=, LIMIT=<MiB>, PROCS=<jobs>,
#                  OWN=1 to fuzz without libFuzzer
#   LONGER=<n>     check does n times as much of what is repeated
#   KERNELS="k k" STEPS="s s"  what of check-all to run; AGAIN=1: what passed as well
#   HMM_DMIRROR_CACHE=<dir>  where the guest root is kept (~/.cache/hmm-dmirror)

KDIR ?=
KERNEL ?=
TESTS ?=
MODULE ?= hmm_dmirror
export KDIR KERNEL TESTS MODULE TIME SEED THREADS LIMIT PROCS OWN KERNELS STEPS AGAIN

# kbuild looks for itself at W=, C=, V=, CC= and the like.
KBUILD_VARS = $(filter-out KDIR=% KERNEL=% TESTS=% MODULE=% TIME=% SEED=% THREADS=% LIMIT=% PROCS=% OWN=% KERNELS=% STEPS=% AGAIN=% LONGER=%,$(MAKEOVERRIDES))

modules: ## build hmm_devmem.ko and hmm_dmirror.ko (KDIR=, W=1, C=1)
	@tools/modules/build $(KBUILD_VARS)

kernel: ## build one of the kernels of tools/vm/kernels (KERNEL=debug)
	@tools/vm/kernel $(KERNEL)

clean: ## remove what the other targets left in this tree
	@tools/modules/clean

run: ## watch a process migrate to the device and back, in a guest
	@tools/run/run

check: ## run the selftests in a guest (TESTS=, KERNEL=)
	@tools/check/suite

soak: ## the exerciser, or PROCS= processes of jobs, in a guest (TIME=, SEED=)
	@tools/check/soak

fuzz: ## random commands by libFuzzer, in a guest (TIME=, SEED=, OWN=1)
	@tools/check/fuzz

check-compat: ## run the kernel's own hmm-tests in a guest (MODULE=test_hmm)
	@tools/check/compat

check-all: ## everything, on all kernels, for many hours (KERNELS=, STEPS=)
	@tools/check/all

check-kernels: ## build against the kernels of four Debian suites
	@tools/kernels/check

check-config: ## table of the kernel options needed and their state (KDIR=)
	@tools/config/check $(KDIR)

style: ## checkpatch, sparse, W=1, kernel-doc
	@tools/style/check

unit: ## test the pure logic on this machine, no root needed
	@$(MAKE) --no-print-directory -C selftests/unit check

load: ## build for the running kernel and load both modules
	@tools/modules/load

unload: ## and remove them again
	@tools/modules/unload

ci: ## everything .ci/run does: unit, check, check-compat, style
	@.ci/run

help: ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20
	@echo 'Variables:'
	@sed -n '/^#   /,/^$$/s/^# //p' Makefile

.PHONY: modules kernel clean run check soak fuzz check-compat check-all check-kernels \
	check-config style unit load unload ci help
