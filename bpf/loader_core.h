/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps and macros for the prebuilt object, loaded by libbpf; loader_bcc.h is its twin. */
#ifndef NSENTRY_LOADER_CORE_H
#define NSENTRY_LOADER_CORE_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "event.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ENTRIES_LEN);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct mark);
} marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ns_place);
} before SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} mounts SEC(".maps"), roots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} inits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} released SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct runtime);
} runtimes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct budget);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event_exec);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 << 10);
} ordinary SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct ordinary_key);
	__type(value, struct ordinary_count);
} alike SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ordinary_tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} strangers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listening);
	__type(value, __u32);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct client_key);
	__type(value, struct client);
} clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct exec_name);
	__type(value, struct exec_request);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct sent_key);
	__type(value, __u32);
} sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct recipient);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} asks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} injected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SWITCHES);
	__type(key, __u32);
	__type(value, __u32);
} switches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sensor SEC(".maps");

/* Of its own: a signal may be sent by an interrupt that comes while another program fills `scratch`. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event_signal);
} letter SEC(".maps");

/*
 * Programs that outlive their sensor are joined, for a moment, by those of the next one. Whose turn it is
 * stands in a map that both share; the loader writes ours into the object before it loads it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} generation SEC(".maps");

const volatile __u64 own_generation SEC(".rodata.generation") = 0;

static __always_inline int off_duty(void)
{
	__u32 zero = 0;
	__u64 *now = bpf_map_lookup_elem(&generation, &zero);

	return now && *now != own_generation;
}

#define MAP_ACCESS(map, key_type, value_type)                                                              \
	static __always_inline value_type *map##_lookup(key_type *key)                                     \
	{                                                                                                  \
		return bpf_map_lookup_elem(&map, key);                                                     \
	}                                                                                                  \
	static __always_inline long map##_update(key_type *key, value_type *value)                         \
	{                                                                                                  \
		return bpf_map_update_elem(&map, key, value, BPF_ANY);                                     \
	}                                                                                                  \
	static __always_inline void map##_delete(key_type *key)                                            \
	{                                                                                                  \
		bpf_map_delete_elem(&map, key);                                                            \
	}

MAP_ACCESS(marks, __u32, struct mark)
MAP_ACCESS(before, __u32, struct ns_place)
MAP_ACCESS(mounts, __u32, __u32)
MAP_ACCESS(inits, __u32, __u32)
MAP_ACCESS(released, __u64, __u32)
MAP_ACCESS(runtimes, __u32, struct runtime)
MAP_ACCESS(budgets, __u64, struct budget)
MAP_ACCESS(alike, struct ordinary_key, struct ordinary_count)
MAP_ACCESS(tallies, __u32, struct ordinary_tally)
MAP_ACCESS(strangers, __u32, __u32)
MAP_ACCESS(cgroups, __u64, __u32)
MAP_ACCESS(roots, __u32, __u32)
MAP_ACCESS(clients, struct client_key, struct client)
MAP_ACCESS(requests, struct exec_name, struct exec_request)
MAP_ACCESS(sent, struct sent_key, __u32)
MAP_ACCESS(routes, __u32, struct recipient)
MAP_ACCESS(asks, __u32, __u64)
MAP_ACCESS(injected, __u64, __u64)

static __always_inline __u32 *listeners_lookup(struct listening *key)
{
	return bpf_map_lookup_elem(&listeners, key);
}

static __always_inline __u32 *switches_lookup(__u32 *key)
{
	return bpf_map_lookup_elem(&switches, key);
}

static __always_inline struct event_signal *letter_lookup(__u32 *key)
{
	return bpf_map_lookup_elem(&letter, key);
}

static __always_inline __u32 *sensor_lookup(__u32 *key)
{
	return bpf_map_lookup_elem(&sensor, key);
}

static __always_inline __u64 *counters_lookup(__u32 *key)
{
	return bpf_map_lookup_elem(&counters, key);
}

static __always_inline struct event_exec *scratch_lookup(__u32 *key)
{
	return bpf_map_lookup_elem(&scratch, key);
}

static __always_inline long entries_output(void *event, __u64 size)
{
	return bpf_ringbuf_output(&entries, event, size, 0);
}

/* Bytes that wait in the ring of entries. */
static __always_inline __u64 entries_waiting(void)
{
	return bpf_ringbuf_query(&entries, BPF_RB_AVAIL_DATA);
}

static __always_inline long ordinary_output(void *event, __u64 size)
{
	return bpf_ringbuf_output(&ordinary, event, size, BPF_RB_NO_WAKEUP);
}

