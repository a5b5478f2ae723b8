/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mark that a task carries from its crossing on. It is kept per thread, not per process: container
 * daemons join namespaces in one thread of many. Fork copies it; only exit, or a verdict, ends it.
 */
#ifndef NSENTRY_MARK_H
#define NSENTRY_MARK_H

static __always_inline void count(u32 what)
{
	u64 *value = counters_lookup(&what);

	if (value)
		*value += 1; /* per CPU, and tracing programs do not interrupt each other here */
}

static __always_inline long send(void *event, u64 size)
{
	long lost = entries_output(event, size);

	if (lost)
		count(COUNT_LOST_RING);
	return lost;
}

static __always_inline void set_mark(u32 tid, struct mark *mark)
{
	if (marks_update(&tid, mark))
		count(COUNT_LOST_MARK);
}

/*
 * The first process of a mount namespace, under its process id and not a thread's: which of its threads is
 * the last to go is chance.
 */
static __always_inline void set_init(u32 mnt, u32 pid)
{
	u32 *before = inits_lookup(&pid);
	u32 left = before ? *before : mnt;
	u32 *init = left == mnt ? 0 : mounts_lookup(&left);

	/* It made itself another one: the number of the one that it left is given to others. */
	if (init && *init == pid)
		mounts_delete(&left);
	strangers_delete(&mnt); /* the number may have been another's */
	if (mounts_update(&mnt, &pid) || inits_update(&pid, &mnt))
		count(COUNT_LOST_MARK);
	count(COUNT_NEW_MOUNT);
}

/* The agent found that this crossing is none (a container's start, say): stop following it. */
static __always_inline int is_released(struct mark *mark)
{
	u64 cookie = mark->cookie;

	return cookie && released_lookup(&cookie) != 0;
}

/* A mark that was given up stays until its task forks, executes or ends: a pod's first process may keep
 * that of its own start for good. */
static __always_inline int is_followed(u32 tid)
{
	struct mark *mark = marks_lookup(&tid);

	return mark && !is_released(mark);
}

static __always_inline int same_namespaces(struct ns_set *a, struct ns_set *b)
{
	return a->cgroup == b->cgroup && a->ipc == b->ipc && a->mnt == b->mnt && a->net == b->net &&
	       a->pid == b->pid && a->pid_for_children == b->pid_for_children && a->time == b->time &&
	       a->time_for_children == b->time_for_children && a->user == b->user && a->uts == b->uts;
}

#endif
