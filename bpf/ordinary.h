/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What containers do of themselves: execs and connects of processes that did not come in by a door. The
 * first of its kind is told, in a ring that entries do not share; its like is only counted, until the agent
 * collects. "Alike" leaves digits out of a command line, for counters, ports and pids are in so many.
 *
 * Caveats. Only the first ARGV_SHAPE_LEN bytes of a command line, and its length, are compared. The map of
 * what was told is of a bounded size: what was not used for the longest time is forgotten, then told again,
 * and its count since the last collection is missing from the sum of the counts, but not from the tally.
 */
#define TCP_SYN_SENT_STATE 2
#define TCP_LISTEN_STATE 10

static __always_inline struct ordinary_tally *tally_of(u32 mnt)
{
	struct ordinary_tally none = {};
	u32 others = 0;
	struct ordinary_tally *tally = tallies_lookup(&mnt);

	if (tally)
		return tally;
	/* Full: what is of no container of its own is counted with the others, whose entry the agent made.
	 */
	if (tallies_update(&mnt, &none))
		return tallies_lookup(&others);
	return tallies_lookup(&mnt);
}

/* A process that stands in a container's mount namespace and is followed into none. */
static __always_inline u32 own_mount(struct task_struct *task)
{
	u32 mnt = mount_namespace_of(task);
	u32 tid = bpf_get_current_pid_tgid();
	struct mark *mark;
	u32 *init;

	init = mounts_lookup(&mnt);
	if (!init || *init == HOST_INIT || strangers_lookup(&mnt))
		return 0;
	mark = marks_lookup(&tid);
	return mark && !is_released(mark) ? 0 : mnt;
}

/* Whether this is the first of its kind, and to be told. */
static __always_inline int is_first(struct ordinary_key *key, struct ordinary_tally *tally)
{
	struct ordinary_count fresh = {};
	struct ordinary_count *known = alike_lookup(key);
	u32 all = SWITCH_TELL_ALL;
	u32 *tell_all = switches_lookup(&all);

	count(COUNT_ORDINARY);
	if (tally)
		__sync_fetch_and_add(&tally->all, 1);
	if (tell_all && *tell_all)
		return 1;
	if (known) {
		__sync_fetch_and_add(&known->count, 1);
		known->last = bpf_ktime_get_boot_ns();
		return 0;
	}
	alike_update(key, &fresh);
	return 1;
}

static __always_inline void send_ordinary(struct event_ordinary *event, u64 size,
					  struct ordinary_tally *tally)
{
	if (ordinary_output(event, size)) {
		count(COUNT_LOST_ORDINARY);
		alike_delete(&event->key); /* nobody knows of it: the next of its kind is the first */
		if (tally)
			__sync_fetch_and_add(&tally->lost, 1);
		return;
	}
	count(COUNT_ORDINARY_TOLD);
	if (tally)
		__sync_fetch_and_add(&tally->told, 1);
}

/* Eight characters at once, with each digit made a zero. */
static __always_inline u64 without_digits(u64 text)
{
	u64 from_zero = text ^ 0x3030303030303030ULL;
	u64 beyond = ((from_zero & 0x7f7f7f7f7f7f7f7fULL) + 0x7676767676767676ULL) | from_zero;
	u64 digits = ((~beyond & 0x8080808080808080ULL) >> 7) * 0xff;

	return (text & ~digits) | (digits & 0x3030303030303030ULL);
}

static __always_inline u64 mixed(u64 hash, u64 with)
{
	hash = (hash ^ with) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 29);
}

static __always_inline u64 argv_shape(struct mm_struct *mm)
{
	u64 words[ARGV_SHAPE_LEN / 8] = {};
	unsigned long begin = 0, end = 0;
	u64 length, hash = 0;

	READ_MM(begin, mm, arg_start);
	READ_MM(end, mm, arg_end);
	if (end <= begin)
		return 0;
	length = end - begin;
	hash = mixed(hash, length);
	if (length > ARGV_SHAPE_LEN)
		length = ARGV_SHAPE_LEN;
	if (bpf_probe_read_user(words, length, (void *)begin))
		return hash;
	for (int i = 0; i < ARGV_SHAPE_LEN / 8; i++)
		hash = mixed(hash, without_digits(words[i]));
	return hash;
}

/* Its inode, or 0: programs of the same file are alike, whatever process runs them. */
static __always_inline u64 file_of(struct task_struct *task)
{
	struct mm_struct *mm = 0;
	struct file *file = 0;
	struct inode *inode = 0;
	unsigned long number = 0;

	READ(mm, task->mm);
	if (mm)
		READ_MM(file, mm, exe_file);
	if (file)
		READ(inode, file->f_inode);
	if (inode)
		READ(number, inode->i_ino);
	return number;
}

static __always_inline void key_of_exec(struct task_struct *task, struct task_struct *parent,
					struct mm_struct *mm, struct file *file, u32 mnt,
					struct ordinary_key *key)
{
	struct inode *inode = 0;
	struct super_block *block = 0;
	unsigned long number = 0;
	u32 device = 0;
	loff_t size = 0;

	READ(inode, file->f_inode);
	READ(number, inode->i_ino);
	READ(block, inode->i_sb);
	READ(device, block->s_dev);
	key->kind = EVENT_ORDINARY_EXEC;
	key->mnt = mnt;
	key->first = number;
	key->second = (u64)device << 32 | uid_of(task);
	/* Another size is another file, though it was written over the one before. */
	READ(size, inode->i_size);
	key->third = mixed(mixed(argv_shape(mm), size), file_of(parent));
}

