#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Gives up after its results.
printf 'TAP version 13\n1..1\nok 1 one\nBail out! had enough\n'
