// SPDX-License-Identifier: GPL-2.0
/*
 * Every operation with every point failing: the first time it is passed, the
 * second, and so on until the operation is through untouched; and each time it
 * is passed. After each failure nothing is lost, everything adds up, and the same
 * call then works. Owns the module for the time of the program.
 */
#define _GNU_SOURCE
#include <sys/utsname.h>

#include "dm_inject.h"
#include "ops.h"
#include "stage.h"

/* More failures in a row than any operation has reason to see. */
#define NTH_MAX		4000

FIXTURE(sweep) {
	struct dm_ctx dm;
	struct fi f;
	struct dm_points points;
	long runs, failed;
};

FIXTURE_VARIANT(sweep) { const char *op; };

#define OP(name) FIXTURE_VARIANT_ADD(sweep, name) { .op = #name }
FI_OPS(OP);
FI_DRM_OPS(OP);

FIXTURE_SETUP(sweep)
{
	const struct fi_op *op = fi_find(variant->op);

	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_NE(NULL, op);
	if (!fi_can(op))
		SKIP(return, "this kernel has no DRM");
	ASSERT_EQ(0, fi_init(&self->f, op, DM_PRIVATE0));
	ASSERT_EQ(0, dm_inject_points(DM_PRIVATE0, &self->points));
	ASSERT_LT(10, self->points.n);
}

FIXTURE_TEARDOWN(sweep)
{
	dm_inject_off(DM_PRIVATE0);
	fi_fini(&self->f);
	stage_teardown(_metadata, &self->dm);
}

/* All of the first ones; of many, some, and the last. */
static long next_nth(long nth, long hits)
{
	long next = nth < 6 * sc_longer() ? nth + 1 : nth + nth / 2;

	return next > hits && nth < hits ? hits : next;
}

/* One run with @how armed. Returns how often it acted; the judge's word in @err. */
static long one_run(struct fi *f, const char *point, const char *how, long *hits,
		    bool content_first, int *err)
{
	long acted;
	int ret;

	*err = fi_prepare(f);
	if (*err)
		return 0;
	*err = dm_inject_arm(f->index, point, how);
	ret = f->op->run(f);
	acted = dm_inject_get(f->index, point, "acted");
	*hits = dm_inject_get(f->index, point, "hits");
	if (!*err)
		*err = dm_inject_arm(f->index, point, "");
	if (!*err)
		*err = fi_judge(f, ret, acted > 0, content_first);
	return acted;
}

/*
 * Of the points that can fail, those the operation passes: all are armed for a time
 * that does not come. Returns how many there are, or a negative errno.
 */
static int find_passed(struct fi *f, const struct dm_points *points, bool *passed)
{
	int i, n = 0, ret = fi_prepare(f);
	long hits;

	for (i = 0; i < points->n && !ret; i++) {
		passed[i] = dm_inject_can_fail(f->index, points->name[i]);
		if (passed[i])
			ret = dm_inject_arm(f->index, points->name[i], "nth=1000000 fail");
	}
	if (!ret)
		ret = fi_judge(f, f->op->run(f), false, false);
	for (i = 0; i < points->n && !ret; i++) {
		if (!passed[i])
			continue;
		hits = dm_inject_get(f->index, points->name[i], "hits");
		passed[i] = hits > 0;
		n += passed[i];
		ret = hits < 0 ? hits : dm_inject_arm(f->index, points->name[i], "");
	}
	return ret ? ret : n;
}

/* Fail the 1st, 2nd, ... until nothing fails any more. */
static int sweep_point(struct fi *f, const char *point, long *runs, long *failed)
{
	long nth, acted, hits = 0;
	char how[64];
	int err;

	for (nth = 1; nth < NTH_MAX; nth = next_nth(nth, hits)) {
		snprintf(how, sizeof(how), "nth=%ld fail", nth);
		acted = one_run(f, point, how, &hits, nth & 1, &err);
		(*runs)++;
		*failed += acted > 0;
		if (err)
			return err;
		if (acted <= 0)
			return nth > 1;
	}
	return -ELOOP;
}

