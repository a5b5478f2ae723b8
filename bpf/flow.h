/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What those who came in do on the network: where they connect to, and what they listen on. A program whose
 * standard input and output are one side of a connection is told of containers' own processes too: that is
 * how a shell is given to somebody far away.
 *
 * What a session may have told has a budget of its own: a scan of ports is counted, and left out.
 */
#ifndef NSENTRY_FLOW_H
#define NSENTRY_FLOW_H

#define FAMILY_INET 2
#define FAMILY_INET6 10
#define SOCKET_MODE 0140000
#define MODE_KIND 0170000

/* Whether this is a socket of the internet; port and address are the other side's unless `own`. */
static __always_inline int read_side(struct sock *sock, struct event_flow *event, int own)
{
	u16 port = 0;
	u32 address = 0;

	READ(event->family, sock->__sk_common.skc_family);
	READ(event->protocol, sock->sk_protocol);
	if (own) {
		READ(event->port, sock->__sk_common.skc_num);
	} else {
		READ(port, sock->__sk_common.skc_dport);
		event->port = __builtin_bswap16(port);
	}
	if (event->family == FAMILY_INET) {
		if (own)
			READ(address, sock->__sk_common.skc_rcv_saddr);
		else
			READ(address, sock->__sk_common.skc_daddr);
		__builtin_memcpy(event->address, &address, sizeof(address));
		return 1;
	}
	if (event->family != FAMILY_INET6)
		return 0;
	if (own)
		bpf_probe_read_kernel(event->address, sizeof(event->address),
				      (char *)sock + OFFSET_OF(struct sock, __sk_common.skc_v6_rcv_saddr));
	else
		bpf_probe_read_kernel(event->address, sizeof(event->address),
				      (char *)sock + OFFSET_OF(struct sock, __sk_common.skc_v6_daddr));
	return 1;
}

/* Whether it was told. */
static __always_inline int send_flow(struct task_struct *task, struct event_flow *event, struct mark *mark)
{
	struct budget *budget = mark ? budget_of(root_of(mark)) : 0;
	u32 what = event->what;
	int may = budget ? take(budget, BUDGET_CONTACT) : take_of_cgroup(task, BUDGET_CONTACT);

	if (!may) {
		count(COUNT_LOST_CONTACTS);
		return 0;
	}
	fill_head(&event->head, EVENT_FLOW, task);
	if (mark)
		event->head.cookie = mark->cookie;
	event->what = what;
	event->mnt = mount_namespace_of(task);
	bpf_probe_read_kernel_str(event->comm, sizeof(event->comm),
				  (char *)task + OFFSET_OF(struct task_struct, comm));
	return !send(event, sizeof(*event));
}

static __always_inline struct mark *followed(void)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct mark *mark = marks_lookup(&tid);

	return mark && (mark->flags & FLAG_EXECUTED) && !is_released(mark) ? mark : 0;
}

static __always_inline void tell_flow(struct task_struct *task, struct sock *sock, u32 what)
{
	struct event_flow event = {};
	struct mark *mark = followed();

	if (!mark || !read_side(sock, &event, what == FLOW_LISTEN))
		return;
	event.what = what;
	send_flow(task, &event, mark);
}

/* The socket that a descriptor stands for; 0 for what is none. */
static __always_inline struct sock *socket_at(struct file **table, int number)
{
	struct file *file = 0;
	struct inode *inode = 0;
	struct socket *socket = 0;
	struct sock *sock = 0;
	u16 mode = 0;

	bpf_probe_read_kernel(&file, sizeof(file), table + number);
	if (!file)
		return 0;
	READ(inode, file->f_inode);
	READ(mode, inode->i_mode);
	if ((mode & MODE_KIND) != SOCKET_MODE)
		return 0;
	READ(socket, file->private_data);
	READ(sock, socket->sk);
	return sock;
}

static __always_inline void judge_streams(struct task_struct *task, struct mark *mark)
{
	struct event_flow event = {};
	struct files_struct *files = 0;
	struct fdtable *descriptors = 0;
	struct file **table = 0;
	struct sock *sock;

	READ(files, task->files);
	READ(descriptors, files->fdt);
	READ(table, descriptors->fd);
	sock = socket_at(table, 0);
	if (!sock || !socket_at(table, 1) || !read_side(sock, &event, 0) || !event.port)
		return;
	event.what = FLOW_STREAMS;
	send_flow(task, &event, mark);
}

#endif
