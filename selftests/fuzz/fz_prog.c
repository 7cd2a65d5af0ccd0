// SPDX-License-Identifier: GPL-2.0
/*
 * Inputs: as bytes, as text, thought of and changed at random. Knows of operations
 * no more than their names and the types of their arguments.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

const struct fz_kind *fz_kind(unsigned int number)
{
	if (number < fz_nr_chardev)
		return &fz_chardev_kinds[number];
	number -= fz_nr_chardev;
	if (number < fz_nr_drm)
		return &fz_drm_kinds[number];
	number -= fz_nr_drm;
	return number < fz_nr_mm ? &fz_mm_kinds[number] : NULL;
}

static unsigned int fz_nr_kinds(void)
{
	return fz_nr_chardev + fz_nr_drm + fz_nr_mm;
}

static unsigned int fz_nr_args(const struct fz_kind *kind)
{
	unsigned int n = 0;

	while (n < FZ_ARGS && kind->type[n] != FZ_NONE)
		n++;
	return n;
}

__u64 fz_random(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Bytes: the kind, then two for each argument, the lower one first. */
void fz_decode(const __u8 *data, size_t size, struct fz_prog *prog)
{
	size_t at = 0;

	memset(prog, 0, sizeof(*prog));
	while (at < size && prog->n < FZ_OPS) {
		struct fz_op *op = &prog->op[prog->n++];
		unsigned int i, n;

		op->kind = data[at++] % fz_nr_kinds();
		n = fz_nr_args(fz_kind(op->kind));
		for (i = 0; i < n; i++, at += 2) {
			op->arg[i] = at < size ? data[at] : 0;
			op->arg[i] |= at + 1 < size ? data[at + 1] << 8 : 0;
		}
	}
}

size_t fz_encode(const struct fz_prog *prog, __u8 *data)
{
	unsigned int i, k, n;
	size_t at = 0;

	for (k = 0; k < prog->n; k++) {
		const struct fz_op *op = &prog->op[k];

		data[at++] = op->kind;
		n = fz_nr_args(fz_kind(op->kind));
		for (i = 0; i < n; i++) {
			data[at++] = op->arg[i];
			data[at++] = op->arg[i] >> 8;
		}
	}
	return at;
}

/* A line: NAME ARG... in hexadecimal; those left out are 0. */
static int fz_parse_line(char *line, struct fz_op *op)
{
	const struct fz_kind *kind;
	char *word = strtok(line, " \t\n");
	unsigned int i = 0, n;

	for (op->kind = 0; (kind = fz_kind(op->kind)); op->kind++)
		if (!strcmp(kind->name, word))
			break;
	if (!kind)
		return -EINVAL;
	n = fz_nr_args(kind);
	while ((word = strtok(NULL, " \t\n"))) {
		char *end;
		unsigned long v = strtoul(word, &end, 16);

		if (*end || v > 0xffff || i == n)
			return -EINVAL;
		op->arg[i++] = v;
	}
	return 0;
}

int fz_parse(FILE *file, struct fz_prog *prog)
{
	char line[256];

	memset(prog, 0, sizeof(*prog));
	while (fgets(line, sizeof(line), file)) {
		char *start = line;

		line[strcspn(line, "#")] = '\0';
		while (isspace(*start))
			start++;
		if (!*start)
			continue;
		if (prog->n == FZ_OPS || fz_parse_line(start, &prog->op[prog->n]))
			return -EINVAL;
		prog->n++;
	}
	return 0;
}

void fz_print(FILE *file, const struct fz_prog *prog)
{
	unsigned int i, k, n;

	for (k = 0; k < prog->n; k++) {
		const struct fz_kind *kind = fz_kind(prog->op[k].kind);

		fputs(kind->name, file);
		n = fz_nr_args(kind);
		for (i = 0; i < n; i++)
			fprintf(file, " %x", prog->op[k].arg[i]);
		fputc('\n', file);
	}
}

static void fz_new_op(__u64 *rng, struct fz_op *op)
{
	const struct fz_kind *kind;
	unsigned int i, sum = 0, pick;

	for (i = 0; (kind = fz_kind(i)); i++)
		sum += kind->weight;
	pick = fz_random(rng) % sum;
	for (i = 0; pick >= fz_kind(i)->weight; i++)
		pick -= fz_kind(i)->weight;
	op->kind = i;
	kind = fz_kind(i);
	for (i = 0; i < FZ_ARGS; i++)
		op->arg[i] = fz_arg(rng, kind->type[i]);
}

void fz_generate(__u64 *rng, struct fz_prog *prog)
{
	memset(prog, 0, sizeof(*prog));
	prog->n = 1 + fz_random(rng) % (FZ_OPS / 2);
	for (unsigned int i = 0; i < prog->n; i++)
		fz_new_op(rng, &prog->op[i]);
}

static void fz_insert(struct fz_prog *prog, unsigned int at, const struct fz_op *op)
{
	struct fz_op copy = *op;

	if (prog->n == FZ_OPS)
		return;
	memmove(&prog->op[at + 1], &prog->op[at], (prog->n - at) * sizeof(*op));
	prog->op[at] = copy;
	prog->n++;
}

static void fz_remove(struct fz_prog *prog, unsigned int at)
{
	if (prog->n < 2)
		return;
	prog->n--;
	memmove(&prog->op[at], &prog->op[at + 1], (prog->n - at) * sizeof(prog->op[0]));
}

/* One argument: another one, one next to it, or the same as elsewhere. */
static void fz_mutate_arg(__u64 *rng, struct fz_prog *prog, struct fz_op *op)
{
	const struct fz_kind *kind = fz_kind(op->kind);
	const struct fz_op *from = &prog->op[fz_random(rng) % prog->n];
	unsigned int n = fz_nr_args(kind), i, k;
	__u64 r = fz_random(rng);

	if (!n)
		return;
	i = r % n;
	switch (r >> 32 & 3) {
	case 0:
		op->arg[i] += (r >> 40 & 1) ? 1 : -1;
		return;
	case 1:
		for (k = 0; k < FZ_ARGS; k++)
			if (fz_kind(from->kind)->type[k] == kind->type[i])
				op->arg[i] = from->arg[k];
		return;
	default:
		op->arg[i] = fz_arg(rng, kind->type[i]);
	}
}

void fz_mutate(__u64 *rng, struct fz_prog *prog, const struct fz_prog *other)
{
	unsigned int i, at, n = 1 + fz_random(rng) % 4;
	struct fz_op op;

	if (!prog->n)
		fz_generate(rng, prog);
	for (i = 0; i < n; i++) {
		at = fz_random(rng) % prog->n;
		switch (fz_random(rng) % 8) {
		case 0:
			fz_new_op(rng, &op);
			fz_insert(prog, at, &op);
			break;
		case 1:
			fz_remove(prog, at);
			break;
		case 2:
			fz_insert(prog, fz_random(rng) % prog->n, &prog->op[at]);
			break;
		case 3:
			if (other && other->n)
				fz_insert(prog, at, &other->op[fz_random(rng) % other->n]);
			break;
		default:
			fz_mutate_arg(rng, prog, &prog->op[at]);
		}
	}
}
