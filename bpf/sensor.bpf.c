/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door, seen from inside the kernel. One source for two loaders: read the files in this order.
 *
 * Caveats. A thread's mark is lost when the map of marks is full (counted). An unshare alone is not a
 * crossing here. Where the kernel takes neither fentry nor a kprobe, setns is seen at its tracepoint, which
 * puts every task on the slow syscall path, about 30 ns a call; all other hooks are off that path.
 */
#ifdef LOADER_BCC
#include "loader_bcc.h"
#else
#include "loader_core.h"
#endif

/* Of our own structs, which no relocation may touch. */
#define OFFSET_IN_EVENT(type, field) __builtin_offsetof(type, field)

/* A system call's function in the kernel; on x86, 32-bit callers come through one of their own. */
#ifdef __TARGET_ARCH_arm64
#define SYSCALL_FUNCTION(call) __arm64_sys_##call
#else
#define SYSCALL_FUNCTION(call) __x64_sys_##call
#define SYSCALL_FUNCTION_32(call) __ia32_sys_##call
#endif

/* What the caller's registers hold, by the calling convention; arm64's are in one row, by number. */
static __always_inline u64 parameter(u64 registers, int number)
{
	u64 value = 0;
#ifdef __TARGET_ARCH_arm64
	bpf_probe_read_kernel(&value, sizeof(value), (void *)(registers + number * sizeof(value)));
#else
	struct pt_regs *regs = (struct pt_regs *)registers;

	if (number)
		READ(value, regs->si);
	else
		READ(value, regs->di);
#endif
	return value;
}

static __always_inline u64 result_in(u64 registers)
{
#ifdef __TARGET_ARCH_arm64
	return parameter(registers, 0);
#else
	struct pt_regs *regs = (struct pt_regs *)registers;
	u64 value = 0;

	READ(value, regs->ax);
	return value;
#endif
}

#include "mark.h"
#include "task.h"
#include "budget.h"
#include "path.h"
#include "runtime.h"
#include "stray.h"
#include "reach.h"
#include "flow.h"

#include "setns.h"
#include "fork.h"
#include "exec.h"
#include "exit.h"
#include "inject.h"
#include "ordinary.h"
#include "datagram.h"
#include "signal.h"
#include "contact.h"
#include "request.h"
