#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# All results are fine, the exit status is the one that means "expected failure".
printf 'TAP version 13\n1..1\nok 1 one\n'
exit 2
