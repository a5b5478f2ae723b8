/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of a daemon's clients asked it to start which exec: the one key that both have, for the exec's id
 * stands in the runtime's arguments too. Docker and podman are asked by HTTP over a unix socket, in one
 * line:
 *
 *     POST /v1.43/exec/4f0c...64 digits/start HTTP/1.1
 *
 * Looked at before the daemon can act on it. Who connected, the kernel noted by itself. Every read from a
 * unix stream comes here: what does not begin so costs two reads. Nothing else of what is said is looked
 * at, and of this line only the id is kept. Who sends it in pieces is not seen here, and is found as
 * without it, by who was connected.
 *
 * Without a function to hang on there is sk_data_ready (since 6.3), as in contact.h: what was sent last
 * stands at the end of the receiver's queue, unless a reader who comes at that moment has taken it.
 */
#define POST_START 0x2f2054534f50ULL /* "POST /" */
#define POST_MASK 0xffffffffffffULL
#define REQUEST_LINE 32 /* in which "/exec/" begins: there is room for a version and "/libpod" */
#define EXEC_WORD 6

static __always_inline int is_exec_word(const char *at)
{
	return at[0] == '/' && at[1] == 'e' && at[2] == 'x' && at[3] == 'e' && at[4] == 'c' && at[5] == '/';
}

static __always_inline int is_start_word(const char *at)
{
	return at[0] == '/' && at[1] == 's' && at[2] == 't' && at[3] == 'a' && at[4] == 'r' && at[5] == 't';
}

/* The id of the exec that is to be started; 0: it is another request. */
static __always_inline int read_exec_id(unsigned char *data, struct exec_name *name)
{
	char line[REQUEST_LINE + EXEC_WORD] = {};
	char after[EXEC_WORD] = {};
	unsigned long found = 0;

	if (bpf_probe_read_kernel(line, sizeof(line), data))
		return 0;
#pragma unroll
	for (int at = 5; at < REQUEST_LINE; at++) {
		if (!found && is_exec_word(line + at))
			found = at + EXEC_WORD;
	}
	if (!found || bpf_probe_read_kernel(after, sizeof(after), data + found + sizeof(name->id)) ||
	    !is_start_word(after))
		return 0;
	return !bpf_probe_read_kernel(name->id, sizeof(name->id), data + found);
}

/* `accepted` is the daemon's end of the connection; what is noted is of no use if it is no daemon's. */
static __always_inline int note_request(struct sock *accepted, unsigned char *data)
{
	struct listening mine = {}, theirs = {};
	struct exec_request request = {};
	struct exec_name name = {};
	struct sock *client = 0;
	u32 *known;

	READ(client, ((struct unix_sock *)accepted)->peer);
	/* Each end has the process of the other one; the client's has who listens. */
	if (!client || !read_listener(accepted, &mine))
		return 0;
	read_peer(client, &theirs);
	name.listener = mine;
	name.listener.pid = theirs.pid;
	known = listeners_lookup(&name.listener);
	if ((known && *known == LISTENER_STRANGER) || !read_exec_id(data, &name))
		return 0;
	request.pid = mine.pid;
	request.time = bpf_ktime_get_boot_ns();
	/* The first who asks is who starts it: the daemon refuses all others. */
	if (!requests_lookup(&name))
		requests_update(&name, &request);
	return 0;
}

static __always_inline int is_request(unsigned char *data)
{
	u64 first = 0;

	return !bpf_probe_read_kernel(&first, sizeof(first), data) && (first & POST_MASK) == POST_START;
}

static __always_inline int on_request(u64 buffer, u64 skip)
{
	struct sk_buff *skb = (struct sk_buff *)buffer;
	struct sock *sender = 0, *accepted = 0;
	unsigned char *data = 0;

	READ(data, skb->data);
	if ((u32)skip || !is_request(data))
		return 0;
	READ(sender, skb->sk);
	if (!sender)
		return 0;
	READ(accepted, ((struct unix_sock *)sender)->peer);
	return accepted ? note_request(accepted, data) : 0;
}

ON_FUNCTION_ENTERED(unix_stream_read_actor, unix_read, on_request)

ON_RAW_TRACEPOINT_TOO(sk_data_ready, on_request_ready)
{
	struct sock *sock = (struct sock *)ctx->args[0];
	struct sk_buff *last = 0;
	unsigned char *data = 0;

	if (family_and_state_of(sock) != (FAMILY_UNIX | ESTABLISHED_STATE << 16))
		return 0;
	READ(last, sock->sk_receive_queue.prev);
	if (!last || (u64)last == (u64)sock + OFFSET_OF(struct sock, sk_receive_queue))
		return 0;
	READ(data, last->data);
	return is_request(data) ? note_request(sock, data) : 0;
}
