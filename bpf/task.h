/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts about one task, read from the kernel's own structures: never from a syscall's arguments. */
#ifndef NSENTRY_TASK_H
#define NSENTRY_TASK_H

/* Every namespace has its struct ns_common at a different place, but all hold their inode number there. */
#define READ_NAMESPACE(dst, type, address)                                                                 \
	do {                                                                                               \
		type *ns_ = (type *)(address);                                                             \
		if (ns_)                                                                                   \
			READ(dst, ns_->ns.inum);                                                           \
	} while (0)

/* setns(CLONE_NEWPID) leaves a task's own pid namespace alone: that one stands in its struct pid. */
static __always_inline void read_pid_namespace(struct task_struct *task, u32 *inum, u32 *pid_in_ns)
{
	struct pid *pid = 0;
	struct upid last = {};
	unsigned int level = 0;

	READ(pid, task->thread_pid);
	if (!pid)
		return;
	READ(level, pid->level);
	bpf_probe_read_kernel(&last, sizeof(last),
			      (char *)pid + OFFSET_OF(struct pid, numbers) + level * sizeof(last));
	*pid_in_ns = last.nr;
	if (last.ns)
		READ(*inum, last.ns->ns.inum);
}

/* In every kernel since 5.6 the eight stand in one row in struct nsproxy, in the order of ns_addresses. */
#define NSPROXY_ROW 64
#define NSPROXY_IS_ROW                                                                                     \
	(OFFSET_OF(struct nsproxy, cgroup_ns) - OFFSET_OF(struct nsproxy, uts_ns) == NSPROXY_ROW - 8)

static __always_inline void read_addresses(struct task_struct *task, struct ns_addresses *out)
{
	struct nsproxy *proxy = 0;
	const struct cred *cred = 0;

	READ(proxy, task->nsproxy);
	if (!proxy) /* the task is exiting */
		return;
	if (NSPROXY_IS_ROW) {
		bpf_probe_read_kernel(out, NSPROXY_ROW, (char *)proxy + OFFSET_OF(struct nsproxy, uts_ns));
	} else {
		READ(out->uts, proxy->uts_ns);
		READ(out->ipc, proxy->ipc_ns);
		READ(out->mnt, proxy->mnt_ns);
		READ(out->pid_for_children, proxy->pid_ns_for_children);
		READ(out->net, proxy->net_ns);
		READ(out->time, proxy->time_ns);
		READ(out->time_for_children, proxy->time_ns_for_children);
		READ(out->cgroup, proxy->cgroup_ns);
	}
	READ(cred, task->cred);
	READ(out->user, cred->user_ns);
}

static __always_inline void read_inodes(struct task_struct *task, struct ns_addresses *at,
					struct ns_set *out)
{
	u32 unused = 0;

	READ_NAMESPACE(out->uts, struct uts_namespace, at->uts);
	READ_NAMESPACE(out->ipc, struct ipc_namespace, at->ipc);
	READ_NAMESPACE(out->mnt, struct mnt_namespace, at->mnt);
	READ_NAMESPACE(out->net, struct net, at->net);
	READ_NAMESPACE(out->pid_for_children, struct pid_namespace, at->pid_for_children);
	READ_NAMESPACE(out->time, struct time_namespace, at->time);
	READ_NAMESPACE(out->time_for_children, struct time_namespace, at->time_for_children);
	READ_NAMESPACE(out->cgroup, struct cgroup_namespace, at->cgroup);
	READ_NAMESPACE(out->user, struct user_namespace, at->user);
	read_pid_namespace(task, &out->pid, &unused);
}

static __always_inline void read_namespaces(struct task_struct *task, struct ns_set *out)
{
	struct ns_addresses at = {};

	read_addresses(task, &at);
	read_inodes(task, &at, out);
}

static __always_inline u32 mount_namespace_of(struct task_struct *task)
{
	struct nsproxy *proxy = 0;
	struct mnt_namespace *mnt = 0;
	u32 inum = 0;

	READ(proxy, task->nsproxy);
	if (proxy)
		READ(mnt, proxy->mnt_ns);
	READ_NAMESPACE(inum, struct mnt_namespace, mnt);
	return inum;
}

static __always_inline u64 start_of(struct task_struct *task)
{
	struct task_struct *leader = 0;
	u64 start = 0;

	READ(leader, task->group_leader);
	READ(start, leader->start_boottime);
	return start;
}

static __always_inline u32 uid_of(struct task_struct *task)
{
	const struct cred *cred = 0;
	u32 uid = 0;

	READ(cred, task->cred);
	bpf_probe_read_kernel(&uid, sizeof(uid), (void *)cred + OFFSET_OF(struct cred, uid));
	return uid;
}