static __always_inline void tell_exec(struct task_struct *task, struct task_struct *parent,
				      struct linux_binprm *bprm, struct file *file,
				      struct ordinary_key *key, struct ordinary_tally *tally)
{
	u32 zero = 0, length = 0, cut = 0, fault = 0;
	struct event_ordinary *event = (struct event_ordinary *)scratch_lookup(&zero);
	struct fs_struct *fs = 0;
	const char *filename = 0;
	long written;
	u64 used;

	if (!event)
		return;
	fill_head(&event->head, EVENT_ORDINARY_EXEC, task);
	event->key = *key;
	event->exe_len = 0;
	event->filename_len = 0;
	event->parent = 0;
	if (parent)
		READ(event->parent, parent->tgid);
	event->parent_file = file_of(parent);
	bpf_probe_read_kernel_str(event->comm, sizeof(event->comm),
				  (char *)task + OFFSET_OF(struct task_struct, comm));
	READ(fs, task->fs);
	if (fs)
		write_path(&file->f_path, &fs->root, event->texts, &event->exe_len, PATH_LEN, &cut);
	used = BOUNDED(event->exe_len, PATH_LEN);
	if (cut)
		event->head.flags |= FLAG_EXE_CUT;
	READ(filename, bprm->filename);
	written = bpf_probe_read_kernel_str(&event->texts[used], FILENAME_LEN, filename);
	if (written > 1) {
		event->filename_len = written - 1;
		used += written - 1;
	}
	used = BOUNDED(used, PATH_LEN + FILENAME_LEN);
	event->argv_total = read_argv(task, &event->texts[used], ORDINARY_ARGV_LEN, &length, &fault);
	event->argv_len = length;
	if (fault) {
		event->head.flags |= FLAG_ARGV_FAULT;
		count(COUNT_ARGV_FAULT);
	}
	send_ordinary(event,
		      OFFSET_IN_EVENT(struct event_ordinary, texts) + used +
			      BOUNDED(length, ORDINARY_ARGV_LEN),
		      tally);
}

/*
 * A program of its own, beside the one that decides what is an entry: that one's paths are long enough for
 * the verifier. It may run before or after it; either leaves the mark of a followed task alone.
 */
ON_RAW_TRACEPOINT_TOO(sched_process_exec, on_ordinary_exec)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct ordinary_key key = {};
	struct ordinary_tally *tally;
	struct mm_struct *mm = 0;
	struct file *file = 0;
	struct mark *mark;
	struct task_struct *parent = 0;
	u32 old_tid = ctx->args[1];
	u32 mnt = own_mount(task);

	mark = marks_lookup(&old_tid);
	if (mark && is_released(mark))
		mark = 0;
	if (mnt || mark)
		judge_streams(task, mark);
	if (!mnt || mark)
		return 0;
	READ(mm, task->mm);
	if (mm)
		READ_MM(file, mm, exe_file);
	if (!file)
		return 0;
	READ(parent, task->real_parent);
	key_of_exec(task, parent, mm, file, mnt, &key);
	tally = tally_of(mnt);
	if (is_first(&key, tally))
		tell_exec(task, parent, bprm, file, &key, tally);
	return 0;
}

static __always_inline int key_of_connect(struct sock *sock, struct ordinary_key *key)
{
	u16 family = 0, port = 0, protocol = 0;
	u32 address = 0;

	READ(family, sock->__sk_common.skc_family);
	READ(port, sock->__sk_common.skc_dport);
	READ(protocol, sock->sk_protocol);
	key->kind = EVENT_CONNECT;
	key->third = (u64)family << 32 | (u64)protocol << 16 | __builtin_bswap16(port);
	if (family == FAMILY_INET) {
		READ(address, sock->__sk_common.skc_daddr);
		key->first = address;
		return 1;
	}
	if (family == FAMILY_INET6) {
		bpf_probe_read_kernel(&key->first, 16,
				      (char *)sock + OFFSET_OF(struct sock, __sk_common.skc_v6_daddr));
		return 1;
	}
	return 0;
}

/* The first of its kind is told, its like is counted. */
static __always_inline void judge_own_connect(struct task_struct *task, struct ordinary_key *key)
{
	struct ordinary_tally *tally = tally_of(key->mnt);
	struct event_ordinary *event;
	u32 zero = 0;

	if (!is_first(key, tally))
		return;
	event = (struct event_ordinary *)scratch_lookup(&zero);
	if (!event)
		return;
	fill_head(&event->head, EVENT_CONNECT, task);
	event->key = *key;
	event->exe_len = event->filename_len = event->argv_len = event->parent = 0;
	event->argv_total = event->parent_file = 0;
	bpf_probe_read_kernel_str(event->comm, sizeof(event->comm),
				  (char *)task + OFFSET_OF(struct task_struct, comm));
	send_ordinary(event, OFFSET_IN_EVENT(struct event_ordinary, texts), tally);
}

/* The caller of connect(2) still runs when its socket goes from CLOSE to SYN_SENT. */
ON_RAW_TRACEPOINT(inet_sock_set_state)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sock = (struct sock *)ctx->args[0];
	struct ordinary_key key = {};
	int state = ctx->args[2];

	if (state == TCP_LISTEN_STATE)
		tell_flow(task, sock, FLOW_LISTEN);
	if (state != TCP_SYN_SENT_STATE)
		return 0;
	tell_flow(task, sock, FLOW_CONNECT);
	key.mnt = own_mount(task);
	if (key.mnt && key_of_connect(sock, &key))
		judge_own_connect(task, &key);
	return 0;
}
