// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: see inject.h.
 *
 * Owns what the points are to do and what they have seen, per device and, for
 * the points that act at load, once for the driver; the parser of the text that
 * arms a point; the debugfs files. What a failure means is decided where the
 * point is. Where the kernel has fault injection of its own, a point that can
 * fail also asks that, so that fail-nth counts it.
 *
 * Locks: inject->lock, interrupts off: sabotage happens where pages are freed.
 * None is held in a delay.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "inject.h"
#include "types.h"

/* What a point can do. */
#define CAN_FAIL	BIT(0)
#define CAN_DELAY	BIT(1)
#define AT_LOAD		BIT(2)
#define SABOTAGE	BIT(3)

/* More than the longest text that makes sense. */
#define DMIRROR_INJECT_TEXT	128

static const struct {
	const char *name;
	unsigned int flags;
} dmirror_inject_points[] = {
	[DMIRROR_INJECT_DEVICE] = { "device", CAN_FAIL | CAN_DELAY | AT_LOAD },
	[DMIRROR_INJECT_POOL] = { "pool", CAN_FAIL | CAN_DELAY | AT_LOAD },
	[DMIRROR_INJECT_REGION] = { "region", CAN_FAIL | CAN_DELAY | AT_LOAD },
	[DMIRROR_INJECT_NODE] = { "node", CAN_FAIL | CAN_DELAY | AT_LOAD },
	[DMIRROR_INJECT_BUFFER] = { "buffer", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_LEAF] = { "leaf", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_NOTIFIER] = { "notifier", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_TABLE] = { "table", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_RESERVE] = { "reserve", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_IN_SMALL] = { "alloc_in_small", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_IN_LARGE] = { "alloc_in_large", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_OUT_SMALL] = { "alloc_out_small", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_OUT_LARGE] = { "alloc_out_large", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_EVICT_SMALL] = { "alloc_evict_small", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ALLOC_EVICT_LARGE] = { "alloc_evict_large", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_COPY] = { "copy", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_INSTALL] = { "install", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_QUEUE] = { "queue", CAN_FAIL | CAN_DELAY },
	[DMIRROR_INJECT_ACCESS] = { "access", CAN_DELAY },
	[DMIRROR_INJECT_INVALIDATE] = { "invalidate", CAN_DELAY },
	[DMIRROR_INJECT_COLLECT] = { "collect", CAN_DELAY },
	[DMIRROR_INJECT_COMMIT] = { "commit", CAN_DELAY },
	[DMIRROR_INJECT_FINALIZE] = { "finalize", CAN_DELAY },
	[DMIRROR_INJECT_EVICT] = { "evict", CAN_DELAY },
	[DMIRROR_INJECT_EVICT_COMMIT] = { "evict_commit", CAN_DELAY },
	[DMIRROR_INJECT_EVICT_FINALIZE] = { "evict_finalize", CAN_DELAY },
	[DMIRROR_SABOTAGE_INVALIDATE] = { "skip_invalidate", CAN_FAIL | SABOTAGE },
	[DMIRROR_SABOTAGE_RETRY] = { "skip_retry", CAN_FAIL | SABOTAGE },
	[DMIRROR_SABOTAGE_COPY] = { "skip_copy", CAN_FAIL | SABOTAGE },
	[DMIRROR_SABOTAGE_DIRTY] = { "skip_dirty", CAN_FAIL | SABOTAGE },
	[DMIRROR_SABOTAGE_LEAK] = { "leak_page", CAN_FAIL | SABOTAGE },
	[DMIRROR_SABOTAGE_COUNT] = { "miscount", CAN_FAIL | SABOTAGE },
};

static_assert(ARRAY_SIZE(dmirror_inject_points) == DMIRROR_NR_INJECT);

DEFINE_STATIC_KEY_FALSE(dmirror_inject_key);
DEFINE_STATIC_KEY_FALSE(dmirror_sabotage_key);

/*
 * The points that act at load, before there is a device to ask. Of the others
 * it has what a new device begins with.
 */
static struct dmirror_inject dmirror_inject_driver;

const char *dmirror_inject_name(enum dmirror_inject_point point)
{
	return dmirror_inject_points[point].name;
}