static __always_inline void read_cred(struct task_struct *task, struct task_facts *out)
{
	const struct cred *cred = 0;

	READ(cred, task->cred);
	bpf_probe_read_kernel(&out->uid, sizeof(out->uid), (void *)cred + OFFSET_OF(struct cred, uid));
	bpf_probe_read_kernel(&out->gid, sizeof(out->gid), (void *)cred + OFFSET_OF(struct cred, gid));
	/* Two u32 before 6.3 and one u64 since: the same eight bytes on the machines we run on. */
	bpf_probe_read_kernel(&out->caps, sizeof(out->caps),
			      (void *)cred + OFFSET_OF(struct cred, cap_effective));
	read_login(task, &out->login_uid, &out->login_session);
}

static __always_inline void read_tty(struct task_struct *task, struct task_facts *out)
{
	struct signal_struct *signal = 0;
	struct tty_struct *tty = 0;
	struct tty_driver *driver = 0;
	int major = 0, first = 0, index = 0;

	READ(signal, task->signal);
	READ(tty, signal->tty);
	if (!tty)
		return;
	READ(driver, tty->driver);
	READ(major, driver->major);
	READ(first, driver->minor_start);
	READ(index, tty->index);
	out->tty_major = major;
	out->tty_minor = first + index;
}

/*
 * On cgroup v1 alone the default hierarchy holds every task in its root; then a controller's hierarchy
 * tells. Runtimes put a container into all of them.
 */
static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	struct css_set *set = 0;
	struct cgroup *group = 0;
	struct cgroup_subsys_state *state = 0;
	int level = 0;

	READ(set, task->cgroups);
	READ(group, set->dfl_cgrp);
	READ(level, group->level);
	if (level > 0 || !HAS_SUBSYSTEM(pids_cgrp_id))
		return group;
	READ(state, set->subsys[SUBSYSTEM(pids_cgrp_id)]);
	if (state)
		READ(group, state->cgroup);
	return group;
}

static __always_inline void read_cgroup(struct task_struct *task, struct task_facts *out)
{
	struct cgroup *group = cgroup_of(task);
	struct cgroup_subsys_state *above = 0;
	struct kernfs_node *node = 0;
	const char *name = 0;

	READ(node, group->kn);
	READ(out->cgroup_id, node->id);
	READ(name, node->name);
	bpf_probe_read_kernel_str(out->cgroup, sizeof(out->cgroup), name);
	READ(above, group->self.parent);
	if (!above)
		return;
	/* kernfs_node's own link upwards was renamed in 6.15; that of the cgroup stays. */
	READ(group, above->cgroup);
	READ(node, group->kn);
	READ(name, node->name);
	bpf_probe_read_kernel_str(out->cgroup_parent, sizeof(out->cgroup_parent), name);
}

static __always_inline void read_facts(struct task_struct *task, struct task_facts *out)
{
	u32 unused = 0;

	read_namespaces(task, &out->ns);
	read_pid_namespace(task, &unused, &out->pid_in_ns);
	read_cred(task, out);
	read_tty(task, out);
	read_cgroup(task, out);
	bpf_probe_read_kernel_str(out->comm, sizeof(out->comm),
				  (char *)task + OFFSET_OF(struct task_struct, comm));
}

static __always_inline void read_ancestor(struct task_struct *task, struct ancestor *out)
{
	u32 pid = 0;

	READ(pid, task->tgid);
	out->pid = pid;
	out->start = start_of(task);
	out->uid = uid_of(task);
	out->mnt = mount_namespace_of(task);
	read_login(task, &out->login_uid, 0);
	bpf_probe_read_kernel_str(out->comm, sizeof(out->comm),
				  (char *)task + OFFSET_OF(struct task_struct, comm));
}

/* Parents up to init. real_parent does not change under ptrace, and crosses pid namespaces. */
static __always_inline void read_ancestry(struct task_struct *task, struct ancestry *out)
{
	struct task_struct *leader = 0;
	u32 pid = 0;

	READ(leader, task->group_leader);
	out->count = 0;
	out->more = 1;
	for (int i = 0; i < ANCESTORS; i++) {
		struct task_struct *parent = 0;

		READ(parent, leader->real_parent);
		if (!parent)
			break;
		READ(leader, parent->group_leader);
		READ(pid, leader->tgid);
		if (pid == 0) { /* init's parent is the idle task */
			out->more = 0;
			break;
		}
		read_ancestor(leader, &out->chain[i]);
		out->count = i + 1;
	}
}

static __always_inline void fill_head(struct event_head *head, u32 kind, struct task_struct *task)
{
	struct task_struct *parent = 0;
	u32 pid = 0;

	head->kind = kind;
	head->flags = 0;
	head->cookie = 0;
	head->time = bpf_ktime_get_boot_ns();
	head->start = start_of(task);
	READ(pid, task->pid);
	head->tid = pid;
	READ(pid, task->tgid);
	head->pid = pid;
	READ(parent, task->real_parent);
	READ(pid, parent->tgid);
	head->ppid = pid;
	head->uid = uid_of(task);
}

#endif
