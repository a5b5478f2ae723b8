/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Maps and macros for bcc, which compiles at start against the running kernel's own types; loader_core.h is
 * its twin. bcc rewrites map methods, and refuses to do so inside macros: hence one function per access.
 */
#ifndef NSENTRY_LOADER_BCC_H
#define NSENTRY_LOADER_BCC_H

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "event.h"

BPF_RINGBUF_OUTPUT(entries, ENTRIES_LEN / 4096); /* pages */
BPF_F_TABLE("hash", u32, struct mark, marks, 65536, BPF_F_NO_PREALLOC);
BPF_TABLE("lru_hash", u32, struct ns_place, before, 4096);
BPF_TABLE("lru_hash", u32, u32, mounts, 16384);
BPF_F_TABLE("hash", u32, u32, inits, 16384, BPF_F_NO_PREALLOC);
BPF_TABLE("lru_hash", u64, u32, released, 4096);
BPF_TABLE("lru_hash", u32, struct runtime, runtimes, 512);
BPF_TABLE("lru_hash", u64, struct budget, budgets, 4096);
BPF_RINGBUF_OUTPUT(ordinary, 128);
BPF_TABLE("lru_hash", struct ordinary_key, struct ordinary_count, alike, 8192);
BPF_F_TABLE("hash", u32, struct ordinary_tally, tallies, 4096, BPF_F_NO_PREALLOC);
BPF_TABLE("lru_hash", u32, u32, strangers, 4096);
BPF_TABLE("lru_hash", u64, u32, cgroups, 16384);
BPF_TABLE("lru_hash", u32, u32, roots, 16384);
BPF_TABLE("lru_hash", struct listening, u32, listeners, 4096);
BPF_TABLE("lru_hash", struct client_key, struct client, clients, 1024);
BPF_TABLE("lru_hash", struct exec_name, struct exec_request, requests, 2048);
BPF_TABLE("lru_hash", struct sent_key, u32, sent, 8192);
BPF_TABLE("lru_hash", u32, struct recipient, routes, 1024);
BPF_TABLE("lru_hash", u32, u64, asks, 4096);
BPF_TABLE("lru_hash", u64, u64, injected, 4096);
BPF_ARRAY(switches, u32, SWITCHES);
BPF_ARRAY(sensor, u32, 1);
BPF_PERCPU_ARRAY(letter, struct event_signal, 1);
BPF_PERCPU_ARRAY(counters, u64, COUNTERS);
BPF_PERCPU_ARRAY(scratch, struct event_exec, 1);

static __always_inline struct mark *marks_lookup(u32 *key)
{
	return marks.lookup(key);
}

static __always_inline long marks_update(u32 *key, struct mark *value)
{
	return marks.update(key, value);
}

static __always_inline void marks_delete(u32 *key)
{
	marks.delete(key);
}

static __always_inline struct ns_place *before_lookup(u32 *key)
{
	return before.lookup(key);
}

static __always_inline long before_update(u32 *key, struct ns_place *value)
{
	return before.update(key, value);
}

static __always_inline u32 *mounts_lookup(u32 *key)
{
	return mounts.lookup(key);
}

static __always_inline long mounts_update(u32 *key, u32 *value)
{
	return mounts.update(key, value);
}

static __always_inline void mounts_delete(u32 *key)
{
	mounts.delete(key);
}

static __always_inline u32 *inits_lookup(u32 *key)
{
	return inits.lookup(key);
}

static __always_inline long inits_update(u32 *key, u32 *value)
{
	return inits.update(key, value);
}

static __always_inline void inits_delete(u32 *key)
{
	inits.delete(key);
}

static __always_inline u32 *released_lookup(u64 *key)
{
	return released.lookup(key);
}

static __always_inline struct runtime *runtimes_lookup(u32 *key)
{
	return runtimes.lookup(key);
}

static __always_inline long runtimes_update(u32 *key, struct runtime *value)
{
	return runtimes.update(key, value);
}

static __always_inline struct budget *budgets_lookup(u64 *key)
{
	return budgets.lookup(key);
}

static __always_inline long budgets_update(u64 *key, struct budget *value)
{
	return budgets.update(key, value);
}

static __always_inline struct ordinary_count *alike_lookup(struct ordinary_key *key)
{
	return alike.lookup(key);
}

static __always_inline long alike_update(struct ordinary_key *key, struct ordinary_count *value)
{
	return alike.update(key, value);
}

