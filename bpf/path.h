/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The path of a file as the task itself would name it, by walking dentries up to the task's root.
 * bpf_d_path() is not allowed in tracepoints. A short command is gone before /proc can be read.
 */
#ifndef NSENTRY_PATH_H
#define NSENTRY_PATH_H

static __always_inline struct mount *mount_of(struct vfsmount *vfs)
{
	return (struct mount *)((char *)vfs - OFFSET_OF(struct mount, mnt));
}

/* Leaf first, NUL after each name. Returns the bytes written; 0 for the root itself. */
static __always_inline u32 write_path(const struct path *of, const struct path *root, char *buffer,
				      u32 *cut)
{
	struct dentry *dentry = 0, *root_dentry = 0, *parent = 0, *top = 0;
	struct vfsmount *vfs = 0, *root_vfs = 0;
	struct mount *mount = 0, *above = 0;
	const unsigned char *name = 0;
	u32 used = 0;
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
		if (used > PATH_LEN - PATH_NAME_LEN)
			break;
		READ(name, dentry->d_name.name);
		wrote = bpf_probe_read_kernel_str(&buffer[used], PATH_NAME_LEN, name);
		if (wrote <= 0)
			break;
		used += wrote & (PATH_NAME_LEN * 2 - 1);
		if (wrote == PATH_NAME_LEN)
			break;
		dentry = parent;
	}
	return used;
}

static __always_inline void read_paths(struct task_struct *task, struct event_exec *event)
{
	struct fs_struct *fs = 0;
	struct mm_struct *mm = 0;
	struct file *file = 0;
	struct vfsmount *vfs = 0;
	struct mount *mount = 0;
	struct mnt_namespace *owner = 0;
	u32 cut = 0;

	READ(fs, task->fs);
	if (!fs)
		return;
	event->cwd_len = write_path(&fs->pwd, &fs->root, event->cwd, &cut);
	if (cut)
		event->head.flags |= FLAG_CWD_CUT;
	READ(vfs, fs->root.mnt);
	mount = mount_of(vfs);
	READ(owner, mount->mnt_ns);
	READ_NAMESPACE(event->task.root_mnt, struct mnt_namespace, owner);
	READ(mm, task->mm);
	if (!mm)
		return;
	READ_MM(file, mm, exe_file);
	if (!file)
		return;
	event->exe_len = write_path(&file->f_path, &fs->root, event->exe, &cut);
	if (cut)
		event->head.flags |= FLAG_EXE_CUT;
}

/* From the new image's own memory: what the program will see, whatever another thread did to the arguments.
 */
static __always_inline void read_argv(struct task_struct *task, struct event_exec *event)
{
	struct mm_struct *mm = 0;
	unsigned long begin = 0, end = 0;
	u64 length;

	event->argv_len = 0;
	event->argv_total = 0;
	READ(mm, task->mm);
	if (!mm)
		return;
	READ_MM(begin, mm, arg_start);
	READ_MM(end, mm, arg_end);
	if (end <= begin)
		return;
	length = end - begin;
	event->argv_total = length;
	if (length > ARGV_LEN)
		length = ARGV_LEN;
	if (bpf_probe_read_user(event->argv, length, (void *)begin)) {
		event->head.flags |= FLAG_ARGV_FAULT;
		return;
	}
	event->argv_len = length;
}

#endif
