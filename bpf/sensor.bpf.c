/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door, seen from inside the kernel. One source for two loaders: read the files in this order.
 *
 * Caveats. A thread's mark is lost when the map of marks is full (counted). An unshare or a chroot alone is
 * not a crossing here. Attaching to a syscall's tracepoint puts every task on the kernel's slow syscall
 * path, about 30 ns a call; the other three hooks are off that path.
 */
#ifdef LOADER_BCC
#include "loader_bcc.h"
#else
#include "loader_core.h"
#endif

/* Of our own structs, which no relocation may touch. */
#define OFFSET_IN_EVENT(type, field) __builtin_offsetof(type, field)

#include "mark.h"
#include "task.h"
#include "path.h"

#include "setns.h"
#include "fork.h"
#include "exec.h"
#include "exit.h"
