// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that misbehave in ways a runner must notice, one per name, selected
 * with -t. Not part of any list of tests: runner.sh runs them on purpose.
 */
#include <signal.h>
#include "dm_harness.h"

FIXTURE(bait)
{
	int nothing;
};

FIXTURE_SETUP(bait)
{
}

FIXTURE_TEARDOWN(bait)
{
}

/* Behaves well: the control that shows green is possible. */
TEST_F(bait, pass)
{
	EXPECT_EQ(1, 1);
}

/* Fails plainly. */
TEST_F(bait, fail)
{
	EXPECT_EQ(1, 2);
}

/* Fails only in a forked child, which exits with status 0. */
TEST_F(bait, child)
{
	pid_t pid = fork();
	int status;

	ASSERT_GE(pid, 0);
	if (!pid) {
		EXPECT_EQ(1, 2);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Does not do its job, and says so politely. */
TEST_F(bait, skip)
{
	SKIP(return, "felt like it");
}

/* Dies of a signal. */
TEST_F(bait, crash)
{
	raise(SIGSEGV);
}

/* Leaves through exit code 2, which the harness reads as expected failure. */
TEST_F(bait, exit2)
{
	_exit(2);
}

/* Never ends; the harness has to lose patience. */
TEST_F_TIMEOUT(bait, hang, 3)
{
	for (;;)
		pause();
}

TEST_HARNESS_MAIN
