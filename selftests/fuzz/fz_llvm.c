// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer behind libFuzzer, which chooses the inputs and keeps those that show
 * something new. What it goes by is not the code of this program but what the
 * kernel answered and counted: its "extra counters".
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* libFuzzer finds it by the name of its section. */
static __u8 fz_counters[FZ_FEATURES]
	__attribute__((section("__libfuzzer_extra_counters"), used));

static struct fz_report fz_report;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *limit = getenv("FUZZ_LIMIT");
	int ret = fz_init(limit ? atoi(limit) : 20);

	if (ret) {
		fprintf(stderr, "fuzz: cannot start: %s\n", strerror(-ret));
		exit(2);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	struct fz_prog prog;

	fz_decode(data, size, &prog);
	if (!prog.n)
		return -1;
	if (fz_run(&prog, &fz_report)) {
		printf("# FAILED: %s\n", fz_report.why);
		fz_print(stdout, &prog);
		fflush(stdout);
		abort();
	}
	memcpy(fz_counters, fz_report.feature, FZ_FEATURES);
	return 0;
}

/* Half of the time bytes, as libFuzzer likes; else operations and their arguments. */
size_t LLVMFuzzerCustomMutator(__u8 *data, size_t size, size_t max, unsigned int seed)
{
	static __u8 bytes[FZ_BYTES];
	struct fz_prog prog;
	__u64 rng = seed;

	if (seed & 1)
		return LLVMFuzzerMutate(data, size, max);
	fz_decode(data, size, &prog);
	fz_mutate(&rng, &prog, NULL);
	size = fz_encode(&prog, bytes);
	size = size < max ? size : max;
	memcpy(data, bytes, size);
	return size;
}