static __always_inline void alike_delete(struct ordinary_key *key)
{
	alike.delete(key);
}

static __always_inline struct ordinary_tally *tallies_lookup(u32 *key)
{
	return tallies.lookup(key);
}

static __always_inline long tallies_update(u32 *key, struct ordinary_tally *value)
{
	return tallies.update(key, value);
}

static __always_inline u32 *strangers_lookup(u32 *key)
{
	return strangers.lookup(key);
}

static __always_inline void strangers_delete(u32 *key)
{
	strangers.delete(key);
}

static __always_inline u32 *roots_lookup(u32 *key)
{
	return roots.lookup(key);
}

static __always_inline u32 *cgroups_lookup(u64 *key)
{
	return cgroups.lookup(key);
}

static __always_inline struct exec_request *requests_lookup(struct exec_name *key)
{
	return requests.lookup(key);
}

static __always_inline long requests_update(struct exec_name *key, struct exec_request *value)
{
	return requests.update(key, value);
}

static __always_inline u64 *asks_lookup(u32 *key)
{
	return asks.lookup(key);
}

static __always_inline long asks_update(u32 *key, u64 *value)
{
	return asks.update(key, value);
}

static __always_inline u64 *injected_lookup(u64 *key)
{
	return injected.lookup(key);
}

static __always_inline long injected_update(u64 *key, u64 *value)
{
	return injected.update(key, value);
}

static __always_inline void asks_delete(u32 *key)
{
	asks.delete(key);
}

static __always_inline u32 *listeners_lookup(struct listening *key)
{
	return listeners.lookup(key);
}

static __always_inline struct client *clients_lookup(struct client_key *key)
{
	return clients.lookup(key);
}

static __always_inline long clients_update(struct client_key *key, struct client *value)
{
	return clients.update(key, value);
}

static __always_inline void clients_delete(struct client_key *key)
{
	clients.delete(key);
}

static __always_inline u32 *sent_lookup(struct sent_key *key)
{
	return sent.lookup(key);
}

static __always_inline long sent_update(struct sent_key *key, u32 *value)
{
	return sent.update(key, value);
}

static __always_inline void sent_delete(struct sent_key *key)
{
	sent.delete(key);
}

static __always_inline struct recipient *routes_lookup(u32 *key)
{
	return routes.lookup(key);
}

static __always_inline long routes_update(u32 *key, struct recipient *value)
{
	return routes.update(key, value);
}

static __always_inline void routes_delete(u32 *key)
{
	routes.delete(key);
}

static __always_inline u32 *switches_lookup(u32 *key)
{
	return switches.lookup(key);
}

static __always_inline struct event_signal *letter_lookup(u32 *key)
{
	return letter.lookup(key);
}

static __always_inline u32 *sensor_lookup(u32 *key)
{
	return sensor.lookup(key);
}

static __always_inline u64 *counters_lookup(u32 *key)
{
	return counters.lookup(key);
}

static __always_inline struct event_exec *scratch_lookup(u32 *key)
{
	return scratch.lookup(key);
}

static __always_inline long entries_output(void *event, u64 size)
{
	return entries.ringbuf_output(event, size, 0);
}

/*
 * bcc has no method for this. Until it loads, it numbers maps from -1 downwards in the order of their
 * declaration: of another map than a ring the verifier refuses this, and tests/kernel/test_budget.py tells
 * the two rings apart.
 */
static __always_inline u64 entries_waiting(void)
{
	return bpf_ringbuf_query((void *)bpf_pseudo_fd(1, (u64)-1), BPF_RB_AVAIL_DATA);
}

static __always_inline long ordinary_output(void *event, u64 size)
{
	return ordinary.ringbuf_output(event, size, BPF_RB_NO_WAKEUP);
}

#define ON_RAW_TRACEPOINT_TOO(name, function) int function(struct bpf_raw_tracepoint_args *ctx)
#define ON_RAW_TRACEPOINT(name) int on_##name(struct bpf_raw_tracepoint_args *ctx)
/* The name says where: bcc reads the function to attach to out of it. */
#define ON_FUNCTION(function, enter, leave) ON_FUNCTION_NAMED(function, enter, leave)
#define ON_FUNCTION_NAMED(function, enter, leave)                                                          \
	int kfunc__##function(void *ctx)                                                                   \
	{                                                                                                  \
		return enter();                                                                            \
	}                                                                                                  \
	int kretfunc__##function(void *ctx)                                                                \
	{                                                                                                  \
		return leave();                                                                            \
	}