int dmirror_inject_find(const char *name)
{
	int i;

	for (i = 0; i < DMIRROR_NR_INJECT; i++)
		if (!strcmp(dmirror_inject_points[i].name, name))
			return i;
	return -ENOENT;
}

static bool dmirror_inject_at_load(unsigned int point)
{
	return dmirror_inject_points[point].flags & AT_LOAD;
}

/* The kernel's own fault injection, one attribute for a point of all devices. */
#ifdef CONFIG_FAULT_INJECTION
static struct fault_attr dmirror_fault_attr[DMIRROR_NR_INJECT];

static void dmirror_fault_attr_init(void)
{
	int i;

	for (i = 0; i < DMIRROR_NR_INJECT; i++) {
		dmirror_fault_attr[i] = (struct fault_attr)FAULT_ATTR_INITIALIZER;
		dmirror_fault_attr[i].verbose = 0;
	}
}

static bool dmirror_fault_attr_hit(enum dmirror_inject_point point)
{
	return (dmirror_inject_points[point].flags & CAN_FAIL) &&
	       should_fail(&dmirror_fault_attr[point], 1);
}

static void dmirror_fault_attr_add(struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir("fault_attr", parent);
	int i;

	for (i = 0; i < DMIRROR_SABOTAGE_INVALIDATE; i++)
		if (dmirror_inject_points[i].flags & CAN_FAIL)
			fault_create_debugfs_attr(dmirror_inject_points[i].name,
						  dir, &dmirror_fault_attr[i]);
}

static void dmirror_fault_attr_exit(void)
{
	int i;

	for (i = 0; i < DMIRROR_NR_INJECT; i++)
		compat_fault_attr_put(&dmirror_fault_attr[i]);
}
#else
static void dmirror_fault_attr_init(void) { }

static bool dmirror_fault_attr_hit(enum dmirror_inject_point point)
{
	return false;
}

static void dmirror_fault_attr_add(struct dentry *parent) { }

static void dmirror_fault_attr_exit(void) { }
#endif

static bool dmirror_inject_due(const struct dmirror_inject_state *state)
{
	const struct dmirror_inject_params *p = &state->params;

	if (!p->nth || state->hits < p->nth ||
	    (p->times && state->acted >= p->times))
		return false;
	return state->hits == p->nth ||
	       (p->every && !((state->hits - p->nth) % p->every));
}

/* Count a hit. Returns true, with what is to happen, when it is time. */
static bool dmirror_inject_count(struct dmirror_inject *inject,
				 enum dmirror_inject_point point,
				 struct dmirror_inject_params *params,
				 unsigned int *gen)
{
	struct dmirror_inject_state *state = &inject->points[point];
	unsigned long flags;
	bool due;

	spin_lock_irqsave(&inject->lock, flags);
	state->hits++;
	due = dmirror_inject_due(state);
	if (due) {
		state->acted++;
		state->waiting += !!state->params.delay_us;
		*params = state->params;
		*gen = state->gen;
	}
	spin_unlock_irqrestore(&inject->lock, flags);
	return due;
}

static void dmirror_inject_delay(struct dmirror_inject *inject,
				 enum dmirror_inject_point point,
				 unsigned int us, unsigned int gen)
{
	struct dmirror_inject_state *state = &inject->points[point];
	unsigned long flags;

	if (us < jiffies_to_usecs(2))
		usleep_range(us, us + us / 4 + 1);
	else
		wait_event_killable_timeout(inject->wait,
					    READ_ONCE(state->gen) != gen,
					    usecs_to_jiffies(us));

	spin_lock_irqsave(&inject->lock, flags);
	state->waiting--;
	spin_unlock_irqrestore(&inject->lock, flags);
}

static struct dmirror_inject *dmirror_inject_of(struct dmirror_device *dev,
						unsigned int point)
{
	return dmirror_inject_at_load(point) ? &dmirror_inject_driver : &dev->inject;
}

bool dmirror_inject_hit(struct dmirror_device *dev,
			enum dmirror_inject_point point)
{
	struct dmirror_inject *inject = dmirror_inject_of(dev, point);
	struct dmirror_inject_params params;
	bool fail = false;
	unsigned int gen;

