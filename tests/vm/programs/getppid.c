/* ns for a call of getppid, which no program of ours hangs at; with an argument, setns that change nothing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALLS 200000

int main(int argc, char **argv)
{
	struct timespec begin, end;

	if (argc > 1) {
		int own = open("/proc/self/ns/uts", O_RDONLY);

		for (int i = 0; i < 2000; i++)
			if (setns(own, CLONE_NEWUTS))
				return 1;
		return 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / CALLS);
	return 0;
}
