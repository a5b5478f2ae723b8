#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A pin of this host's own sensor is taken away; the sensor finds it within a heartbeat, and pins it again.
# Given: PINS where the sensor's folder of pins is another one. On the sensor's host, as root; by hand.
# Runtimes: host
set -eu
: "${PINS:=/sys/fs/bpf/nsentry}"

pin=$(find "$PINS" -name 'link-*exec*' | head -n 1)
: "${pin:?no program of a sensor is pinned in $PINS}"
rm "$pin"
