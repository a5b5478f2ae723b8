/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Datagrams (UDP, UDP-Lite): nothing connects, so the first that goes to a place is told. Of a session once
 * for each place; of a container's own processes as its connects are: the first of its kind, then counts.
 *
 * Judged where the kernel's function is handed the message: the address is in the kernel's memory by then,
 * and no second thread can change it. An IPv6 socket that speaks to IPv4 comes through the function of
 * IPv4.
 *
 * Without a function to hang on there are two tracepoints (since 6.3). What is sent on a socket that is not
 * connected is looked up in the routing table by its sender, with both ports; then the send is told, with
 * the socket alone. A lookup of the same thread, and for the socket's own port, says where that one went. A
 * tunnel that carries the packet on looks up its own way in the same thread, by another port.
 *
 * Caveats. A socket with a low port that sends to a high one is taken for a server that answers, if it is a
 * container's own: each client would be a new destination. By the tracepoints, what is sent to a multicast
 * address through a given device is not looked up, nor told. A worker of io_uring carries no mark.
 */
#define PROTOCOL_UDP 17
#define PROTOCOL_UDPLITE 136
#define LOOPBACK_DEVICE 1    /* "from" where a route is looked up for what is sent here */
#define EPHEMERAL_PORT 32768 /* where ip_local_port_range begins, unless somebody set it */
#define ESTABLISHED_STATE 1

/* Who sends, if that is one of those that are told of. */
struct sender {
	struct task_struct *task;
	struct mark *mark; /* of a session; else */
	u32 mnt;	   /* of a container's own */
};

static __always_inline int read_sender(struct sender *sender)
{
	sender->task = (struct task_struct *)bpf_get_current_task();
	sender->mark = followed();
	sender->mnt = sender->mark ? 0 : own_mount(sender->task);
	return sender->mark || sender->mnt;
}

static __always_inline int is_mapped(struct recipient *to)
{
	u32 words[4];

	__builtin_memcpy(words, to->address, sizeof(words));
	return to->family == FAMILY_INET6 && !words[0] && !words[1] &&
	       words[2] == __builtin_bswap32(0xffff);
}

/* The other side of a socket that is connected. */
static __always_inline int read_far_end(struct sock *sock, struct recipient *to)
{
	struct event_flow side = {};
	u8 state = 0;

	READ(state, sock->__sk_common.skc_state);
	if (state != ESTABLISHED_STATE || !read_side(sock, &side, 0))
		return 0;
	to->family = side.family;
	to->port = side.port;
	__builtin_memcpy(to->address, side.address, sizeof(to->address));
	return 1;
}

/* What sendto(2) or sendmsg(2) was given; 0: nothing, so that it goes to the other side. */
static __always_inline int read_name(struct msghdr *message, struct recipient *to)
{
	struct {
		u16 family;
		u16 port;
		u32 address; /* of IPv6 the flow */
		u8 address6[16];
	} name = {};
	void *at = 0;

	READ(at, message->msg_name);
	if (!at)
		return 0;
	bpf_probe_read_kernel(&name, sizeof(name), at);
	to->family = name.family;
	to->port = __builtin_bswap16(name.port);
	if (name.family == FAMILY_INET6)
		__builtin_memcpy(to->address, name.address6, sizeof(to->address));
	else
		__builtin_memcpy(to->address, &name.address, sizeof(name.address));
	return 1;
}

static __always_inline void judge_sent(struct sender *sender, struct recipient *to)
{
	struct event_flow event = {};
	struct sent_key key = {};
	u32 one = 1;

	key.root = root_of(sender->mark);
	key.to = *to;
	key.to.from = 0;
	if (sent_lookup(&key))
		return;
	sent_update(&key, &one);
	event.what = FLOW_SEND;
	event.family = to->family;
	event.protocol = to->protocol;
	event.port = to->port;
	__builtin_memcpy(event.address, to->address, sizeof(event.address));
	if (!send_flow(sender->task, &event, sender->mark))
		sent_delete(&key); /* nobody knows of it */
}

static __always_inline void judge_datagram(struct sender *sender, struct recipient *to)
{
	struct ordinary_key key = {};

	if (sender->mark) {
		judge_sent(sender, to);
		return;
	}
	if (to->from < EPHEMERAL_PORT && to->port >= EPHEMERAL_PORT)
		return;
	key.kind = EVENT_CONNECT;
	key.mnt = sender->mnt;
	key.third = (u64)to->family << 32 | (u64)to->protocol << 16 | to->port;
	__builtin_memcpy(&key.first, to->address, sizeof(to->address));
	judge_own_connect(sender->task, &key);
}

