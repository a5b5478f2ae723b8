/* Empty on purpose: vmlinux.h holds the types. */
