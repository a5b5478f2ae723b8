/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into a container's process from outside, without entering: ptrace attaches to it, process_vm_writev
 * writes to its memory. Told once for two processes, when the call has succeeded; who only reads (ps, a
 * debugger's process_vm_readv) does neither. 32-bit callers come through functions that are not looked at.
 */
#define ASK_ATTACH 16	 /* PTRACE_ATTACH */
#define ASK_SEIZE 0x4206 /* PTRACE_SEIZE */

static __always_inline void ask(u64 target)
{
	u32 tid = bpf_get_current_pid_tgid();

	asks_update(&tid, &target);
}

/* What this task asked for, as it calls the target: once. */
static __always_inline int asked(u32 *target)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 *found = asks_lookup(&tid);

	if (!found)
		return 0;
	*target = *found;
	asks_delete(&tid);
	return 1;
}

static __always_inline int before_ptrace(u64 request, u64 target)
{
	if (request == ASK_ATTACH || request == ASK_SEIZE)
		ask(target);
	return 0;
}

/* The latest that a task attached to is the first of its list. */
static __always_inline struct task_struct *latest_traced(struct task_struct *task)
{
	struct list_head *first = 0;

	READ(first, task->ptraced.next);
	if (!first || first == &task->ptraced)
		return 0;
	return (struct task_struct *)((char *)first - OFFSET_OF(struct task_struct, ptrace_entry));
}

static __always_inline void judge_traced(struct task_struct *task, struct task_struct *victim)
{
	struct mark mark = {};
	u32 mnt = mount_namespace_of(victim), tid = 0, pid = 0;
	u32 *init = mounts_lookup(&mnt);
	u64 pair, *known;

	READ(tid, victim->pid);
	READ(pid, victim->tgid);
	if (!init || *init == HOST_INIT || mnt == mount_namespace_of(task) || is_followed(tid))
		return;
	mark.flags = FLAG_EXECUTED;
	read_namespaces(victim, &mark.home);
	mark.joined = mark.home;
	mark.cookie = bpf_ktime_get_boot_ns();
	pair = bpf_get_current_pid_tgid() >> 32 << 32 | pid;
	known = injected_lookup(&pair);
	if (known) { /* one more thread of the same process */
		mark.cookie = *known;
		set_mark(tid, &mark);
		return;
	}
	injected_update(&pair, &mark.cookie);
	set_mark(tid, &mark);
	send_reached(victim, &mark, REACH_TRACE, mnt, 0);
}

static __always_inline int after_ptrace(u64 result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *victim;
	u32 target;

	if (!asked(&target) || result)
		return 0;
	victim = latest_traced(task);
	if (victim)
		judge_traced(task, victim);
	return 0;
}

static __always_inline int before_write(u64 target, u64 unused)
{
	ask(target);
	return 0;
}

/* Whose the target is, the agent finds out: a program cannot look up a number here. */
static __always_inline int after_write(u64 result)
{
	struct mark mark = {};
	u32 target = 0;
	u64 pair;

	if (!asked(&target) || (s64)result <= 0)
		return 0;
	mark.cookie = bpf_ktime_get_boot_ns();
	pair = bpf_get_current_pid_tgid() >> 32 << 32 | target;
	if (injected_lookup(&pair))
		return 0;
	injected_update(&pair, &mark.cookie);
	send_reached((struct task_struct *)bpf_get_current_task(), &mark, REACH_WRITE, 0, target);
	return 0;
}

ON_CALL_FUNCTION(SYSCALL_FUNCTION(ptrace), before_ptrace, after_ptrace)
ON_CALL_KPROBE(ptrace, before_ptrace, after_ptrace)
ON_CALL_SYSCALL(ptrace, before_ptrace, after_ptrace)
ON_CALL_FUNCTION(SYSCALL_FUNCTION(process_vm_writev), before_write, after_write)
ON_CALL_KPROBE(process_vm_writev, before_write, after_write)
ON_CALL_SYSCALL(process_vm_writev, before_write, after_write)