/* A second program at a place that has one already. */
#define ON_RAW_TRACEPOINT_TOO(name, function)                                                              \
	static __always_inline int do_##function(struct bpf_raw_tracepoint_args *ctx);                     \
	SEC("raw_tp/" #name) int function(struct bpf_raw_tracepoint_args *ctx)                             \
	{                                                                                                  \
		return off_duty() ? 0 : do_##function(ctx);                                                \
	}                                                                                                  \
	static __always_inline int do_##function(struct bpf_raw_tracepoint_args *ctx)
#define ON_RAW_TRACEPOINT(name) ON_RAW_TRACEPOINT_TOO(name, on_##name)
/* Around a function of the kernel: its name goes through the preprocessor first. */
#define ON_FUNCTION(function, enter, leave) ON_FUNCTION_NAMED(function, enter, leave)
#define ON_FUNCTION_NAMED(function, enter, leave)                                                          \
	SEC("fentry/" #function) int on_fentry_##function(void *ctx)                                       \
	{                                                                                                  \
		return off_duty() ? 0 : enter();                                                           \
	}                                                                                                  \
	SEC("fexit/" #function) int on_fexit_##function(void *ctx)                                         \
	{                                                                                                  \
		return off_duty() ? 0 : leave();                                                           \
	}
/* Where a function of the kernel begins, with the first two of what it is given. */
#define ON_FUNCTION_ENTERED(function, name, enter)                                                         \
	SEC("fentry/" #function) int on_fentry_##function(u64 *ctx)                                        \
	{                                                                                                  \
		return off_duty() ? 0 : enter(ctx[0], ctx[1]);                                             \
	}                                                                                                  \
	SEC("kprobe") int on_kprobe_##name(void *ctx)                                                      \
	{                                                                                                  \
		return off_duty() ? 0 : enter(parameter((u64)ctx, 0), parameter((u64)ctx, 1));             \
	}
/* The same pair at as many functions as the loader attaches it to. */
#define ON_KPROBE(name, enter, leave)                                                                      \
	SEC("kprobe") int on_kprobe_##name(void *ctx)                                                      \
	{                                                                                                  \
		return off_duty() ? 0 : enter();                                                           \
	}                                                                                                  \
	SEC("kretprobe") int on_kretprobe_##name(void *ctx)                                                \
	{                                                                                                  \
		return off_duty() ? 0 : leave();                                                           \
	}
#define ON_SYSCALL(call, enter, leave)                                                                     \
	SEC("tp/syscalls/sys_enter_" #call) int on_sys_enter_##call(void *ctx)                             \
	{                                                                                                  \
		return off_duty() ? 0 : enter();                                                           \
	}                                                                                                  \
	SEC("tp/syscalls/sys_exit_" #call) int on_sys_exit_##call(void *ctx)                               \
	{                                                                                                  \
		return off_duty() ? 0 : leave();                                                           \
	}

/*
 * Around a system call, with its first two arguments and its result. In the kernel its function is given
 * the caller's registers; at the tracepoint, arguments and result stand after 16 bytes of its head.
 */
#define ON_CALL_FUNCTION(function, enter, leave) ON_CALL_FUNCTION_NAMED(function, enter, leave)
#define ON_CALL_FUNCTION_NAMED(function, enter, leave)                                                     \
	SEC("fentry/" #function) int on_fentry_##function(u64 *ctx)                                        \
	{                                                                                                  \
		return off_duty() ? 0 : enter(parameter(ctx[0], 0), parameter(ctx[0], 1));                 \
	}                                                                                                  \
	SEC("fexit/" #function) int on_fexit_##function(u64 *ctx)                                          \
	{                                                                                                  \
		return off_duty() ? 0 : leave(ctx[1]);                                                     \
	}
#define ON_CALL_KPROBE(name, enter, leave)                                                                 \
	SEC("kprobe") int on_kprobe_##name(void *ctx)                                                      \
	{                                                                                                  \
		u64 registers = parameter((u64)ctx, 0);                                                    \
                                                                                                           \
		return off_duty() ? 0 : enter(parameter(registers, 0), parameter(registers, 1));           \
	}                                                                                                  \
	SEC("kretprobe") int on_kretprobe_##name(void *ctx)                                                \
	{                                                                                                  \
		return off_duty() ? 0 : leave(result_in((u64)ctx));                                        \
	}
#define ON_CALL_SYSCALL(call, enter, leave)                                                                \
	SEC("tp/syscalls/sys_enter_" #call) int on_sys_enter_##call(u64 *ctx)                              \
	{                                                                                                  \
		return off_duty() ? 0 : enter(ctx[2], ctx[3]);                                             \
	}                                                                                                  \
	SEC("tp/syscalls/sys_exit_" #call) int on_sys_exit_##call(u64 *ctx)                                \
	{                                                                                                  \
		return off_duty() ? 0 : leave(ctx[2]);                                                     \
	}

#define READ(dst, src) bpf_core_read(&(dst), sizeof(dst), &(src))
#define OFFSET_OF(type, field) bpf_core_field_offset(type, field)
#define READ_MM(dst, mm, field) READ(dst, (mm)->field)
#define HAS_OWNER(mm) bpf_core_field_exists((mm)->owner)
#define SUBSYSTEM(name) bpf_core_enum_value(enum cgroup_subsys_id, name)
#define HAS_SUBSYSTEM(name) bpf_core_enum_value_exists(enum cgroup_subsys_id, name)

/* Only kernels with CONFIG_AUDIT have these, and the one that built this object may not be among them. */
struct task_struct___audit {
	kuid_t loginuid;
	unsigned int sessionid;
} __attribute__((preserve_access_index));

static __always_inline void read_login(struct task_struct *task, __u32 *uid, __u32 *session)
{
	struct task_struct___audit *audit = (void *)task;

	if (bpf_core_field_exists(audit->loginuid))
		bpf_core_read(uid, sizeof(*uid), &audit->loginuid);
	if (session && bpf_core_field_exists(audit->sessionid))
		bpf_core_read(session, sizeof(*session), &audit->sessionid);
}

#endif
