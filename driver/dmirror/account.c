// SPDX-License-Identifier: GPL-2.0
/*
 * Accounts: see account.h. Owns their life and their arithmetic; vram.c knows
 * which page is whose. Takes no locks: pages are freed in any context.
 */
#include <linux/slab.h>

#include "account.h"

struct dmirror_account *dmirror_account_create(const struct dmirror_vram *home,
					       unsigned long limit)
{
	struct dmirror_account *account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);

	if (!account)
		return NULL;
	refcount_set(&account->ref, 1);
	account->home = home;
	account->limit = min_t(unsigned long, limit, LONG_MAX);
	return account;
}

void dmirror_account_put(struct dmirror_account *account)
{
	if (account && refcount_dec_and_test(&account->ref))
		kfree(account);
}

/* @n pages more on a device, or less; the reference of each is dealt with elsewhere. */
static void dmirror_account_note(struct dmirror_account *account,
				 const struct dmirror_vram *vram, long n)
{
	if (vram != account->home)
		atomic_long_add(n, &account->away);
}

unsigned int dmirror_account_charge(struct dmirror_account *account,
				    const struct dmirror_vram *vram, unsigned int n)
{
	long pages = atomic_long_read(&account->pages);

	do {
		n = min_t(long, n, max(account->limit - pages, 0L));
		if (!n)
			return 0;
	} while (!atomic_long_try_cmpxchg(&account->pages, &pages, pages + n));
	dmirror_account_note(account, vram, n);
	refcount_add(n, &account->ref);
	return n;
}

void dmirror_account_charge_more(struct dmirror_account *account,
				 const struct dmirror_vram *vram, unsigned int n)
{
	dmirror_account_note(account, vram, n);
	atomic_long_add(n, &account->pages);
	refcount_add(n, &account->ref);
}

void dmirror_account_uncharge(struct dmirror_account *account,
			      const struct dmirror_vram *vram, unsigned int n)
{
	dmirror_account_note(account, vram, -(long)n);
	atomic_long_sub(n, &account->pages);
	if (refcount_sub_and_test(n, &account->ref))
		kfree(account);
}
