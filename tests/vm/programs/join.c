/* Goes into a container by setns itself: join file|pidfd|thread|32-bit PID COMMAND. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETNS_32 346

static int mounts;
static char **command;

static void must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void run(void)
{
	execv(command[0], command);
	must(-1, command[0]);
}

/* By the system call table of 32-bit programs, which the kernel lets a 64-bit one use as well. */
static void join_32(void)
{
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(SETNS_32), "b"(mounts), "c"(CLONE_NEWNS) : "memory");
	if (result < 0) {
		errno = -result;
		must(-1, "setns, 32-bit");
	}
}

/* The process stays outside: only this thread, which must not share its root directory, goes in. */
static void *enter(void *unused)
{
	int status;

	must(unshare(CLONE_FS), "unshare");
	must(setns(mounts, CLONE_NEWNS), "setns");
	if (fork() == 0)
		run();
	must(wait(&status), "wait");
	if (status)
		exit(1);
	return unused;
}

int main(int argc, char **argv)
{
	char path[64];
	pthread_t thread;

	if (argc < 4)
		return 2;
	command = argv + 3;
	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", argv[2]);
	mounts = open(path, O_RDONLY);
	must(mounts, path);
	if (!strcmp(argv[1], "file")) {
		must(setns(mounts, 0), "setns");
	} else if (!strcmp(argv[1], "pidfd")) {
		int other = syscall(SYS_pidfd_open, atoi(argv[2]), 0);

		must(setns(other, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET), "setns");
	} else if (!strcmp(argv[1], "32-bit")) {
		join_32();
	} else if (!strcmp(argv[1], "thread")) {
		pthread_create(&thread, NULL, enter, NULL);
		pthread_join(thread, NULL);
		return 0;
	} else {
		return 2;
	}
	run();
}
