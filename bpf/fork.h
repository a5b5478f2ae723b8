/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fork: the mark goes on to the child. The caller is `current`, not the child's real_parent: runc makes its
 * last child with CLONE_PARENT, so that its parent is a process which never crossed.
 */
ON_RAW_TRACEPOINT(sched_process_fork)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	struct task_struct *caller = (struct task_struct *)bpf_get_current_task();
	struct css_set *mine = 0, *theirs = 0;
	struct event_fork event = {};
	struct mark *mark;
	struct mark copy;
	u32 tid = bpf_get_current_pid_tgid();
	u32 child_tid = 0;

	mark = marks_lookup(&tid);
	if (!mark) {
		/* clone3 can put a child into another cgroup, past where tasks are moved. */
		READ(mine, caller->cgroups);
		READ(theirs, child->cgroups);
		if (mine != theirs)
			judge_moved(child);
		return 0;
	}
	if (is_released(mark)) {
		marks_delete(&tid);
		return 0;
	}
	copy = *mark;
	copy.flags &= MARK_SENT;
	fill_head(&event.head, EVENT_FORK, child);
	child_tid = event.head.tid;
	if (event.head.pid != child_tid && (copy.flags & FLAG_EXECUTED)) {
		copy.flags |= mark->flags & MARK_UNTOLD; /* a thread, as its process */
		set_mark(child_tid, &copy);
		return 0;
	}
	/* Before anything executed each thread counts: its exit is told. */
	may_fork(&copy);
	set_mark(child_tid, &copy);
	if (event.head.pid != child_tid)
		return 0;
	count(COUNT_MARKED_FORK);
	if (copy.flags & MARK_UNTOLD)
		return 0;
	event.head.cookie = copy.cookie;
	event.head.flags = copy.flags & MARK_SENT;
	event.parent = bpf_get_current_pid_tgid() >> 32;
	if (send(&event, sizeof(event)))
		note_unseen(&copy);
	return 0;
}
