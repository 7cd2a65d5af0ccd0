// SPDX-License-Identifier: GPL-2.0
/*
 * Clients: see client.h. Owns what an open file has whichever front end it was
 * opened through; what it is used for is in mirror.c. Takes no locks.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "account.h"
#include "client.h"
#include "device.h"
#include "hints.h"
#include "mirror.h"

static unsigned long dmirror_client_limit = ULONG_MAX;

void dmirror_client_set_limit(unsigned long pages)
{
	dmirror_client_limit = pages;
}

unsigned long dmirror_client_vram(const struct dmirror_client *client)
{
	return min_t(unsigned long, client->account->limit,
		     client->dev->vram.nr_pages);
}

static struct dmirror_client *dmirror_client_create(struct dmirror_device *dev)
{
	static atomic64_t last = ATOMIC64_INIT(0);
	struct dmirror_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return NULL;
	client->account = dmirror_account_create(&dev->vram, dmirror_client_limit);
	if (!client->account) {
		kfree(client);
		return NULL;
	}
	client->id = atomic64_inc_return(&last);
	client->dev = dmirror_device_get(dev);
	return client;
}

static void dmirror_client_free(struct dmirror_client *client)
{
	dmirror_device_put(client->dev);
	dmirror_account_put(client->account);
	kfree(client);
}

struct dmirror_client *dmirror_client_open(struct dmirror_device *dev)
{
	struct dmirror_client *client;
	int ret;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	client = dmirror_client_create(dev);
	if (!client)
		return ERR_PTR(-ENOMEM);
	ret = dmirror_mirror_init(client);
	if (ret) {
		dmirror_client_free(client);
		return ERR_PTR(ret);
	}
	atomic_inc(&dev->clients);
	return client;
}

void dmirror_client_close(struct dmirror_client *client)
{
	dmirror_hints_fini(client);
	dmirror_mirror_fini(client);
	atomic_dec(&client->dev->clients);
	dmirror_client_free(client);
}
