// SPDX-License-Identifier: GPL-2.0
/*
 * Clients: see client.h. Owns what an open file has whichever front end it was
 * opened through; what it is used for is in mirror.c. Takes no locks.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "client.h"
#include "device.h"
#include "mirror.h"

struct dmirror_client *dmirror_client_open(struct dmirror_device *dev)
{
	struct dmirror_client *client;
	int ret;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return ERR_PTR(-ENOMEM);

	client->dev = dmirror_device_get(dev);
	ret = dmirror_mirror_init(client);
	if (ret) {
		dmirror_device_put(dev);
		kfree(client);
		return ERR_PTR(ret);
	}
	atomic_inc(&dev->clients);
	return client;
}

void dmirror_client_close(struct dmirror_client *client)
{
	struct dmirror_device *dev = client->dev;

	dmirror_mirror_fini(client);
	atomic_dec(&dev->clients);
	dmirror_device_put(dev);
	kfree(client);
}
