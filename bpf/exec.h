/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exec, after it can no longer fail: the moment at which an entry, a start or a command is decided. Tasks
 * without a mark that came into being where they are, and use nothing of elsewhere, are none of our
 * business.
 */
static __always_inline void send_exec(struct task_struct *task, struct linux_binprm *bprm,
				      struct place *place, struct mark *mark, u32 flags)
{
	u32 zero = 0, length = 0, fault = 0;
	u64 used;
	struct event_exec *event = scratch_lookup(&zero);
	struct task_struct *parent = 0;
	const char *filename = 0;
	long written;

	if (!event)
		return;
	/* All but the texts at the end, whose lengths say how much of them is ours. */
	__builtin_memset(&event->task, 0, sizeof(event->task));
	__builtin_memset(&event->ancestry, 0, sizeof(event->ancestry));
	__builtin_memset(&event->parent, 0, sizeof(event->parent));
	event->exe_len = 0;
	event->cwd_len = 0;
	event->filename_len = 0;
	fill_head(&event->head, EVENT_EXEC, task);
	event->head.flags = flags;
	event->head.cookie = mark->cookie;
	event->home = mark->home;
	event->joined = mark->joined;
	event->exe_mnt = place->exe_of ? place->exe_of : number_of(place->owners.exe);
	event->cwd_mnt = number_of(place->owners.cwd);
	READ(parent, task->real_parent);
	read_namespaces(parent, &event->parent);
	read_facts(task, &event->task);
	read_ancestry(task, &event->ancestry);
	used = BOUNDED(read_paths(task, event), 2 * PATH_LEN);
	if (place->root_of)
		event->task.root_mnt = place->root_of;
	READ(filename, bprm->filename);
	written = bpf_probe_read_kernel_str(&event->texts[used], FILENAME_LEN, filename);
	if (written > 1) {
		event->filename_len = written - 1;
		used += written - 1;
	}
	used = BOUNDED(used, 2 * PATH_LEN + FILENAME_LEN);
	event->argv_total = read_argv(task, &event->texts[used], ARGV_LEN, &length, &fault);
	event->argv_len = length;
	if (fault) {
		event->head.flags |= FLAG_ARGV_FAULT;
		count(COUNT_ARGV_FAULT);
	}
	send(event, OFFSET_IN_EVENT(struct event_exec, texts) + used + BOUNDED(length, ARGV_LEN));
}

/* A mount namespace that no exec was seen in yet is a start. */
static __always_inline void judge_start(struct task_struct *task, u32 mnt, struct mark *mark, u32 *flags)
{
	u32 pid = 0;

	READ(pid, task->tgid);
	set_init(mnt, pid);
	read_namespaces(task, &mark->joined);
	mark->home = mark->joined;
	*flags |= FLAG_INIT | FLAG_NEW_MOUNT;
}

/* A crossing that is first seen at its exec: what descends from it is followed from here on. */
static __always_inline void begin_here(struct task_struct *task, struct task_struct *home,
				       struct mark *mark)
{
	u32 tid = 0;

	READ(tid, task->pid);
	mark->cookie = bpf_ktime_get_boot_ns();
	mark->flags = FLAG_EXECUTED;
	read_namespaces(home, &mark->home);
	read_namespaces(task, &mark->joined);
	set_mark(tid, mark);
}

/*
 * Whether a task's mounts are other than its parent's. A parent that exits has lost its namespaces while it
 * is the parent still: then the one above it tells. `runc run --detach` ends just as the container begins.
 */
static __always_inline int has_left(struct task_struct *parent, struct mnt_namespace *mounts)
{
	struct nsproxy *theirs = 0;

	READ(theirs, parent->nsproxy);
	if (!theirs) {
		READ(parent, parent->real_parent);
		READ(theirs, parent->nsproxy);
	}
	return theirs && mounts_of(theirs) != mounts;
}

/*
 * A process that has changed its root and goes on: what else it starts is of the same crossing. It is told
 * as one that was born in it.
 */
static __always_inline void begin_above(struct task_struct *task, struct task_struct *parent,
					struct mark *mark)
{
	struct event_fork event = {};
	struct fs_struct *mine = 0, *theirs = 0;
	struct vfsmount *root = 0, *root_above = 0;
	u32 tid = 0;

