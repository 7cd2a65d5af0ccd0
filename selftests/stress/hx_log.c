// SPDX-License-Identifier: GPL-2.0
/*
 * The log of hmmx: one line of text for each operation, written before it is done,
 * so that the last line of a log that survives its machine says what killed it. The first
 * line says under what conditions; they are those of a replay, too.
 *
 *	hmmx 2 seed SEED threads N small 0|1 swap MIB limit MIB
 *	THREAD KIND AREA PAGE NPAGES ARG
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hmmx.h"

static int hx_line_print(char *buf, size_t len, unsigned int thread,
			 const struct hx_op *op)
{
	return snprintf(buf, len, "%u %s %u %u %u %llx\n", thread,
			hx_kinds[op->kind].name, op->area, op->page, op->npages,
			op->arg);
}

void hx_log(struct hx_actor *a, const struct hx_op *op)
{
	char line[100];
	int n;

	/* A child's operations follow from the argument of the fork. */
	if (a->run->log < 0 || a->forked)
		return;
	n = hx_line_print(line, sizeof(line), a->id, op);
	if (write(a->run->log, line, n) != n)
		hx_fail(a, op, "the log cannot be written: errno %d", errno);
}

static int hx_line_parse(const char *text, const struct hx_run *run,
			 struct hx_line *line)
{
	char name[32];
	unsigned int k;

	if (sscanf(text, "%u %31s %u %u %u %llx", &line->thread, name,
		   &line->op.area, &line->op.page, &line->op.npages,
		   &line->op.arg) != 6)
		return -EINVAL;
	for (k = 0; k < hx_nr_kinds && strcmp(name, hx_kinds[k].name); k++)
		;
	line->op.kind = k;
	if (k == hx_nr_kinds || line->thread >= run->threads ||
	    line->op.area >= run->threads * HX_AREAS || !line->op.npages ||
	    line->op.npages > HX_SPAN_MAX ||
	    line->op.page + line->op.npages > HX_AREA_PAGES)
		return -EINVAL;
	return 0;
}

static long hx_log_lines(FILE *file, struct hx_line **lines, struct hx_run *run)
{
	unsigned long room = 0, n = 0;
	char text[200];

	while (fgets(text, sizeof(text), file)) {
		if (n == room) {
			room = room ? 2 * room : 1024;
			*lines = realloc(*lines, room * sizeof(**lines));
			if (!*lines)
				return -ENOMEM;
		}
		/* The last line may be cut short where the machine died. */
		if (hx_line_parse(text, run, &(*lines)[n]))
			return feof(file) ? n : -EINVAL;
		n++;
	}
	return n;
}

static int hx_head_read(FILE *file, struct hx_run *run)
{
	unsigned int small;
	char text[200];

	if (!fgets(text, sizeof(text), file) ||
	    sscanf(text, "hmmx 2 seed %llu threads %u small %u swap %u limit %u",
		   &run->seed, &run->threads, &small, &run->swap, &run->limit) != 5 ||
	    !run->threads || run->threads > HX_THREADS_MAX || small > 1 ||
	    run->swap > HX_MIB_MAX || run->limit > HX_MIB_MAX)
		return -EINVAL;
	run->small = small;
	return 0;
}

long hx_log_read(const char *path, struct hx_line **lines, struct hx_run *run)
{
	FILE *file = fopen(path, "r");
	long n;

	if (!file)
		return -errno;
	*lines = NULL;
	n = hx_head_read(file, run);
	if (!n)
		n = hx_log_lines(file, lines, run);
	fclose(file);
	return n;
}

int hx_log_write(const char *path, const struct hx_run *run,
		 const struct hx_line *lines, unsigned long n)
{
	FILE *file = fopen(path, "w");
	unsigned long i;
	char text[100];

	if (!file)
		return -errno;
	fprintf(file, "hmmx 2 seed %llu threads %u small %d swap %u limit %u\n",
		run->seed, run->threads, run->small, run->swap, run->limit);
	for (i = 0; i < n; i++) {
		hx_line_print(text, sizeof(text), lines[i].thread, &lines[i].op);
		fputs(text, file);
	}
	return fclose(file) ? -errno : 0;
}
