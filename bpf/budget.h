/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one session may have told, so that it cannot push the entries of others out of the ring, nor keep
 * the agent from them. What is beyond it is counted, and left out; the marks are set all the same, so that
 * what descends from it stays in the session. Containers' and unprivileged users' own processes, which can
 * change namespaces as fast as they like where user namespaces are allowed, have a budget by cgroup: they
 * cannot leave theirs.
 *
 * A bucket of tokens is kept as one number: when all that was taken from it will have been earned. Two
 * processors may take the same token, which does no harm.
 *
 * Caveat. What was used for the longest time ago of 4096 budgets is forgotten, and is full again then.
 */
#ifndef NSENTRY_BUDGET_H
#define NSENTRY_BUDGET_H

/* What of a mark's flags is sent with its events; the others are of the mark alone. */
#define MARK_SENT (FLAG_EXECUTED | FLAG_MOVED)
#define MARK_PAID (1 << 16)   /* its fork was told: what it executes first is paid with it */
#define MARK_UNTOLD (1 << 17) /* its fork was left out, and so is its exit unless an exec is told */

/*
 * A process costs one token: fork, exec and exit together are 1.5 kB of the ring, and some 0.3 ms of the
 * agent. A package manager's run is some thousand processes; 256 a second for ever are more than people
 * type, and what an embedded controller takes in of one sensor beside others.
 */
#define COMMAND_BURST 4096
#define COMMAND_NS (1000000000ULL / 256)
/* 64 a second keep the agent busy for some percent of a processor; a burst of 512 fills a seventh of the
 * ring. */
#define OTHER_BURST 512
#define OTHER_NS (1000000000ULL / 64)

/*
 * The last quarter of the ring is for what is no command, and the half before it for sessions that do not
 * flood: who took more than this many tokens that are not earned back gets the first quarter alone.
 */
#define COMMANDS_LEN (ENTRIES_LEN / 4 * 3)
#define FLOODS_LEN (ENTRIES_LEN / 4)
#define FLOOD_TOKENS 256

#define INITIAL_USER_NS 0xEFFFFFFDU /* PROC_USER_INIT_INO: the same in every kernel */
#define CGROUP_KEY (1ULL << 63) /* keeps ids of cgroups apart from cookies, which are times since boot */

static __always_inline u64 root_of(struct mark *mark)
{
	return mark->root ? mark->root : mark->cookie;
}

static __always_inline struct budget *budget_of(u64 key)
{
	struct budget fresh = {};
	struct budget *found = budgets_lookup(&key);

	if (found)
		return found;
	budgets_update(&key, &fresh);
	return budgets_lookup(&key);
}

static __always_inline int take(struct budget *budget, u32 kind)
{
	u64 each = kind == BUDGET_COMMAND ? COMMAND_NS : OTHER_NS;
	u64 most = kind == BUDGET_COMMAND ? COMMAND_NS * COMMAND_BURST : OTHER_NS * OTHER_BURST;
	u64 now = bpf_ktime_get_boot_ns();
	u64 due = budget->due[kind];

	if (due < now)
		due = now;
	if (due - now >= most)
		return 0;
	budget->due[kind] = due + each;
	return 1;
}

static __always_inline int has_room(struct budget *budget)
{
	u64 unearned = bpf_ktime_get_boot_ns() + COMMAND_NS * FLOOD_TOKENS;

	return entries_waiting() <= (budget->due[BUDGET_COMMAND] > unearned ? FLOODS_LEN : COMMANDS_LEN);
}

/* Whether the agent is to know a new process of a session; the child's mark keeps the answer. */
static __always_inline void may_fork(struct mark *mark)
{
	struct budget *budget = budget_of(root_of(mark));

	if (!budget)
		return;
	if (has_room(budget) && take(budget, BUDGET_COMMAND)) {
		mark->flags |= MARK_PAID;
		return;
	}
	mark->flags |= MARK_UNTOLD;
	budget->unseen = 1;
}

static __always_inline void note_unseen(struct mark *mark)
{
	struct budget *budget = budget_of(root_of(mark));

	if (budget)
		budget->unseen = 1;
}

static __always_inline int may_command(struct budget *budget, int paid)
{
	if (!has_room(budget))
		return 0;
	return paid || take(budget, BUDGET_COMMAND);
}

/* Whether a program in a session is to be told. The first one of each crossing decides what it is: always.
 */
static __always_inline int may_execute(struct mark *mark, u32 *flags)
{
	struct budget *own = budget_of(mark->cookie);
	struct budget *budget = root_of(mark) == mark->cookie ? own : budget_of(root_of(mark));
	int paid = mark->flags & MARK_PAID, tell;

	if (!own || !budget)
		return 1;
	mark->flags &= ~MARK_PAID;
	if (!own->begun) {
		own->begun = 1;
		tell = 1;
	} else if ((*flags & FLAG_STRAY) && take(budget, BUDGET_STRAY)) {
		tell = 1;
	} else if ((*flags & FLAG_INIT) && take(budget, BUDGET_START)) {
		tell = 1;
	} else {
		tell = may_command(budget, paid);
	}
	if (budget->unseen)
		*flags |= FLAG_LEFT_OUT;
	if (tell) {
		mark->flags &= ~MARK_UNTOLD;
		return 1;
	}
	__sync_fetch_and_add(&budget->commands, 1);
	count(COUNT_LOST_COMMANDS);
	return 0;
}

static __always_inline u32 left_out_flag(struct mark *mark)
{
	u64 key = root_of(mark);
	struct budget *budget = budgets_lookup(&key);

	return budget && budget->unseen ? FLAG_LEFT_OUT : 0;
}

/* Whether a task's cgroup has anything left. */
static __always_inline int take_of_cgroup(struct task_struct *task, u32 kind)
{
	struct kernfs_node *node = 0;
	struct budget *budget;
	u64 id = 0;

	READ(node, cgroup_of(task)->kn);
	READ(id, node->id);
	budget = budget_of(id | CGROUP_KEY);
	return !budget || take(budget, kind);
}

/* Of a task that is in no session: what its cgroup has left. */
static __always_inline int may_tell(struct task_struct *task, u32 kind)
{
	if (take_of_cgroup(task, kind))
		return 1;
	count(COUNT_LOST_CROSSINGS);
	return 0;
}

static __always_inline int may_contact(struct task_struct *task, u32 kind)
{
	if (take_of_cgroup(task, kind))
		return 1;
	count(COUNT_LOST_CONTACTS);
	return 0;
}

/*
 * Whether a crossing begins. Who is left out stays what it was. Not limited: the host's own in the first
 * user namespace, for they are root, and whoever joins a mount namespace that is known, for that may be an
 * entry.
 */
static __always_inline int may_cross(struct task_struct *task, struct mark *old, struct ns_set *was,
				     struct ns_set *now)
{
	u32 home = was->mnt, joined = now->mnt;
	struct budget *budget;
	u32 *init;

	if (home != joined && mounts_lookup(&joined))
		return 1;
	if (old) {
		budget = budget_of(root_of(old));
		if (!budget || take(budget, BUDGET_CROSSING))
			return 1;
		count(COUNT_LOST_CROSSINGS);
		return 0;
	}
	init = mounts_lookup(&home);
	if (was->user == INITIAL_USER_NS && init && *init == HOST_INIT)
		return 1;
	return may_tell(task, BUDGET_CROSSING);
}

#endif
