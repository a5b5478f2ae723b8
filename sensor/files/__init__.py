# SPDX-License-Identifier: Apache-2.0
"""The configuration of the runtimes themselves: their files on the host, and their daemons' command lines.

Looked at every few seconds by what stat(2) says, and at once where fanotify(7) tells that somebody wrote there.
What was last seen is kept without secrets, so that what changes while no sensor runs is told too.
"""
