// SPDX-License-Identifier: GPL-2.0
/*
 * Several clients: none sees or disturbs another, and fdinfo tells whose the
 * memory is.
 */
#include <fcntl.h>
#include <pthread.h>
#include "dm_drm_harness.h"
#include "scene.h"

#define NPAGES	64UL

DMD_FIXTURE(clients);

/* What fdinfo has of interest; -1 for what it has not. */
struct info {
	long long client, total, resident, peer, limit, device;
	bool driver;
	int lines;	/* beginning with drm- or the name of the driver */
};

static void info_size(const char *value, long long *bytes)
{
	char unit[8] = "";
	long long n;

	*bytes = -1;
	if (sscanf(value, "%lld %7s", &n, unit) < 1)
		return;
	if (!*unit)
		*bytes = n;
	else if (!strcmp(unit, "KiB"))
		*bytes = n << 10;
	else if (!strcmp(unit, "MiB"))
		*bytes = n << 20;
}

/*
 * Keys of Documentation/gpu/drm-usage-stats.rst in the kernel, and what follows the
 * number; NULL for text. What begins with another comes first.
 */
static const struct { const char *key, *unit; } known[] = {
	{ "drm-driver", NULL }, { "drm-pdev", NULL }, { "drm-client-id", "" },
	{ "drm-client-name", NULL }, { "drm-engine-capacity-", "" },
	{ "drm-engine-", "ns" }, { "drm-cycles-", "" }, { "drm-total-cycles-", "" },
	{ "drm-maxfreq-", "Hz|MHz|KHz" }, { "drm-memory-", "|KiB|MiB" },
	{ "drm-shared-", "|KiB|MiB" }, { "drm-total-", "|KiB|MiB" },
	{ "drm-resident-", "|KiB|MiB" }, { "drm-purgeable-", "|KiB|MiB" },
	{ "drm-active-", "|KiB|MiB" },
};

/* Is @unit one of those between the bars? */
static bool is_unit(const char *unit, const char *units)
{
	size_t n = strlen(unit);

	for (;;) {
		size_t len = strcspn(units, "|");

		if (len == n && !strncmp(unit, units, n))
			return true;
		if (!units[len])
			return false;
		units += len + 1;
	}
}

/* A key that is known, a name where it wants one, a number, and its unit. */
static bool line_ok(const char *key, const char *value)
{
	char unit[16] = "", rest[2];
	unsigned long long n;
	int i, len;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		len = strlen(known[i].key);
		if (known[i].key[len - 1] == '-' ? !strncmp(key, known[i].key, len) :
						   !strcmp(key, known[i].key))
			break;
	}
	if (i == ARRAY_SIZE(known) || (known[i].key[len - 1] == '-' && !key[len]))
		return false;
	if (!known[i].unit)
		return *value;
	if (*value < '0' || *value > '9' ||
	    sscanf(value, "%llu %15s %1s", &n, unit, rest) > 2)
		return false;
	return is_unit(unit, known[i].unit);
}

/* Returns whether the line is as the kernel's document wants it. */
static bool info_line(struct info *info, const char *key, const char *value)
{
	bool drm = !strncmp(key, "drm-", 4);

	if (drm || !strncmp(key, DMD_NAME "-", 12))
		info->lines++;
	if (!strcmp(key, "drm-driver"))
		info->driver = !strcmp(value, DMD_NAME);
	else if (!strcmp(key, "drm-client-id"))
		info->client = atoll(value);
	else if (!strcmp(key, "drm-total-vram"))
		info_size(value, &info->total);
	else if (!strcmp(key, "drm-resident-vram"))
		info_size(value, &info->resident);
	else if (!strcmp(key, "drm-total-peer"))
		info_size(value, &info->peer);
	else if (!strcmp(key, DMD_NAME "-limit-vram"))
		info_size(value, &info->limit);
	else if (!strcmp(key, DMD_NAME "-device"))
		info->device = atoll(value);
	return !drm || line_ok(key, value);
}

/*
 * Every line is "key:<white space>value", and those of DRM what they should be.
 * Returns -EBADMSG for one that is not.
 */
static int info_of(pid_t pid, int fd, struct info *info)
{
	char path[64], text[4096], *line, *next, *colon;
	ssize_t n;

	*info = (struct info){ -1, -1, -1, -1, -1, -1 };
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	n = dm_read_file(path, text, sizeof(text));
	if (n < 0)
		return n;
	for (line = text; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			return -EBADMSG;
		*next++ = '\0';
		colon = strchr(line, ':');
		if (!colon || colon == line || (colon[1] != '\t' && colon[1] != ' '))
			return -EBADMSG;
		*colon++ = '\0';
		if (!info_line(info, line, colon + strspn(colon, " \t")))
			return -EBADMSG;
	}
	return 0;
}

