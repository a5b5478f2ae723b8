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
	used = write_caller(task, event->texts, &event->exe_len, &event->argv_len, &event->argv_total,
			    &event->head.flags);
	used = write_runtime(event, used);
	send(event, OFFSET_IN_EVENT(struct event_setns, texts) + BOUNDED(used, SETNS_TEXTS_LEN));
}

/* A task that came out of a session, or into a cgroup before, and is back goes on in it. */
static __always_inline void go_back(u32 tid, struct mark *mark)
{
	if (!mark->within) {
		marks_delete(&tid);
		return;
	}
	mark->cookie = mark->within;
	mark->within = 0;
	mark->flags = mark->flags & FLAG_MOVED ? FLAG_MOVED : FLAG_EXECUTED;
	mark->calls = 0;
	mark->joined = mark->home;
	set_mark(tid, mark);
}

/* A new crossing, or one more step of the one that this task has begun. */
static __always_inline void note_change(struct task_struct *task, u32 tid, struct ns_set *was,
					struct ns_set *now)
{
	struct mark *old = marks_lookup(&tid);
	struct mark mark = {};
	u64 previous = 0;
	u32 flags = 0;
	int tell = 1;

	if (old && !(old->flags & FLAG_EXECUTED) && old->calls) {
		mark = *old;
		mark.calls += 1;
		tell = same_namespaces(&mark.home, now);
		if (tell)
			flags = FLAG_RETURNED; /* `joined` says from where */
		else
			mark.joined = *now;
	} else {
		if (!may_cross(task, old, was, now))
			return;
		if (old) {
			mark.root = root_of(old);
			mark.within = previous = old->cookie;
			mark.flags = old->flags & FLAG_EXECUTED ? 0 : old->flags & FLAG_MOVED;
		}
		if (tid != (u32)(bpf_get_current_pid_tgid() >> 32))
			mark.flags |=
				FLAG_THREAD; /* its end says nothing of the process, nor which goes last */
		mark.cookie = bpf_ktime_get_boot_ns();
		mark.calls = 1;
		mark.home = *was;
		mark.joined = *now;
	}
	/* Called from one place: the verifier walks all of it anew for each. */
	if (tell)
		send_setns(task, &mark, previous, flags);
	if (flags)
		go_back(tid, &mark);
	else
		set_mark(tid, &mark);
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
