/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * setns: whose namespaces changed, from what and to what. The arguments say nothing reliable (crun passes
 * no type, newer tools one pidfd and many flags), so the state before and after is compared.
 */
ON_SYSCALL_ENTER(setns)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct ns_set now = {};
	u32 tid = bpf_get_current_pid_tgid();

	read_namespaces(task, &now);
	before_update(&tid, &now);
	return 0;
}

static __always_inline void send_setns(struct task_struct *task, struct mark *mark, u64 previous, u32 flags)
{
	u32 zero = 0;
	struct event_setns *event = (struct event_setns *)scratch_lookup(&zero);

	if (!event)
		return;
	/* In parts: the compiler sets at most a kilobyte at once. */
	__builtin_memset(&event->head, 0, sizeof(event->head));
	__builtin_memset(&event->task, 0, sizeof(event->task));
	__builtin_memset(&event->ancestry, 0, sizeof(event->ancestry));
	fill_head(&event->head, EVENT_SETNS, task);
	event->head.cookie = mark->cookie;
	event->head.flags = flags | (event->head.tid != event->head.pid ? FLAG_THREAD : 0);
	event->previous = previous;
	event->home = mark->home;
	event->joined = mark->joined;
	read_facts(task, &event->task);
	read_ancestry(task, &event->ancestry);
	send(event, sizeof(*event));
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

ON_SYSCALL_EXIT(setns)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct ns_set now = {}, was = {};
	struct ns_set *seen;
	u32 tid = bpf_get_current_pid_tgid();

	seen = before_lookup(&tid);
	if (!seen) {
		count(COUNT_LOST_BEFORE);
		return 0;
	}
	was = *seen;
	before_delete(&tid);
	read_namespaces(task, &now);
	if (same_namespaces(&was, &now)) {
		count(COUNT_SETNS_NO_CHANGE);
		return 0;
	}
	count(COUNT_SETNS);
	note_change(task, tid, &was, &now);
	return 0;
}
