/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who comes to a container without any of its namespaces: by its cgroup, or into the memory of its
 * processes. The agent names the cgroups of containers that run; one that starts is named after its runtime
 * moved in.
 */
#ifndef NSENTRY_REACH_H
#define NSENTRY_REACH_H

#define CGROUP_DEPTH 5 /* how far below its own cgroup a container's process may be put */

/* The mount namespace of the container that this cgroup, or one above it, belongs to; 0 without one. */
static __always_inline u32 container_of_cgroup(struct cgroup *group)
{
	struct cgroup_subsys_state *above = 0;
	struct kernfs_node *node = 0;
	u64 id = 0;
	u32 *mnt;

	for (int i = 0; i < CGROUP_DEPTH && group; i++) {
		READ(node, group->kn);
		READ(id, node->id);
		mnt = cgroups_lookup(&id);
		if (mnt)
			return *mnt;
		READ(above, group->self.parent);
		if (!above)
			return 0;
		READ(group, above->cgroup);
	}
	return 0;
}

static __always_inline void send_reached(struct task_struct *task, struct mark *mark, u32 how, u32 mnt,
					 u32 target)
{
	u32 zero = 0;
	struct event_reached *event = (struct event_reached *)scratch_lookup(&zero);
	struct task_struct *by = (struct task_struct *)bpf_get_current_task();
	struct task_struct *leader = 0;
	u64 used;

	if (!event)
		return;
	__builtin_memset(&event->task, 0, sizeof(event->task));
	__builtin_memset(&event->ancestry, 0, sizeof(event->ancestry));
	fill_head(&event->head, EVENT_REACHED, task);
	event->head.cookie = mark->cookie;
	event->head.flags = mark->flags | (event->head.tid != event->head.pid ? FLAG_THREAD : 0);
	event->how = how;
	event->mnt = mnt;
	event->target = target;
	event->pad = 0;
	READ(leader, by->group_leader);
	read_ancestor(leader, &event->by);
	read_facts(task, &event->task);
	read_ancestry(by, &event->ancestry);
	used = write_caller(by, event->texts, &event->exe_len, &event->argv_len, &event->argv_total,
			    &event->head.flags);
	send(event, OFFSET_IN_EVENT(struct event_reached, texts) + BOUNDED(used, REACHED_TEXTS_LEN));
}

/* A task that nobody follows came into a container's cgroup, and its mount namespace is not the
 * container's. */
static __always_inline void judge_moved(struct task_struct *task)
{
	struct mark mark = {};
	u32 mnt = container_of_cgroup(cgroup_of(task));
	u32 tid = 0;

	if (!mnt || mnt == mount_namespace_of(task))
		return;
	READ(tid, task->pid);
	if (is_followed(tid))
		return;
	mark.cookie = bpf_ktime_get_boot_ns();
	mark.flags = FLAG_MOVED;
	read_namespaces(task, &mark.home);
	mark.joined = mark.home;
	set_mark(tid, &mark);
	count(COUNT_MOVED);
	send_reached(task, &mark, REACH_CGROUP, mnt, 0);
}

/* On cgroup v1 once for each hierarchy: only the one that cgroup_of() goes by is found changed. */
ON_RAW_TRACEPOINT(cgroup_attach_task)
{
	judge_moved((struct task_struct *)ctx->args[2]);
	return 0;
}

#endif
