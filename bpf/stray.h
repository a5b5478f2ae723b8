/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is in a container, or out of it, without a setns that was seen: by the mounts that a task's root,
 * executable and working directory lie on, and by its ancestry. Costs each exec some reads of pointers; the
 * numbers are read only where the pointers differ.
 */
#ifndef NSENTRY_STRAY_H
#define NSENTRY_STRAY_H

/* Mount namespaces by address. A file in memory has none, or one that is no address: neither is known. */
struct mount_owners {
	struct mnt_namespace *task;
	struct mnt_namespace *root;
	struct mnt_namespace *cwd;
	struct mnt_namespace *exe;
};

/* Where a task stands when it executes. */
struct place {
	struct mount_owners owners;
	u32 mnt;     /* the task's mount namespace */
	u32 init;    /* its first process, 0 if the namespace is not known */
	u32 root_of; /* the container whose own file system holds the task's root, mounted elsewhere, or 0
		      */
	u32 exe_of;  /* ... and its executable */
};

static __always_inline struct mnt_namespace *mount_owner(struct vfsmount *vfs)
{
	struct mount *mount = mount_of(vfs);
	struct mnt_namespace *owner = 0;

	READ(owner, mount->mnt_ns);
	return owner;
}

static __always_inline struct mnt_namespace *mounts_of(struct nsproxy *proxy)
{
	struct mnt_namespace *mnt = 0;

	READ(mnt, proxy->mnt_ns);
	return mnt;
}

static __always_inline u32 number_of(struct mnt_namespace *mnt)
{
	u32 inum = 0;

	READ_NAMESPACE(inum, struct mnt_namespace, mnt);
	return inum;
}

/*
 * The running container, not at `mnt`, whose own file system this mount shows: a runtime mounts what it
 * puts together for a container where the host sees it too. The agent names the file systems.
 */
static __always_inline u32 file_system_of(struct vfsmount *vfs, u32 mnt)
{
	struct super_block *block = 0;
	u32 device = 0;
	u32 *owner;

	READ(block, vfs->mnt_sb);
	READ(device, block->s_dev);
	owner = roots_lookup(&device);
	return owner && *owner != mnt && mounts_lookup(owner) ? *owner : 0;
}

/* Only of who is in no container. Below a parent who is there already it is how the container is made. */
static __always_inline void read_file_systems(struct task_struct *task, struct place *place,
					      struct vfsmount *root, struct vfsmount *exe)
{
	struct task_struct *parent = 0;
	struct fs_struct *fs = 0;
	struct vfsmount *above = 0;
	u32 owner;

	if (place->init > HOST_INIT)
		return;
	place->root_of = file_system_of(root, place->mnt);
	place->exe_of = exe == root ? place->root_of : file_system_of(exe, place->mnt);
	owner = place->root_of ? place->root_of : place->exe_of;
	if (!owner)
		return;
	READ(parent, task->real_parent);
	READ(fs, parent->fs);
	READ(above, fs->root.mnt);
	if (file_system_of(above, place->mnt) == owner) {
		place->root_of = 0;
		place->exe_of = 0;
	}
}

static __always_inline void read_place(struct task_struct *task, struct linux_binprm *bprm,
				       struct place *place)
{
	struct mount_owners *owners = &place->owners;
	struct nsproxy *proxy = 0;
	struct fs_struct *fs = 0;
	struct file *file = 0;
	struct vfsmount *root = 0, *cwd = 0, *exe = 0;
	u32 *init;

	READ(proxy, task->nsproxy);
	owners->task = mounts_of(proxy);
	place->mnt = number_of(owners->task);
	init = mounts_lookup(&place->mnt);
	if (init)
		place->init = *init;
	READ(fs, task->fs);
	READ(root, fs->root.mnt);
	READ(cwd, fs->pwd.mnt);
	READ(file, bprm->file);
	READ(exe, file->f_path.mnt);
	owners->root = mount_owner(root);
	owners->cwd = cwd == root ? owners->root : mount_owner(cwd);
	owners->exe = exe == root ? owners->root : mount_owner(exe);
	read_file_systems(task, place, root, exe);
}

static __always_inline int is_elsewhere(struct mnt_namespace *owner, u32 mnt)
{
	u32 inum = number_of(owner);

	return inum && inum != mnt && mounts_lookup(&inum) != 0;
}

/*
 * The task's root or executable lies in a known mount namespace that is another than its own, or on a
 * container's own file system. The working
 * directory matters only off the host: a shell of the host that looks at /proc/PID/root enters nothing.
 */
static __always_inline int is_stray(struct place *place)
{
	struct mount_owners *owners = &place->owners;

	if (place->root_of || place->exe_of)
		return 1;
	if (owners->root != owners->task && is_elsewhere(owners->root, place->mnt))
		return 1;
	if (owners->exe != owners->task && is_elsewhere(owners->exe, place->mnt))
		return 1;
	return owners->cwd != owners->task && place->init != HOST_INIT &&
	       is_elsewhere(owners->cwd, place->mnt);
}

/*
 * The nearest process above the task that is in another mount namespace; 0 when the container's first
 * process stands below it, or when this cannot be told.
 */
static __always_inline struct task_struct *came_from(struct task_struct *task, struct nsproxy *proxy,
						     struct mnt_namespace *mnt, u32 init)
{
	for (int i = 0; i < ANCESTORS; i++) {
		struct task_struct *parent = 0;
		struct nsproxy *theirs = 0;
		u32 pid = 0;

		READ(pid, task->tgid);
		if (pid == init)
			return 0;
		READ(parent, task->real_parent);
		READ(theirs, parent->nsproxy);
		if (!theirs) /* it is exiting: the task is about to get another parent */
			return 0;
		if (theirs != proxy && mounts_of(theirs) != mnt)
			return parent;
		task = parent;
	}
	return 0;
}

#endif
