#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts a line into the kernel log that looks like a defect report.
echo 'WARNING: CPU: 0 PID: 1 at nowhere.c:1 nothing+0x0/0x0' > /dev/kmsg
printf 'TAP version 13\n1..1\nok 1 one\n'