TEST_F_TIMEOUT(sweep, nth, dm_timeout(60) * sc_longer())
{
	bool passed[DM_INJECT_MAX];
	int i, ret;

	ASSERT_LT(0, find_passed(&self->f, &self->points, passed)) {
		TH_LOG("%s", self->f.why);
	}
	for (i = 0; i < self->points.n; i++) {
		const char *point = self->points.name[i];

		if (!passed[i])
			continue;
		ret = sweep_point(&self->f, point, &self->runs, &self->failed);
		ASSERT_LE(0, ret) {
			TH_LOG("%s: %s", point, self->f.why);
		}
	}
	TH_LOG("%ld runs, %ld with a failure", self->runs, self->failed);
}

/*
 * At first so many fail that who tries again has to do it often; then all of them. A
 * CPU fault cannot say that it failed, and is tried until it works; so is a job, for
 * as long as it may take.
 */
static bool is_patient(const char *op)
{
	return !strncmp(op, "cpu_fault", 9) || !strncmp(op, "job_", 4);
}

TEST_F_TIMEOUT(sweep, every, dm_timeout(60) * sc_longer())
{
	bool passed[DM_INJECT_MAX];
	long hits, acted;
	int i, k, err;

	ASSERT_LT(0, find_passed(&self->f, &self->points, passed)) {
		TH_LOG("%s", self->f.why);
	}
	for (i = 0; i < self->points.n; i++) {
		const char *point = self->points.name[i];

		if (!passed[i])
			continue;
		for (k = 0; k < 2; k++) {
			acted = one_run(&self->f, point,
					!k || is_patient(variant->op) ?
					"nth=1 every=1 times=30 fail" :
					"nth=1 every=1 fail", &hits, k, &err);
			ASSERT_EQ(0, err) {
				TH_LOG("%s: %s", point, self->f.why);
			}
			if (acted <= 0)
				break;
		}
	}
}

FIXTURE(reach) {
	struct dm_ctx dm;
	struct dm_points points;
	long hits[DM_INJECT_MAX];
};

FIXTURE_SETUP(reach)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_inject_points(DM_PRIVATE0, &self->points));
}

FIXTURE_TEARDOWN(reach)
{
	dm_teardown(_metadata, &self->dm);
}

/* Of an untouched run of one operation. */
static int count_hits(const struct fi_op *op, struct dm_points *p, long *hits)
{
	struct fi f;
	int i, ret;

	ret = fi_init(&f, op, DM_PRIVATE0);
	if (!ret)
		ret = fi_prepare(&f);
	if (!ret)
		ret = dm_inject_off(DM_PRIVATE0);
	if (!ret)
		ret = op->run(&f);
	for (i = 0; i < p->n && !ret; i++)
		hits[i] += dm_inject_get(DM_PRIVATE0, p->name[i], "hits");
	fi_fini(&f);
	return ret;
}

/* The device has large folios from 6.19 on. */
static bool large_folios(void)
{
	struct utsname name;
	int a, b;

	return !uname(&name) && sscanf(name.release, "%d.%d", &a, &b) == 2 &&
	       (a > 6 || (a == 6 && b >= 19));
}

/* The points are all passed by something, so that the sweep means something. */
TEST_F_TIMEOUT(reach, every_point, dm_timeout(60) * sc_longer())
{
	int i;

	for (i = 0; fi_at(i); i++) {
		if (!fi_can(fi_at(i)))
			continue;
		ASSERT_EQ(0, count_hits(fi_at(i), &self->points, self->hits)) {
			TH_LOG("operation %s", fi_at(i)->name);
		}
	}
	for (i = 0; i < self->points.n; i++) {
		const char *point = self->points.name[i];

		/* Nothing of the character devices queues. */
		if ((!strcmp(point, "queue") && access("/sys/module/drm", F_OK)) ||
		    (strstr(point, "large") && !large_folios()))
			continue;
		EXPECT_LT(0, self->hits[i]) {
			TH_LOG("nothing passes point %d", i);
		}
	}
}

DM_INJECT_MAIN(1, "vram_mb=4")
