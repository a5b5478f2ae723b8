/* SPDX-License-Identifier: GPL-2.0-only */
/* exit: of the last thread of a marked process, and of a thread that crossed and never executed. */
ON_RAW_TRACEPOINT(sched_process_exit)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct signal_struct *signal = 0;
	struct event_exit event = {};
	struct mark *found;
	struct mark mark;
	u32 tid = bpf_get_current_pid_tgid();
	u32 *init;
	int live = 0, status = 0;

	found = marks_lookup(&tid);
	if (!found)
		return 0;
	mark = *found;
	marks_delete(&tid);
	READ(signal, task->signal);
	READ(live, signal->live.counter); /* already without this thread */
	if (live > 0 && (mark.flags & (FLAG_EXECUTED | FLAG_INIT)))
		return 0;
	fill_head(&event.head, EVENT_EXIT, task);
	event.head.cookie = mark.cookie;
	event.head.flags = mark.flags | (live > 0 ? FLAG_THREAD : 0);
	event.home = mark.home;
	event.joined = mark.joined;
	event.calls = mark.calls;
	READ(status, task->exit_code);
	event.status = status;
	if (mark.flags & FLAG_INIT) {
		init = mounts_lookup(&mark.joined.mnt);
		if (init && *init == event.head.pid)
			mounts_delete(&mark.joined.mnt);
	}
	count(COUNT_MARKED_EXIT);
	send(&event, sizeof(event));
	return 0;
}
