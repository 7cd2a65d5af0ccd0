#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every result is fine, the program fails nevertheless.
printf 'TAP version 13\n1..1\nok 1 one\n'
exit 1