	READ(mine, task->fs);
	READ(root, mine->root.mnt);
	READ(theirs, parent->fs);
	if (!theirs)
		return;
	READ(root_above, theirs->root.mnt);
	READ(tid, parent->pid);
	if (root != root_above || marks_lookup(&tid))
		return;
	set_mark(tid, mark);
	fill_head(&event.head, EVENT_FORK, parent);
	event.head.cookie = mark->cookie;
	event.head.flags = mark->flags;
	event.parent = event.head.ppid;
	send(&event, sizeof(event));
}

/*
 * Tells of a start, of a task that is in a known mount namespace without descending from its first process,
 * and of one whose root or executable lies in another one than its own.
 */
static __always_inline int judge_unmarked(struct task_struct *task, struct place *place, struct mark *mark,
					  u32 *flags)
{
	struct task_struct *parent = 0, *from = 0;
	struct nsproxy *mine = 0, *theirs = 0;
	int crossed;
	u32 above, begin;

	READ(mine, task->nsproxy);
	READ(parent, task->real_parent);
	READ(theirs, parent->nsproxy);
	crossed = theirs && mine != theirs && mounts_of(theirs) != place->owners.task;
	if (!place->init && has_left(parent, place->owners.task)) {
		begin = *flags; /* a container that uses what is not its own from the start is followed */
		judge_start(task, place->mnt, mark, flags);
		if (!may_tell(task, begin ? BUDGET_STRAY : BUDGET_START))
			return 0;
		if (begin)
			begin_here(task, task, mark);
		return 1;
	}
	if (place->init == HOST_INIT) {
		if (crossed) {
			above = number_of(mounts_of(theirs));
			from = mounts_lookup(&above) ? parent : 0;
		}
	} else if (place->init) {
		from = came_from(task, mine, place->owners.task, place->init);
	}
	if (from)
		*flags |= FLAG_UNWITNESSED;
	if (!*flags || !may_tell(task, BUDGET_STRAY))
		return 0;
	begin_here(task, from ? from : task, mark);
	if (!from && (place->root_of || place->owners.root != place->owners.task))
		begin_above(task, parent, mark);
	return 1;
}

/*
 * A thread that executes takes over its leader's id: the mark stands under the old one. A container that
 * joined some namespaces of another still begins in a mount namespace that is its own.
 */
static __always_inline int judge_marked(struct place *place, u32 old_tid, u32 tid, struct mark *mark,
					u32 *flags)
{
	int tell;

	if (old_tid != tid)
		marks_delete(&old_tid);
	mark->flags &= ~FLAG_THREAD;
	*flags |= mark->flags & MARK_SENT;
	if (place->mnt != mark->joined.mnt && !place->init) {
		set_init(place->mnt, tid);
		*flags |= FLAG_INIT | FLAG_NEW_MOUNT;
	}
	mark->flags |= FLAG_EXECUTED;
	tell = may_execute(mark, flags);
	set_mark(tid, mark);
	count(COUNT_MARKED_EXEC);
	return tell;
}

ON_RAW_TRACEPOINT(sched_process_exec)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct task_struct *parent = 0;
	struct place place = {};
	struct mark *found;
	struct mark mark = {};
	u32 old_tid = ctx->args[1];
	u32 tid = bpf_get_current_pid_tgid();
	u32 flags = 0;
	int tell;

	READ(parent, task->real_parent);
	note_runtime(task, parent); /* a user's podman has crossed when it starts one */
	read_place(task, bprm, &place);
	if (is_stray(&place))
		flags = FLAG_STRAY;
	found = marks_lookup(&old_tid);
	if (found && is_released(found)) {
		marks_delete(&old_tid);
		found = 0;
	}
	if (found) {
		mark = *found;
		tell = judge_marked(&place, old_tid, tid, &mark, &flags);
	} else {
		tell = judge_unmarked(task, &place, &mark, &flags);
	}
	/* Called from one place: the verifier walks all of it anew for each. */
	if (tell)
		send_exec(task, bprm, &place, &mark, flags);
	return 0;
}
