# SPDX-License-Identifier: Apache-2.0
"""Emulations: the real thing done to a container that was made for it, by docker, podman or the CRI, and undone.

    place      where commands run: this host, or another by a command such as ssh
    disposable what a runtime's containers have in common
    clients    docker and podman, whose command lines are alike
    crictl     the container runtime interface, by its own client
    image      a root file system of busybox, when no image is named
    chores     what a day without an attack is made of
    script     a detection's emulate.sh, run against one container

Nothing is removed or entered that does not carry the label of this run, and a container made here ends by itself,
so that it goes even when nobody is left to remove it.
"""
