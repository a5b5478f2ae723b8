/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exit: of the last thread of a marked process, of a thread that crossed and never executed, and of the
 * first process of a mount namespace.
 */
static __always_inline void send_exit(struct task_struct *task, struct mark *mark, u32 flags)
{
	struct event_exit event = {};
	int status = 0;

	fill_head(&event.head, EVENT_EXIT, task);
	event.head.cookie = mark->cookie;
	event.head.flags = (mark->flags & MARK_SENT) | flags | left_out_flag(mark);
	event.home = mark->home;
	event.joined = mark->joined;
	event.calls = mark->calls;
	READ(status, task->exit_code);
	event.status = status;
	count(COUNT_MARKED_EXIT);
	send(&event, sizeof(event));
}

static __always_inline void exit_marked(struct task_struct *task, u32 tid, int live)
{
	struct mark *found = marks_lookup(&tid);
	struct mark mark;

	if (!found)
		return;
	mark = *found;
	marks_delete(&tid);
	if ((live > 0 && (mark.flags & FLAG_EXECUTED)) || (mark.flags & MARK_UNTOLD))
		return;
	send_exit(task, &mark, live > 0 ? FLAG_THREAD : mark.flags & FLAG_THREAD);
}

static __always_inline void exit_init(struct task_struct *task, u32 pid)
{
	struct mark mark = {};
	u32 *mnt = inits_lookup(&pid);
	u32 *init;

	if (!mnt)
		return;
	mark.home.mnt = mark.joined.mnt = *mnt;
	inits_delete(&pid);
	init = mounts_lookup(&mark.joined.mnt);
	if (init && *init == pid)
		mounts_delete(&mark.joined.mnt);
	send_exit(task, &mark, FLAG_INIT);
}

ON_RAW_TRACEPOINT(sched_process_exit)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct signal_struct *signal = 0;
	u64 ids = bpf_get_current_pid_tgid();
	int live = 0;

	READ(signal, task->signal);
	READ(live, signal->live.counter); /* already without this thread */
	exit_marked(task, ids, live);
	if (live == 0)
		exit_init(task, ids >> 32);
	return 0;
}
