/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who connects to the socket that a runtime's daemon listens on: whoever may do so is root on the host, and
 * nothing of it is seen in the process tree of what the daemon then does for him.
 *
 * Judged by the listening socket that the kernel found, never by the path that the caller gave: a link, a
 * bind mount into a container, /proc/PID/root all lead there. Whether the listener is a daemon the agent
 * finds out at the first connect, once for each; until then its connects are told too, within a budget of
 * their own. Sockets without a file (abstract ones) belong to no daemon that we know.
 *
 * Without a function to hang on there is sk_data_ready (since 6.3): who connects wakes the listener
 * himself. It comes with each packet that reaches a socket, too; for those two reads and no more are paid.
 */
#define FAMILY_UNIX 1
#define ESTABLISHED_STATE 1
#define LISTENING_STATE 10
#define QUIET_NS 60000000000ULL /* how long a process that was told is only counted */
#define TIMED 4			/* but for its first connects, whose times are told */

/* Of a socket that listens: its own process, since listen(2). */
static __always_inline void read_peer(struct sock *sock, struct listening *out)
{
	struct pid *pid = 0;
	struct upid first = {};

	READ(pid, sock->sk_peer_pid);
	if (pid)
		bpf_probe_read_kernel(&first, sizeof(first), (char *)pid + OFFSET_OF(struct pid, numbers));
	out->pid = first.nr;
}

static __always_inline int read_listener(struct sock *sock, struct listening *out)
{
	struct unix_sock *bound = (struct unix_sock *)sock;
	struct dentry *dentry = 0;
	struct inode *inode = 0;
	struct super_block *block = 0;
	unsigned long number = 0;
	u32 device = 0;

	READ(dentry, bound->path.dentry);
	if (!dentry)
		return 0;
	READ(inode, dentry->d_inode);
	READ(number, inode->i_ino);
	READ(block, inode->i_sb);
	READ(device, block->s_dev);
	out->inode = number;
	out->device = device;
	read_peer(sock, out);
	return 1;
}

/*
 * How many connects of this process to this socket are to be told with this one; 0: it was told just now,
 * and this one is told for its time, or (`due` 0) not at all. A client makes two or three connects for one
 * thing that it asks for, and their times say which.
 */
static __always_inline u64 connects_due(struct task_struct *task, struct client_key *key, int *due)
{
	struct client *known = clients_lookup(key);
	struct client fresh = {};
	u64 count;

	fresh.start = start_of(task);
	fresh.told = bpf_ktime_get_boot_ns();
	*due = 1;
	if (!known || known->start != fresh.start) {
		clients_update(key, &fresh);
		return 1;
	}
	count = known->since + 1;
	if (fresh.told - known->told < QUIET_NS) {
		known->since = count;
		*due = count < TIMED;
		return 0;
	}
	known->told = fresh.told;
	known->since = 0;
	return count;
}

static __always_inline long send_contact(struct task_struct *task, struct sock *sock, struct listening *key,
					 u64 connects)
{
	struct unix_sock *bound = (struct unix_sock *)sock;
	struct unix_address *address = 0;
	u32 zero = 0, tid = bpf_get_current_pid_tgid();
	struct event_contact *event = (struct event_contact *)scratch_lookup(&zero);
	struct mark *mark = marks_lookup(&tid);
	u64 used;

	if (!event)
		return 0;
	event->socket[0] = 0;
	__builtin_memset(&event->task, 0, sizeof(event->task));
	__builtin_memset(&event->ancestry, 0, sizeof(event->ancestry));
	fill_head(&event->head, EVENT_CONTACT, task);
	if (mark && !is_released(mark))
		event->head.cookie = mark->cookie;
	event->listener = *key;
	event->connects = connects;
	READ(address, bound->addr);
	if (address)
		bpf_probe_read_kernel_str(event->socket, sizeof(event->socket),
					  (char *)address + OFFSET_OF(struct unix_address, name) +
						  sizeof(u16));
	read_facts(task, &event->task);
	read_ancestry(task, &event->ancestry);
	used = write_caller(task, event->texts, &event->exe_len, &event->argv_len, &event->argv_total,
			    &event->head.flags);
	return send(event, OFFSET_IN_EVENT(struct event_contact, texts) + BOUNDED(used, CONTACT_TEXTS_LEN));
}

/* `to` is the address of the socket that listens, `from` is not needed; the caller of connect(2) runs. */
static __always_inline int on_contact(u64 from, u64 to)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sock = (struct sock *)to;
	struct listening listener = {};
	struct client_key key = {};
	u32 zero = 0;
	u32 *sensor, *known;
	u64 connects;
	int due = 0;

	if (!read_listener(sock, &listener))
		return 0;
	known = listeners_lookup(&listener);
	if (known && *known == LISTENER_STRANGER)
		return 0;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.inode = listener.inode;
	sensor = sensor_lookup(&zero);
	if (sensor && *sensor == key.pid)
		return 0;
	connects = connects_due(task, &key, &due);
	if (!due || !may_contact(task, known ? BUDGET_CONTACT : BUDGET_LISTENER))
		return 0;
	if (send_contact(task, sock, &listener, connects))
		clients_delete(&key); /* nobody knows of it */
	return 0;
}

/* It is called where the listener was found, under its lock: what may refuse now is a security module. */
ON_FUNCTION_ENTERED(security_unix_stream_connect, unix_connect, on_contact)

static __always_inline u32 family_and_state_of(struct sock *sock)
{
	u32 both = 0;

	/* They stand side by side, in every kernel that has this tracepoint; then comes a byte of flags. */
	bpf_probe_read_kernel(&both, sizeof(both),
			      (char *)sock + OFFSET_OF(struct sock, __sk_common.skc_family));
	return both & 0xffffff;
}

ON_RAW_TRACEPOINT(sk_data_ready)
{
	struct sock *sock = (struct sock *)ctx->args[0];

	if (family_and_state_of(sock) != (FAMILY_UNIX | LISTENING_STATE << 16))
		return 0;
	return on_contact(0, (u64)sock);
}
