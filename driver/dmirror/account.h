/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounts: whose doing it is that device memory is in use.
 *
 * A file has one, and so has each page it brought to a device, until the page
 * leaves. The file can go before its pages do. Pages know nothing of clients.
 */
#ifndef DMIRROR_ACCOUNT_H
#define DMIRROR_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/refcount.h>

struct dmirror_vram;

/**
 * struct dmirror_account - device memory in use by one client
 * @ref: one of the client, one of each page
 * @pages: how many pages it has or has set aside, on whichever device
 * @away: how many of them are on another device than the client's
 * @home: the device of the client; only compared, constant
 * @limit: how many it may have, constant
 */
struct dmirror_account {
	refcount_t ref;
	atomic_long_t pages;
	atomic_long_t away;
	const struct dmirror_vram *home;
	long limit;
};

/**
 * dmirror_account_create() - an account without pages
 * @home: the device of the client
 * @limit: how many pages it may have
 *
 * Return: the account with one reference, or NULL without memory.
 */
struct dmirror_account *dmirror_account_create(const struct dmirror_vram *home,
					       unsigned long limit);

/**
 * dmirror_account_put() - drop the client's reference
 * @account: the account; may be gone afterwards, NULL is nothing
 */
void dmirror_account_put(struct dmirror_account *account);

/**
 * dmirror_account_charge() - more pages are to come in
 * @account: the account, referenced by the caller
 * @vram: the device they come to
 * @n: how many are wanted
 *
 * Context: any.
 * Return: how many the limit has room for, at most @n; that many are charged.
 */
unsigned int dmirror_account_charge(struct dmirror_account *account,
				    const struct dmirror_vram *vram, unsigned int n);

/**
 * dmirror_account_charge_more() - pages come in that are charged elsewhere still
 * @account: the account, referenced by the caller
 * @vram: the device they come to
 * @n: how many
 *
 * For pages on their way from one device to another: the limit does not count
 * for the moment in which they are charged twice.
 *
 * Context: any.
 */
void dmirror_account_charge_more(struct dmirror_account *account,
				 const struct dmirror_vram *vram, unsigned int n);

/**
 * dmirror_account_uncharge() - pages have left
 * @account: the account; may be gone afterwards
 * @vram: the device they leave
 * @n: how many of its pages
 *
 * Context: any.
 */
void dmirror_account_uncharge(struct dmirror_account *account,
			      const struct dmirror_vram *vram, unsigned int n);

/**
 * dmirror_account_pages() - pages in use on the client's own device
 * @account: the account
 *
 * Return: how many.
 */
static inline unsigned long dmirror_account_pages(const struct dmirror_account *account)
{
	return max(atomic_long_read(&account->pages) -
		   atomic_long_read(&account->away), 0L);
}

/**
 * dmirror_account_peer_pages() - pages in use on other devices
 * @account: the account
 *
 * Return: how many.
 */
static inline unsigned long dmirror_account_peer_pages(const struct dmirror_account *account)
{
	return atomic_long_read(&account->away);
}

/**
 * dmirror_account_room() - pages that may come in
 * @account: the account
 *
 * Return: how many at this moment.
 */
static inline unsigned long dmirror_account_room(const struct dmirror_account *account)
{
	return max(account->limit - atomic_long_read(&account->pages), 0L);
}

#endif /* DMIRROR_ACCOUNT_H */