#define EXPECT_USED(fd, n) do {						\
	struct info _info;						\
	EXPECT_EQ(0, info_of(getpid(), fd, &_info));			\
	EXPECT_EQ((long long)((n) * DM_PAGE), _info.total);		\
	EXPECT_EQ(_info.total, _info.resident);				\
} while (0)

#define EXPECT_AWAY(fd, n) do {						\
	struct info _info;						\
	EXPECT_EQ(0, info_of(getpid(), fd, &_info));			\
	EXPECT_EQ((long long)((n) * DM_PAGE), _info.peer);		\
} while (0)

TEST_F(clients, fdinfo)
{
	int fd = dmd_open(self->dm.index), copy = dup(self->drm);
	struct info mine, other, same;
	__u64 limit;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, info_of(getpid(), self->drm, &mine));
	ASSERT_EQ(0, info_of(getpid(), fd, &other));
	ASSERT_EQ(0, info_of(getpid(), copy, &same));
	EXPECT_TRUE(mine.driver);
	EXPECT_LE(6, mine.lines);
	EXPECT_LT(0, mine.client);
	EXPECT_NE(mine.client, other.client);
	EXPECT_EQ(mine.client, same.client);
	EXPECT_EQ(self->dm.index, mine.device);
	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_CLIENT_VRAM, &limit));
	EXPECT_EQ(limit, mine.limit);
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, close(fd));
}

/* Memory is put down to the file that moved it, for as long as it is there. */
TEST_F(clients, whose_memory)
{
	int fd = dmd_open(self->dm.index);
	struct dm_buf a, b;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_buf_anon(&a, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(a.ptr, NPAGES, a.ptr, 1, DM_CPU);
	dm_fill(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
	EXPECT_USED(self->drm, 0);
	ASSERT_EQ(0, dmd_to_vram(self->drm, a.ptr, a.size));
	ASSERT_EQ(0, dmd_to_vram(fd, b.ptr, 7 * DM_PAGE));
	EXPECT_USED(self->drm, NPAGES);
	EXPECT_USED(fd, 7);
	/* What is there already stays whose it was. */
	ASSERT_EQ(0, dmd_to_vram(fd, a.ptr, a.size));
	EXPECT_USED(self->drm, NPAGES);
	EXPECT_USED(fd, 7);

	/* Whoever moves it away, and however it goes. */
	ASSERT_EQ(0, dmd_to_system(fd, a.ptr, 10 * DM_PAGE));
	EXPECT_USED(self->drm, NPAGES - 10);
	ASSERT_EQ(0, madvise(a.ptr + 10 * DM_PAGE, 5 * DM_PAGE, MADV_DONTNEED));
	EXPECT_USED(self->drm, NPAGES - 15);
	EXPECT_TAGS(a.ptr, 10, a.ptr, 1, DM_CPU);

	/* Pages outlive the file that brought them. */
	EXPECT_EQ(0, close(fd));
	EXPECT_WHERE(self->drm, b.ptr, 7, VRAM);
	EXPECT_USED(self->drm, NPAGES - 15);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
	dm_buf_free(&a);
	EXPECT_USED(self->drm, 0);
	dm_buf_free(&b);
}

/* A large page is charged whole, and given back piece by piece. */
TEST_F(clients, large)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, DM_2M_PAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_USED(self->drm, DM_2M_PAGES);
	ASSERT_EQ(0, munmap(b.ptr, 100 * DM_PAGE));
	ASSERT_EQ(0, dmd_to_system(self->drm, b.ptr + 100 * DM_PAGE,
				   b.size - 100 * DM_PAGE));
	EXPECT_USED(self->drm, 0);
	dm_buf_free(&b);
}

/* From device to device it stays whose it was, whoever moves it. */
TEST_F(clients, peer)
{
	int fd = dmd_open(self->dm.index), peer = dmd_open(self->dm.peer_index);
	struct dm_buf b;

	ASSERT_GE(fd, 0);
	ASSERT_GE(peer, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	ASSERT_EQ(0, dmd_migrate(fd, b.ptr, b.size, HMM_DMIRROR_DEST_DEVICE, 0,
				 self->dm.peer_index, NULL));
	EXPECT_WHERE(peer, b.ptr, NPAGES, VRAM);
	/* It takes no room on its own device any more, and is not that of the other's files. */
	EXPECT_USED(self->drm, 0);
	EXPECT_AWAY(self->drm, NPAGES);
	EXPECT_USED(fd, 0);
	EXPECT_AWAY(fd, 0);
	EXPECT_USED(peer, 0);
	EXPECT_AWAY(peer, 0);
	/* Half of it back, and the rest gives up its charge where it is. */
	ASSERT_EQ(0, dmd_migrate(peer, b.ptr, b.size / 2, HMM_DMIRROR_DEST_DEVICE, 0,
				 self->dm.index, NULL));
	EXPECT_USED(self->drm, NPAGES / 2);
	EXPECT_AWAY(self->drm, NPAGES / 2);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
	EXPECT_USED(self->drm, 0);
	EXPECT_AWAY(self->drm, 0);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(peer));
}

#define KIDS_FD	200	/* number of a descriptor */

/* The same addresses in two processes are different memory. */
TEST_F(clients, same_addresses)
{
	struct sc_sync go, done;
	struct info info;
	struct dm_buf b;
	pid_t pid;
	int fd;

	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, sc_sync_init(&done));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CHILD);
		fd = dmd_open(self->dm.index);
		if (fd < 0 || dup2(fd, KIDS_FD) != KIDS_FD ||
		    dmd_to_vram(fd, b.ptr, b.size / 2))
			_exit(1);
		sc_post(&done);
		if (sc_wait(&go))
			_exit(2);
		/* The parent's moves have moved nothing here. */
		if (dmd_all(fd, b.ptr, NPAGES / 2, HMM_DMIRROR_QUERY_VRAM, NULL) ||
		    dmd_all(fd, b.ptr + b.size / 2, NPAGES / 2,
			    HMM_DMIRROR_QUERY_SYSTEM, NULL))
			_exit(3);
		_exit(dm_verify(b.ptr, NPAGES, b.ptr, 1, DM_CHILD, NULL) ? 4 : 0);
	}
	EXPECT_EQ(0, sc_wait(&done));
	EXPECT_WHERE(self->drm, b.ptr, NPAGES, SYSTEM);
	EXPECT_EQ(0, dmd_to_vram(self->drm, b.ptr + b.size / 2, b.size / 2));
	EXPECT_EQ(0, dmd_to_system(self->drm, b.ptr, b.size / 2));
	EXPECT_USED(self->drm, NPAGES / 2);
	EXPECT_WHERE(self->drm, b.ptr, NPAGES / 2, SYSTEM);
	EXPECT_WHERE(self->drm, b.ptr + b.size / 2, NPAGES / 2, VRAM);
	/* Root may look at the child's file. */
	EXPECT_EQ(0, info_of(pid, KIDS_FD, &info));
	EXPECT_EQ((long long)(NPAGES / 2 * DM_PAGE), info.total);
	sc_post(&go);
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	sc_sync_fini(&go);
	sc_sync_fini(&done);
	dm_buf_free(&b);
}