	might_sleep();
	if (dmirror_inject_count(inject, point, &params, &gen)) {
		if (params.delay_us)
			dmirror_inject_delay(inject, point, params.delay_us, gen);
		fail = params.fail;
	}
	return dmirror_fault_attr_hit(point) || fail;
}

bool dmirror_sabotage_hit(struct dmirror_device *dev,
			  enum dmirror_inject_point what)
{
	struct dmirror_inject_params params;
	unsigned int gen;

	return dmirror_inject_count(&dev->inject, what, &params, &gen);
}

static int dmirror_inject_check(unsigned int point)
{
	if (point >= DMIRROR_NR_INJECT)
		return -EINVAL;
	if (!static_key_enabled(&dmirror_inject_key))
		return -EPERM;
	if ((dmirror_inject_points[point].flags & SABOTAGE) &&
	    !static_key_enabled(&dmirror_sabotage_key))
		return -EPERM;
	return 0;
}

static bool dmirror_inject_can(unsigned int point,
			       const struct dmirror_inject_params *params)
{
	unsigned int flags = dmirror_inject_points[point].flags;

	return params->delay_us <= DMIRROR_INJECT_MAX_DELAY_US &&
	       (!params->delay_us || (flags & CAN_DELAY)) &&
	       (!params->fail || (flags & CAN_FAIL));
}

static int dmirror_inject_store(struct dmirror_inject *inject, unsigned int point,
				const struct dmirror_inject_params *params)
{
	struct dmirror_inject_state *state = &inject->points[point];
	unsigned long flags;
	int ret = dmirror_inject_check(point);

	if (ret)
		return ret;
	if (!dmirror_inject_can(point, params))
		return -EINVAL;
	spin_lock_irqsave(&inject->lock, flags);
	state->params = *params;
	state->hits = 0;
	state->acted = 0;
	WRITE_ONCE(state->gen, state->gen + 1);
	spin_unlock_irqrestore(&inject->lock, flags);
	wake_up_all(&inject->wait);
	return 0;
}

static int dmirror_inject_load(struct dmirror_inject *inject, unsigned int point,
			       struct dmirror_inject_state *state)
{
	unsigned long flags;
	int ret = dmirror_inject_check(point);

	if (ret)
		return ret;
	spin_lock_irqsave(&inject->lock, flags);
	*state = inject->points[point];
	spin_unlock_irqrestore(&inject->lock, flags);
	return 0;
}

int dmirror_inject_set(struct dmirror_device *dev, unsigned int point,
		       const struct dmirror_inject_params *params)
{
	if (point >= DMIRROR_NR_INJECT)
		return -EINVAL;
	return dmirror_inject_store(dmirror_inject_of(dev, point), point, params);
}

int dmirror_inject_get(struct dmirror_device *dev, unsigned int point,
		       struct dmirror_inject_state *state)
{
	if (point >= DMIRROR_NR_INJECT)
		return -EINVAL;
	return dmirror_inject_load(dmirror_inject_of(dev, point), point, state);
}

void dmirror_inject_init(struct dmirror_inject *inject)
{
	int i;

	spin_lock_init(&inject->lock);
	init_waitqueue_head(&inject->wait);
	for (i = 0; i < DMIRROR_NR_INJECT; i++) {
		struct dmirror_inject_state *state = &inject->points[i];

		if (inject == &dmirror_inject_driver)
			memset(state, 0, sizeof(*state));
		else
			state->params = dmirror_inject_driver.points[i].params;
		state->set = inject;
	}
}

/* One word of the text that arms a point: "fail" or "name=number". */
static int dmirror_inject_word(char *word, struct dmirror_inject_params *params)
{
	const struct {
		const char *name;
		u32 *value;
	} numbers[] = {
		{ "nth", &params->nth },
		{ "every", &params->every },
		{ "times", &params->times },
		{ "delay_us", &params->delay_us },
	};
	char *value = word;
	char *name = strsep(&value, "=");
	int i;

	if (!value) {
		if (strcmp(name, "fail"))
			return -EINVAL;
		params->fail = true;
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(numbers[i].name, name))
			return kstrtou32(value, 0, numbers[i].value);
	return -EINVAL;
}

