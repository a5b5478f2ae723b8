/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into a container's process from outside, without entering: ptrace attaches to it, process_vm_writev or
 * its /proc/PID/mem write to its memory, pidfd_getfd takes an open file of it. Told once for two processes,
 * when the call has succeeded (of mem: when it begins, for it was opened by then); who only reads (ps, a
 * debugger's process_vm_readv) does none of these. 32-bit callers come through functions that are not
 * looked at, but for mem.
 */
#define ASK_ATTACH 16	   /* PTRACE_ATTACH */
#define ASK_SEIZE 0x4206   /* PTRACE_SEIZE */
#define TAKEN (1ULL << 31) /* in a pair of processes: a pid has 22 bits */

static __always_inline void ask(u64 target)
{
	u32 tid = bpf_get_current_pid_tgid();

	asks_update(&tid, &target);
}

/* What this task asked for, as it calls the target: once. */
static __always_inline int asked(u64 *target)
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

/* Where a file is taken nothing comes in: what the process does is no visitor's, and it is not followed. */
static __always_inline void judge_victim(struct task_struct *task, struct task_struct *victim, u32 how)
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
	if (how == REACH_TAKE)
		pair |= TAKEN;
	known = injected_lookup(&pair);
	if (known) { /* one more thread of the same process */
		mark.cookie = *known;
		if (how == REACH_TRACE)
			set_mark(tid, &mark);
		return;
	}
	injected_update(&pair, &mark.cookie);
	if (how != REACH_TAKE)
		set_mark(tid, &mark);
	send_reached(victim, &mark, how, mnt, 0);
}

static __always_inline int after_ptrace(u64 result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *victim;
	u64 target;

	if (!asked(&target) || result)
		return 0;
	victim = latest_traced(task);
	if (victim)
		judge_victim(task, victim, REACH_TRACE);
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
	u64 target = 0, pair;

	if (!asked(&target) || (s64)result <= 0)
		return 0;
	mark.cookie = bpf_ktime_get_boot_ns();
	pair = bpf_get_current_pid_tgid() >> 32 << 32 | (u32)target;
	if (injected_lookup(&pair))
		return 0;
	injected_update(&pair, &mark.cookie);
	send_reached((struct task_struct *)bpf_get_current_task(), &mark, REACH_WRITE, 0, target);
	return 0;
}

/* Of the process whose memory a file in /proc is; without memory cgroups the kernel does not know. */
static __always_inline int before_mem_write(u64 opened, u64 unused)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task(), *victim = 0;
	struct file *file = (struct file *)opened;
	struct mm_struct *mm = 0;

	READ(mm, file->private_data);
	if (mm && HAS_OWNER(mm))
		READ_MM(victim, mm, owner);
	if (victim)
		judge_victim(task, victim, REACH_WRITE);
	return 0;
}

/* Until 6.9 a pidfd holds its struct pid itself, since then its inode does. */
static __always_inline struct task_struct *task_of_pidfd(u32 number)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct files_struct *files = 0;
	struct fdtable *descriptors = 0;
	struct file **table = 0, *file = 0;
	struct inode *inode = 0;
	struct hlist_node *first = 0;
	struct pid *pid = 0;
	u32 most = 0;

	READ(files, task->files);
	READ(descriptors, files->fdt);
	READ(most, descriptors->max_fds);
	READ(table, descriptors->fd);
	if (number >= most)
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), table + number);
	if (!file)
		return 0;
	READ(pid, file->private_data);
	if (!pid) {
		READ(inode, file->f_inode);
		READ(pid, inode->i_private);
	}
	if (!pid)
		return 0;
	bpf_probe_read_kernel(&first, sizeof(first), (char *)pid + OFFSET_OF(struct pid, tasks));
	if (!first)
		return 0;
	return (struct task_struct *)((char *)first - OFFSET_OF(struct task_struct, pid_links));
}

static __always_inline int before_take(u64 pidfd, u64 unused)
{
	ask((u64)task_of_pidfd(pidfd));
	return 0;
}

static __always_inline int after_take(u64 result)
{
	u64 victim = 0;

	if (asked(&victim) && victim && (s64)result >= 0)
		judge_victim((struct task_struct *)bpf_get_current_task(), (struct task_struct *)victim,
			     REACH_TAKE);
	return 0;
}

ON_CALL_FUNCTION(SYSCALL_FUNCTION(ptrace), before_ptrace, after_ptrace)
ON_CALL_KPROBE(ptrace, before_ptrace, after_ptrace)
ON_CALL_SYSCALL(ptrace, before_ptrace, after_ptrace)
ON_CALL_FUNCTION(SYSCALL_FUNCTION(process_vm_writev), before_write, after_write)
ON_CALL_KPROBE(process_vm_writev, before_write, after_write)
ON_CALL_SYSCALL(process_vm_writev, before_write, after_write)
ON_CALL_FUNCTION(SYSCALL_FUNCTION(pidfd_getfd), before_take, after_take)
ON_CALL_KPROBE(pidfd_getfd, before_take, after_take)
ON_CALL_SYSCALL(pidfd_getfd, before_take, after_take)
ON_FUNCTION_ENTERED(mem_write, mem_write, before_mem_write)
