// SPDX-License-Identifier: GPL-2.0
/*
 * What an open render node does for a program that was started by exec.
 *
 * usage: fd_probe FD
 * Exits with the errno of a command on it, 0 if it succeeds.
 */
#include <stdlib.h>
#include "dm_drm.h"

int main(int argc, char **argv)
{
	__u64 value;

	return argc == 2 ? -dmd_param(atoi(argv[1]), HMM_DMIRROR_PARAM_DEVICE,
				      &value) : 255;
}
