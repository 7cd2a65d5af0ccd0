/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU faults: the process touches a page that only the device can reach.
 */
#ifndef DMIRROR_CPU_FAULT_H
#define DMIRROR_CPU_FAULT_H

#include <linux/mm_types.h>

struct dmirror_device;
struct vm_fault;

/**
 * dmirror_cpu_fault() - bring the page back, and some of its neighbours
 * @dev: the device that has the page
 * @vmf: the fault
 * @around: how many bytes around the page may come along, a power of two of at
 *	least PAGE_SIZE and at most 2 MiB
 *
 * Context: migrate_to_ram(), mmap lock held for reading.
 * Return: as migrate_to_ram(): 0, VM_FAULT_OOM, VM_FAULT_SIGBUS.
 */
vm_fault_t dmirror_cpu_fault(struct dmirror_device *dev, struct vm_fault *vmf,
			     unsigned long around);

#endif /* DMIRROR_CPU_FAULT_H */
