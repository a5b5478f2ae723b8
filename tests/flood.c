/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes as fast as a machine can: `flood WORKERS SECONDS COUNT [differ]` ends after SECONDS or COUNT
 * programs, whatever comes first (0: never), and prints how many there were. It executes itself, by vfork:
 * call it by its whole path. With "differ" no command line is like another, digits left out.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void letters(unsigned long number, char *to)
{
	for (int i = 0; i < 12; i++, number /= 26)
		to[i] = 'a' + number % 26;
	to[12] = 0;
}

static void work(const char *program, double until, long count, int worker, int differ, long *done)
{
	char what[16] = "nothing";
	char *arguments[] = {"flood", what, NULL};
	char *environment[] = {NULL};

	int status = 0;

	for (long i = 0; (!count || i < count) && (!until || now() < until); i++) {
		pid_t pid;

		if (differ)
			letters(i * 8 + worker, what);
		pid = vfork();
		if (pid == 0) {
			execve(program, arguments, environment);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			break;
		*done += 1;
	}
}

int main(int argc, char **argv)
{
	int workers = argc > 3 ? atoi(argv[1]) : 0, differ = argc > 4;
	double seconds = argc > 3 ? atof(argv[2]) : 0;
	long count = argc > 3 ? atol(argv[3]) : 0, total = 0;
	double until = seconds > 0 ? now() + seconds : 0;
	long *done;

	if (argc == 2)
		return 0;
	if (workers < 1 || workers > 64)
		return 2;
	done = mmap(NULL, workers * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (done == MAP_FAILED)
		return 1;
	for (int i = 0; i < workers; i++) {
		if (fork() == 0) {
			work(argv[0], until, count / workers, i, differ, &done[i]);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < workers; i++)
		total += done[i];
	printf("%ld\n", total);
	return 0;
}