#define ON_FUNCTION_ENTERED(function, name, enter)                                                         \
	int kfunc__##function(u64 *ctx)                                                                    \
	{                                                                                                  \
		return enter(ctx[0], ctx[1]);                                                              \
	}                                                                                                  \
	int on_kprobe_##name(void *ctx)                                                                    \
	{                                                                                                  \
		return enter(parameter((u64)ctx, 0), parameter((u64)ctx, 1));                              \
	}
#define ON_KPROBE(name, enter, leave)                                                                      \
	int on_kprobe_##name(void *ctx)                                                                    \
	{                                                                                                  \
		return enter();                                                                            \
	}                                                                                                  \
	int on_kretprobe_##name(void *ctx)                                                                 \
	{                                                                                                  \
		return leave();                                                                            \
	}
#define ON_SYSCALL(call, enter, leave)                                                                     \
	int on_sys_enter_##call(void *ctx)                                                                 \
	{                                                                                                  \
		return enter();                                                                            \
	}                                                                                                  \
	int on_sys_exit_##call(void *ctx)                                                                  \
	{                                                                                                  \
		return leave();                                                                            \
	}

/*
 * Around a system call, with its first two arguments and its result. In the kernel its function is given
 * the caller's registers; at the tracepoint, arguments and result stand after 16 bytes of its head.
 */
#define ON_CALL_FUNCTION(function, enter, leave) ON_CALL_FUNCTION_NAMED(function, enter, leave)
#define ON_CALL_FUNCTION_NAMED(function, enter, leave)                                                     \
	int kfunc__##function(u64 *ctx)                                                                    \
	{                                                                                                  \
		return enter(parameter(ctx[0], 0), parameter(ctx[0], 1));                                  \
	}                                                                                                  \
	int kretfunc__##function(u64 *ctx)                                                                 \
	{                                                                                                  \
		return leave(ctx[1]);                                                                      \
	}
#define ON_CALL_KPROBE(name, enter, leave)                                                                 \
	int on_kprobe_##name(void *ctx)                                                                    \
	{                                                                                                  \
		u64 registers = parameter((u64)ctx, 0);                                                    \
                                                                                                           \
		return enter(parameter(registers, 0), parameter(registers, 1));                            \
	}                                                                                                  \
	int on_kretprobe_##name(void *ctx)                                                                 \
	{                                                                                                  \
		return leave(result_in((u64)ctx));                                                         \
	}
#define ON_CALL_SYSCALL(call, enter, leave)                                                                \
	int on_sys_enter_##call(u64 *ctx)                                                                  \
	{                                                                                                  \
		return enter(ctx[2], ctx[3]);                                                              \
	}                                                                                                  \
	int on_sys_exit_##call(u64 *ctx)                                                                   \
	{                                                                                                  \
		return leave(ctx[2]);                                                                      \
	}

/* Taking an address is no dereference, so bcc's rewriter leaves it alone. */
#define READ(dst, src) bpf_probe_read_kernel(&(dst), sizeof(dst), &(src))
#define OFFSET_OF(type, field) __builtin_offsetof(type, field)
/*
 * Through a variable that the compiler cannot see into: with LLVM 14, bcc's own build adds 16 to a constant
 * offset of these reads when it is a multiple of 8. The offsets come from the loader, which asks BTF.
 */
#define READ_MM(dst, mm, field)                                                                            \
	do {                                                                                               \
		u64 offset_ = OFFSET_mm_struct_##field;                                                    \
		asm volatile("" : "+r"(offset_));                                                          \
		bpf_probe_read_kernel(&(dst), sizeof(dst), (char *)(mm) + offset_);                        \
	} while (0)
#define HAS_OWNER(mm) (OFFSET_mm_struct_owner != 0) /* 0 where the kernel has none */
#define SUBSYSTEM(name) name
#define HAS_SUBSYSTEM(name) HAS_##name /* from the loader, which looks into vmlinux.h */

static __always_inline void read_login(struct task_struct *task, u32 *uid, u32 *session)
{
#ifdef HAS_AUDIT
	bpf_probe_read_kernel(uid, sizeof(*uid), &task->loginuid);
	if (session)
		bpf_probe_read_kernel(session, sizeof(*session), &task->sessionid);
#endif
}

#endif
