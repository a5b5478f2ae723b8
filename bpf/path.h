/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The path of a file as the task itself would name it, by walking dentries up to the task's root.
 * bpf_d_path() is not allowed in tracepoints. A short command is gone before /proc can be read.
 */
#ifndef NSENTRY_PATH_H
#define NSENTRY_PATH_H

/* A bound that the verifier believes: the compiler may not reason about the value, nor use another
 * register. */
#define BOUNDED(value, most)                                                                               \
	({                                                                                                 \
		u64 bounded_ = (value);                                                                    \
		asm volatile("" : "+r"(bounded_));                                                         \
		if (bounded_ > (most))                                                                     \
			bounded_ = (most);                                                                 \
		bounded_;                                                                                  \
	})

static __always_inline struct mount *mount_of(struct vfsmount *vfs)
{
	return (struct mount *)((char *)vfs - OFFSET_OF(struct mount, mnt));
}

/*
 * Leaf first, NUL after each name, from *end on, which is moved to where the path ends: for the root itself
 * to where it began. `room` is a constant: how much of the texts is for paths.
 *
 * `end` must lie in a map. The verifier knows nothing of a number that it reads there, so it walks the
 * loop's body once for each turn; of a variable it would keep every range that it can have, and walk for
 * each: ten times the time to load, on 6.1 near the million steps that it allows.
 */
static __always_inline void write_path(const struct path *of, const struct path *root, char *texts,
				       volatile u32 *end, const u32 room, u32 *cut)
{
	struct dentry *dentry = 0, *root_dentry = 0, *parent = 0, *top = 0;
	struct vfsmount *vfs = 0, *root_vfs = 0;
	struct mount *mount = 0, *above = 0;
	const unsigned char *name = 0;
	const u32 begin = *end;
	u32 used;
	long wrote;

	READ(dentry, of->dentry);
	READ(vfs, of->mnt);
	READ(root_dentry, root->dentry);
	READ(root_vfs, root->mnt);
	*cut = 1;
	for (int i = 0; i < PATH_DEPTH; i++) {
		if (dentry == root_dentry && vfs == root_vfs) {
			*cut = 0;
			break;
		}
		READ(top, vfs->mnt_root);
		READ(parent, dentry->d_parent);
		if (dentry == top || dentry == parent) { /* the top of a mount: go on where it is mounted */
			mount = mount_of(vfs);
			READ(above, mount->mnt_parent);
			if (above == mount || !above) { /* outside the task's root, or mounted nowhere */
				*cut = 0;
				break;
			}
			READ(dentry, mount->mnt_mountpoint);
			vfs = (struct vfsmount *)((char *)above + OFFSET_OF(struct mount, mnt));
			continue;
		}
		used = *end;
		if (used > room - PATH_NAME_LEN || used - begin > PATH_LEN - PATH_NAME_LEN)
			break;
		READ(name, dentry->d_name.name);
		wrote = bpf_probe_read_kernel_str(&texts[used], PATH_NAME_LEN, name);
		if (wrote <= 0)
			break;
		*end = used + wrote;
		if (wrote == PATH_NAME_LEN)
			break;
		dentry = parent;
	}
}

/* The directory that its root is may belong to another mount namespace than its own: after a chroot there.
 */
static __always_inline void read_root(struct fs_struct *fs, u32 *inum)
{
	struct vfsmount *vfs = 0;
	struct mount *mount;
	struct mnt_namespace *owner = 0;

	READ(vfs, fs->root.mnt);
	mount = mount_of(vfs);
	READ(owner, mount->mnt_ns);
	READ_NAMESPACE(*inum, struct mnt_namespace, owner);
}

static __always_inline struct file *exe_of(struct task_struct *task)
{
	struct mm_struct *mm = 0;
	struct file *file = 0;

	READ(mm, task->mm);
	if (mm)
		READ_MM(file, mm, exe_file);
	return file;
}

/* Returns how much of the texts is used. */
static __always_inline u32 read_paths(struct task_struct *task, struct event_exec *event)
{
	struct fs_struct *fs = 0;
	struct file *file;
	u32 end, cut = 0;

	READ(fs, task->fs);
	if (!fs)
		return 0;
	read_root(fs, &event->task.root_mnt);
	file = exe_of(task);
	if (file) {
		write_path(&file->f_path, &fs->root, event->texts, &event->exe_len, 2 * PATH_LEN, &cut);
		if (cut)
			event->head.flags |= FLAG_EXE_CUT;
	}
	event->cwd_len = event->exe_len;
	write_path(&fs->pwd, &fs->root, event->texts, &event->cwd_len, 2 * PATH_LEN, &cut);
	end = event->cwd_len;
	event->cwd_len = end - event->exe_len;
	if (cut)
		event->head.flags |= FLAG_CWD_CUT;
	return end;
}

/*
 * From the image's own memory: what the program sees, whatever another thread did to the arguments of
 * execve. Only of `current`. Returns how much there would be; `length` is what was read, at most the
 * constant `room`.
 */
static __always_inline u64 read_argv(struct task_struct *task, char *to, const u32 room, u32 *length,
				     u32 *fault)
{
	struct mm_struct *mm = 0;
	unsigned long begin = 0, end = 0;
	u64 wanted;

	*length = 0;
	READ(mm, task->mm);
	if (!mm)
		return 0;
	READ_MM(begin, mm, arg_start);
	READ_MM(end, mm, arg_end);
	if (end <= begin)
		return 0;
	wanted = end - begin;
	if (wanted > room)
		wanted = room;
	if (bpf_probe_read_user(to, wanted, (void *)begin))
		*fault = 1;
	else
		*length = wanted;
	return end - begin;
}

/*
 * Executable and arguments of the task that runs: nsenter is gone some milliseconds later. Returns how much
 * of the texts is used.
 */
static __always_inline u64 write_caller(struct task_struct *task, char *texts, u32 *exe_len, u32 *argv_len,
					u64 *argv_total, u32 *flags)
{
	struct fs_struct *fs = 0;
	struct file *file = exe_of(task);
	u32 cut = 0, length = 0, fault = 0;
	u64 used;

	*exe_len = 0;
	*argv_len = 0;
	*argv_total = 0;
	READ(fs, task->fs);
	if (!fs || !file) /* a thread of the kernel */
		return 0;
	write_path(&file->f_path, &fs->root, texts, exe_len, PATH_LEN, &cut);
	if (cut)
		*flags |= FLAG_EXE_CUT;
	used = BOUNDED(*exe_len, PATH_LEN);
	*argv_total = read_argv(task, &texts[used], CALLER_ARGV_LEN, &length, &fault);
	*argv_len = length;
	if (fault)
		*flags |= FLAG_ARGV_FAULT;
	return used + BOUNDED(length, CALLER_ARGV_LEN);
}

#endif