static int dmirror_inject_parse(char *text, struct dmirror_inject_params *params)
{
	char *word;
	int ret = 0;

	*params = (struct dmirror_inject_params){ };
	while (!ret && (word = strsep(&text, " ,\t\n")))
		if (*word)
			ret = dmirror_inject_word(word, params);
	return ret;
}

static int control_show(struct seq_file *m, void *unused)
{
	const struct dmirror_inject_state *file = m->private;
	struct dmirror_inject_state s;
	int ret;

	ret = dmirror_inject_load(file->set, file - file->set->points, &s);
	if (ret)
		return ret;
	seq_printf(m, "nth: %u\nevery: %u\ntimes: %u\ndelay_us: %u\nfail: %u\n",
		   s.params.nth, s.params.every, s.params.times,
		   s.params.delay_us, s.params.fail);
	seq_printf(m, "hits: %lu\nacted: %lu\nwaiting: %u\n", s.hits, s.acted,
		   s.waiting);
	return 0;
}

static int control_open(struct inode *inode, struct file *file)
{
	return single_open(file, control_show, inode->i_private);
}

static ssize_t control_write(struct file *file, const char __user *ubuf,
			     size_t len, loff_t *pos)
{
	const struct dmirror_inject_state *state = file_inode(file)->i_private;
	struct dmirror_inject_params params;
	char text[DMIRROR_INJECT_TEXT];
	int ret;

	if (*pos || len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, ubuf, len))
		return -EFAULT;
	text[len] = '\0';
	ret = dmirror_inject_parse(text, &params);
	if (!ret)
		ret = dmirror_inject_store(state->set, state - state->set->points,
					   &params);
	return ret ?: len;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.read = seq_read,
	.write = control_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static void dmirror_inject_file(struct dmirror_inject_state *state,
				const char *name, struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir(name, parent);

	debugfs_create_file("control", 0600, dir, state, &control_fops);
}

void dmirror_inject_debugfs_add(struct dmirror_device *dev, struct dentry *parent)
{
	struct dmirror_inject *inject = dev ? &dev->inject : &dmirror_inject_driver;
	struct dentry *points, *sabotage = NULL;
	int i;

	if (!static_key_enabled(&dmirror_inject_key))
		return;
	points = debugfs_create_dir("inject", parent);
	if (!dev)
		dmirror_fault_attr_add(parent);
	else if (static_key_enabled(&dmirror_sabotage_key))
		sabotage = debugfs_create_dir("sabotage", parent);

	for (i = 0; i < DMIRROR_NR_INJECT; i++) {
		unsigned int flags = dmirror_inject_points[i].flags;
		struct dentry *dir = flags & SABOTAGE ? sabotage : points;

		if (dir && !dev == !!(flags & AT_LOAD))
			dmirror_inject_file(&inject->points[i],
					    dmirror_inject_points[i].name, dir);
	}
}

/* One point of the module parameter: "name:words". */
static int dmirror_inject_arm_one(char *text)
{
	struct dmirror_inject_params params;
	char *name = strsep(&text, ":");
	int point = dmirror_inject_find(name);
	int ret;

	if (point < 0 || !text)
		return -EINVAL;
	ret = dmirror_inject_parse(text, &params);
	return ret ?: dmirror_inject_store(&dmirror_inject_driver, point, &params);
}

static int dmirror_inject_arm(const char *arm)
{
	char *copy = kstrdup(arm, GFP_KERNEL);
	char *rest = copy;
	char *text;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	while (!ret && (text = strsep(&rest, ";")))
		if (*text)
			ret = dmirror_inject_arm_one(text);
	kfree(copy);
	return ret;
}

int dmirror_inject_module_init(unsigned int level, const char *arm)
{
	dmirror_inject_init(&dmirror_inject_driver);
	dmirror_fault_attr_init();
	if (level >= 1)
		static_branch_enable(&dmirror_inject_key);
	if (level >= 2)
		static_branch_enable(&dmirror_sabotage_key);
	return arm ? dmirror_inject_arm(arm) : 0;
}

void dmirror_inject_module_exit(void)
{
	dmirror_fault_attr_exit();
}