/* Both interfaces of a device at once, on the same pages. */
struct mover {
	int fd;
	struct dm_buf *b;
	volatile bool stop;
	int rounds;
	int errors;
};

static void *move_by_drm(void *arg)
{
	struct mover *m = arg;
	int ret;

	for (; !m->stop; m->rounds++) {
		ret = dmd_migrate(m->fd, m->b->ptr, m->b->size, m->rounds & 1,
				  m->rounds & 1, 0, NULL);
		m->errors += ret && ret != -EBUSY;
	}
	return NULL;
}

/* Somebody moves the pages all the time; trying again is what EBUSY asks for. */
static int write_steadily(int fd, struct dm_buf *b)
{
	int tries, ret = -EBUSY;

	for (tries = 0; tries < 30 && ret == -EBUSY; tries++)
		ret = dm_write(fd, b->ptr, b->npages, b->mirror, NULL);
	return ret;
}

static int read_steadily(int fd, struct dm_buf *b)
{
	int tries, ret = -EBUSY;

	for (tries = 0; tries < 30 && ret == -EBUSY; tries++)
		ret = dm_read(fd, b->ptr, b->npages, b->mirror, NULL);
	return ret;
}

TEST_F(clients, both_interfaces)
{
	struct mover m = { .fd = self->drm };
	struct dm_buf b;
	pthread_t thread;
	long long end;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 0, DM_CPU);
	m.b = &b;
	ASSERT_EQ(0, pthread_create(&thread, NULL, move_by_drm, &m));
	end = sc_now_ms() + sc_slow(20000);
	for (i = 1; sc_now_ms() < end; i++) {
		if (i > 100 && m.rounds > 100 &&
		    dm_stat_now(self->dm.index, "dev_faults") >=
		    dm_stat(&self->dm.start, "dev_faults") + 100)
			break;
		dm_fill(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		EXPECT_EQ(0, write_steadily(self->dm.fd, &b));
		memset(b.mirror, 0, b.size);
		EXPECT_EQ(0, read_steadily(self->dm.fd, &b));
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_DEV);
	}
	m.stop = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, m.errors);
	/* They were at it together: pages came and went, and the device lost them. */
	EXPECT_LT(100, m.rounds);
	EXPECT_MOVED_MIN(&self->dm, "migrate_in_pages", NPAGES);
	EXPECT_MOVED_MIN(&self->dm, "migrate_out_pages", NPAGES);
	EXPECT_MOVED_MIN(&self->dm, "dev_faults", 100);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i - 1, DM_DEV);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