static __always_inline void read_own_side(struct sock *sock, struct recipient *to)
{
	READ(to->protocol, sock->sk_protocol);
	READ(to->from, sock->__sk_common.skc_num);
}

static __always_inline int on_datagram(u64 socket, u64 given)
{
	struct sock *sock = (struct sock *)socket;
	struct sender sender = {};
	struct recipient to = {};

	if (!read_sender(&sender))
		return 0;
	read_own_side(sock, &to);
	if (read_name((struct msghdr *)given, &to))
		to.family = FAMILY_INET; /* AF_UNSPEC is taken for it */
	else if (!read_far_end(sock, &to))
		return 0;
	judge_datagram(&sender, &to);
	return 0;
}

static __always_inline int on_datagram6(u64 socket, u64 given)
{
	struct sock *sock = (struct sock *)socket;
	struct sender sender = {};
	struct recipient to = {};

	if (!read_sender(&sender))
		return 0;
	read_own_side(sock, &to);
	if ((!read_name((struct msghdr *)given, &to) || !to.family) && !read_far_end(sock, &to))
		return 0;
	/* The function of IPv4 is called for those. */
	if (to.family != FAMILY_INET6 || is_mapped(&to))
		return 0;
	judge_datagram(&sender, &to);
	return 0;
}

ON_FUNCTION_ENTERED(udp_sendmsg, datagram, on_datagram)
ON_FUNCTION_ENTERED(udpv6_sendmsg, datagram6, on_datagram6)

static __always_inline int is_datagram(u16 protocol)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE;
}

static __always_inline void keep_route(struct recipient *to, u16 to_port, u16 from_port)
{
	u32 tid = bpf_get_current_pid_tgid();

	to->port = __builtin_bswap16(to_port);
	to->from = __builtin_bswap16(from_port);
	routes_update(&tid, to);
}

/* Most lookups are for packets that pass through, or of connections: they end at the first two reads. */
ON_RAW_TRACEPOINT(fib_table_lookup)
{
	struct flowi4 *flow = (struct flowi4 *)ctx->args[1];
	struct recipient to = {};
	struct sender sender = {};
	u16 to_port = 0, from_port = 0;
	u32 address = 0;
	int device = 0;
	u8 protocol = 0;

	READ(protocol, flow->__fl_common.flowic_proto);
	READ(device, flow->__fl_common.flowic_iif);
	if (!is_datagram(protocol) || device != LOOPBACK_DEVICE || !read_sender(&sender))
		return 0;
	READ(address, flow->daddr);
	READ(to_port, flow->uli.ports.dport);
	READ(from_port, flow->uli.ports.sport);
	to.family = FAMILY_INET;
	to.protocol = protocol;
	__builtin_memcpy(to.address, &address, sizeof(address));
	keep_route(&to, to_port, from_port);
	return 0;
}

ON_RAW_TRACEPOINT(fib6_table_lookup)
{
	struct flowi6 *flow = (struct flowi6 *)ctx->args[3];
	struct recipient to = {};
	struct sender sender = {};
	u16 to_port = 0, from_port = 0;
	int device = 0;
	u8 protocol = 0;

	READ(protocol, flow->__fl_common.flowic_proto);
	READ(device, flow->__fl_common.flowic_iif);
	if (!is_datagram(protocol) || device != LOOPBACK_DEVICE || !read_sender(&sender))
		return 0;
	bpf_probe_read_kernel(to.address, sizeof(to.address),
			      (char *)flow + OFFSET_OF(struct flowi6, daddr));
	READ(to_port, flow->uli.ports.dport);
	READ(from_port, flow->uli.ports.sport);
	to.family = FAMILY_INET6;
	to.protocol = protocol;
	keep_route(&to, to_port, from_port);
	return 0;
}

ON_RAW_TRACEPOINT(sock_send_length)
{
	struct sock *sock = (struct sock *)ctx->args[0];
	struct sender sender = {};
	struct recipient to = {};
	struct recipient *route;
	u32 tid = bpf_get_current_pid_tgid();
	u16 protocol = 0, family = 0;

	READ(protocol, sock->sk_protocol);
	READ(family, sock->__sk_common.skc_family);
	if (!is_datagram(protocol) || (family != FAMILY_INET && family != FAMILY_INET6))
		return 0;
	if (!read_sender(&sender))
		return 0;
	read_own_side(sock, &to);
	route = routes_lookup(&tid);
	if (route && route->from == to.from && route->protocol == to.protocol) {
		to = *route;
		routes_delete(&tid);
	} else if (!read_far_end(sock, &to)) {
		return 0;
	}
	judge_datagram(&sender, &to);
	return 0;
}
