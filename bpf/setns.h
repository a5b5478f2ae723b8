/* SPDX-License-Identifier: GPL-2.0-only */
static __always_inline int same_addresses(struct ns_addresses *a, struct ns_addresses *b)
{
	return a->uts == b->uts && a->ipc == b->ipc && a->mnt == b->mnt && a->net == b->net &&
	       a->pid_for_children == b->pid_for_children && a->time == b->time &&
	       a->time_for_children == b->time_for_children && a->cgroup == b->cgroup && a->user == b->user;
}

/*
 * setns: whose namespaces changed, from what and to what. The arguments say nothing reliable (crun passes
 * no type, newer tools one pidfd and many flags), so the state before and after is compared: by address,
 * which four reads give. The numbers of the place that is left are read while the task still holds it.
 */
static __always_inline int before_setns(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct ns_place now = {};
	struct ns_place *known;
	u32 tid = bpf_get_current_pid_tgid();

	read_addresses(task, &now.at);
	known = before_lookup(&tid);
	if (known && same_addresses(&known->at, &now.at))
		return 0;
	read_inodes(task, &now.at, &now.inodes);
	before_update(&tid, &now);
	return 0;
}

/* Who calls: nsenter is gone some milliseconds later. Returns how much of the texts is used. */
static __always_inline u64 write_caller(struct task_struct *task, struct event_setns *event)
{
	struct fs_struct *fs = 0;
	struct file *file = exe_of(task);
	u32 cut = 0, length = 0, fault = 0;
	u64 used;

	READ(fs, task->fs);
	if (!fs || !file) /* a thread of the kernel */
		return 0;
	write_path(&file->f_path, &fs->root, event->texts, &event->exe_len, PATH_LEN, &cut);
	if (cut)
		event->head.flags |= FLAG_EXE_CUT;
	used = BOUNDED(event->exe_len, PATH_LEN);
	event->argv_total = read_argv(task, &event->texts[used], CALLER_ARGV_LEN, &length, &fault);
	event->argv_len = length;
	if (fault)
		event->head.flags |= FLAG_ARGV_FAULT;
	return used + BOUNDED(length, CALLER_ARGV_LEN);
}

static __always_inline void send_setns(struct task_struct *task, struct mark *mark, u64 previous, u32 flags)
{
	u32 zero = 0;
	u64 used;
	struct event_setns *event = (struct event_setns *)scratch_lookup(&zero);

	if (!event)
		return;
	/* All but the texts, whose lengths say how much of them is ours. */
	__builtin_memset(&event->task, 0, sizeof(event->task));
	__builtin_memset(&event->ancestry, 0, sizeof(event->ancestry));
	event->exe_len = 0;
	event->argv_len = 0;
	event->argv_total = 0;
	event->runtime_pid = 0;
	event->runtime_argv_len = 0;
	event->runtime_argv_total = 0;
	fill_head(&event->head, EVENT_SETNS, task);
	event->head.cookie = mark->cookie;
	event->head.flags = flags | (event->head.tid != event->head.pid ? FLAG_THREAD : 0);
	event->previous = previous;
	event->home = mark->home;
	event->joined = mark->joined;
	read_facts(task, &event->task);
	read_ancestry(task, &event->ancestry);
	used = write_caller(task, event);
	used = write_runtime(event, used);
	send(event, OFFSET_IN_EVENT(struct event_setns, texts) + BOUNDED(used, SETNS_TEXTS_LEN));
}

/* A new crossing, or one more step of the one that this task has begun. */
static __always_inline void note_change(struct task_struct *task, u32 tid, struct ns_set *was,
					struct ns_set *now)
{
	struct mark *old = marks_lookup(&tid);
	struct mark mark = {};
	u64 previous = 0;

	if (old && !(old->flags & FLAG_EXECUTED)) {
		mark = *old;
		mark.joined = *now;
		mark.calls += 1;
		if (same_namespaces(&mark.home, now)) {
			send_setns(task, &mark, 0, FLAG_RETURNED);
			marks_delete(&tid);
			return;
		}
		set_mark(tid, &mark);
		return;
	}
	if (old)
		previous = old->cookie;
	mark.cookie = bpf_ktime_get_boot_ns();
	mark.calls = 1;
	mark.home = *was;
	mark.joined = *now;
	set_mark(tid, &mark);
	send_setns(task, &mark, previous, 0);
}

static __always_inline int after_setns(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct ns_place now = {};
	struct ns_place *seen;
	struct ns_set was;
	u32 tid = bpf_get_current_pid_tgid();

	seen = before_lookup(&tid);
	if (!seen) {
		count(COUNT_LOST_BEFORE);
		return 0;
	}
	read_addresses(task, &now.at);
	if (same_addresses(&seen->at, &now.at)) {
		count(COUNT_SETNS_NO_CHANGE);
		return 0;
	}
	was = seen->inodes;
	read_inodes(task, &now.at, &now.inodes);
	before_update(&tid, &now);
	count(COUNT_SETNS);
	note_change(task, tid, &was, &now.inodes);
	return 0;
}

/* One of these three pairs serves: sensor/probe/hooks.py chooses. */
ON_FUNCTION(SYSCALL_FUNCTION(setns), before_setns, after_setns)
#ifdef SYSCALL_FUNCTION_32
ON_FUNCTION(SYSCALL_FUNCTION_32(setns), before_setns, after_setns)
#endif
ON_KPROBE(setns, before_setns, after_setns)
ON_SYSCALL(setns, before_setns, after_setns)
