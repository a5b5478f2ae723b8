/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a container's supervisor executes: the runtime, whose arguments name the container and the exec. It
 * is gone when the agent comes to read /proc, and a task that calls setns cannot read another's memory: so
 * its arguments are kept when it begins. Names can be forged; all that does is to keep one more argv.
 */
#ifndef NSENTRY_RUNTIME_H
#define NSENTRY_RUNTIME_H

#define NEAR_ANCESTORS 6

static __always_inline int is_supervisor(struct task_struct *task)
{
	char comm[COMM_LEN] = {};

	bpf_probe_read_kernel(comm, sizeof(comm), (char *)task + OFFSET_OF(struct task_struct, comm));
	if (comm[0] != 'c' || comm[1] != 'o' || comm[2] != 'n')
		return 0;
	if (comm[3] == 'm')
		return comm[4] == 'o' && comm[5] == 'n';
	return comm[3] == 't' && comm[4] == 'a' && comm[5] == 'i' && comm[6] == 'n' && comm[7] == 'e' &&
	       comm[8] == 'r' && comm[9] == 'd' && comm[10] == '-' && comm[11] == 's';
}

static __always_inline void note_runtime(struct task_struct *task, struct task_struct *parent)
{
	u32 zero = 0, pid = 0, fault = 0;
	struct runtime *runtime;

	if (!is_supervisor(parent))
		return;
	runtime = (struct runtime *)scratch_lookup(&zero);
	if (!runtime)
		return;
	runtime->pad = 0;
	runtime->start = start_of(task);
	runtime->argv_total = read_argv(task, runtime->argv, CALLER_ARGV_LEN, &runtime->argv_len, &fault);
	READ(pid, task->tgid);
	if (!fault)
		runtimes_update(&pid, runtime);
}

/* The nearest process above that a supervisor executed. Returns how much of the texts is used. */
static __always_inline u64 write_runtime(struct event_setns *event, u64 used)
{
	struct runtime *runtime;
	u64 length;
	u32 pid;

	for (int i = 0; i < NEAR_ANCESTORS; i++) {
		pid = event->ancestry.chain[i].pid;
		runtime = pid ? runtimes_lookup(&pid) : 0;
		if (!runtime || runtime->start != event->ancestry.chain[i].start)
			continue;
		length = BOUNDED(runtime->argv_len, CALLER_ARGV_LEN);
		used = BOUNDED(used, PATH_LEN + CALLER_ARGV_LEN);
		bpf_probe_read_kernel(&event->texts[used], length, runtime->argv);
		event->runtime_pid = pid;
		event->runtime_argv_len = length;
		event->runtime_argv_total = runtime->argv_total;
		return used + length;
	}
	return used;
}

#endif
