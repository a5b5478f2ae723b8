/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel hands over: the one layout, which sensor/probe/layout.py says again.
 *
 * Every event begins with struct event_head. All integers are in host order and naturally aligned, so that
 * there is no hidden padding: tests/kernel/test_layout.py compares each offset with a compiler's.
 * Times are nanoseconds since boot (CLOCK_BOOTTIME); pids are those of the host's pid namespace.
 */
#ifndef NSENTRY_EVENT_H
#define NSENTRY_EVENT_H

#define COMM_LEN 16
#define ANCESTORS 16
#define CGROUP_NAME_LEN 96
#define PATH_LEN 1024
#define PATH_NAME_LEN 128 /* with a longer name the whole path is called cut */
#define PATH_DEPTH 24
#define FILENAME_LEN 256
#define ARGV_LEN 4096
#define CALLER_ARGV_LEN 1024
#define EXEC_TEXTS_LEN (2 * PATH_LEN + FILENAME_LEN + ARGV_LEN)
#define SETNS_TEXTS_LEN (PATH_LEN + 2 * CALLER_ARGV_LEN)
#define REACHED_TEXTS_LEN (PATH_LEN + CALLER_ARGV_LEN)
#define CONTACT_TEXTS_LEN (PATH_LEN + CALLER_ARGV_LEN)
#define SOCKET_PATH_LEN 112 /* sun_path has 108 bytes */
#define ORDINARY_ARGV_LEN 1024
#define ENTRIES_LEN (4 << 20)
#define ARGV_SHAPE_LEN 128 /* how much of a command line tells it from others of the same program */

enum event_kind {
	EVENT_SETNS = 1, /* a task's namespaces differ after setns from what they were before */
	EVENT_FORK = 2,	 /* a marked process has a child process */
	EVENT_EXEC = 3,	 /* a marked task, or one in a mount namespace new to us, executed a program */
	EVENT_EXIT = 4,	 /* a marked process is gone, or a marked thread that never executed */
	EVENT_ORDINARY_EXEC = 5, /* a container's own process executed what it had not before */
	EVENT_CONNECT = 6,	 /* ... or connected, or sent a datagram, to where it had not before */
	EVENT_REACHED =
		7, /* a task was moved into a container's cgroup, or one of a container written to */
	EVENT_SIGNAL =
		8, /* a signal that can end or stop the sensor was sent to it; the task is the sender */
	EVENT_CONTACT =
		9,	 /* a task connected to a unix socket of a runtime's daemon, or of who may be one */
	EVENT_FLOW = 10, /* a task that is followed, or one of a container, and the network */
};

enum event_flag {
	FLAG_EXECUTED = 1 << 0,	   /* the lineage has executed something since it crossed */
	FLAG_INIT = 1 << 1,	   /* first process of a mount namespace that was new to us */
	FLAG_NEW_MOUNT = 1 << 2,   /* this exec is the first one seen in its mount namespace */
	FLAG_UNWITNESSED = 1 << 3, /* in another mount namespace than its parent, and no setns was seen */
	FLAG_RETURNED = 1 << 4,	   /* setns brought the task back to where it came from */
	FLAG_THREAD = 1 << 5,	   /* a thread, not a whole process */
	FLAG_ARGV_FAULT = 1 << 6,  /* the command line could not be read: it was paged out */
	FLAG_CWD_CUT = 1 << 7,	   /* the path of the working directory did not fit */
	FLAG_EXE_CUT = 1 << 8,	   /* nor that of the executable: a part of it names another file */
	FLAG_STRAY =
		1 << 9, /* root, executable or cwd lie in a known mount namespace that is not the task's */
	FLAG_MOVED = 1 << 10,	 /* the lineage came into a container's cgroup before any namespace of it */
	FLAG_LEFT_OUT = 1 << 11, /* the session went over its budget: of its processes not all were told */
};

/* How somebody came to a container without a namespace of it. */
enum reach {
	REACH_CGROUP = 1, /* moved into its cgroup */
	REACH_TRACE = 2,  /* ptrace: attached to one of its tasks */
	REACH_WRITE = 3,  /* into the memory of one of its processes: process_vm_writev, /proc/PID/mem */
	REACH_TAKE = 4,	  /* pidfd_getfd: took an open file of one of its processes */
};

/* Counted by cause, per CPU. The order is the contract; sensor/probe/counters.py names them. */
enum counter {
	COUNT_SETNS,	       /* setns calls that changed a namespace */
	COUNT_SETNS_NO_CHANGE, /* ... and those that changed none, failed ones included */
	COUNT_MARKED_FORK,
	COUNT_MARKED_EXEC,
	COUNT_MARKED_EXIT,
	COUNT_NEW_MOUNT,
	COUNT_LOST_RING,   /* events that the ring had no room for */
	COUNT_LOST_MARK,   /* marks that the map had no room for: their descendants are not followed */
	COUNT_LOST_BEFORE, /* setns returned and its "before" was gone */
	COUNT_ARGV_FAULT,
	COUNT_ORDINARY,	      /* execs and connects of containers' own processes, in whatever way told */
	COUNT_ORDINARY_TOLD,  /* ... and those that an event tells of, the first of their kind */
	COUNT_LOST_ORDINARY,  /* ... and those that were first, and the ring had no room for */
	COUNT_MOVED,	      /* tasks from outside that came into a container's cgroup */
	COUNT_LOST_COMMANDS,  /* commands that were left out: over a session's budget, or the ring nearly
				 full */
	COUNT_LOST_CROSSINGS, /* crossings and starts left out: over the budget of a session or a cgroup */
	COUNT_LOST_CONTACTS,  /* connects to daemons' sockets, and connections of sessions, left out: over
				 the  budget of a cgroup or session */
	COUNTERS,
};

/* Stands in the map of mounts for the first process of the host's own mount namespace. */
#define HOST_INIT 1

/* What the agent can turn on; all are off at first. */
enum switch_of {
	SWITCH_TELL_ALL, /* every exec and connect of a container's own is told: to measure what that costs
			  */
	SWITCHES,
};

/* Inode numbers of the eight kinds; pid and time also have the one that children will be born in. */
struct ns_set {
	__u32 cgroup;
	__u32 ipc;
	__u32 mnt;
	__u32 net;
	__u32 pid;
	__u32 pid_for_children;
	__u32 time;
	__u32 time_for_children;
	__u32 user;
	__u32 uts;
};

struct event_head {
	__u32 kind;
	__u32 flags;
	__u64 time;
	__u64 cookie; /* names the crossing; 0 where there is none */
	__u64 start;  /* of the process */
	__u32 tid;
	__u32 pid;
	__u32 ppid; /* the real parent's, also across pid namespaces */
	__u32 uid;
};

struct ancestor {
	__u64 start;
	__u32 pid;
	__u32 uid;
	__u32 mnt;
	__u32 login_uid;
	char comm[COMM_LEN];
};

struct ancestry {
	__u32 count;
	__u32 more; /* the chain went on beyond ANCESTORS */
	struct ancestor chain[ANCESTORS];
};

struct task_facts {
	struct ns_set ns;
	__u64 caps;
	__u64 cgroup_id;
	__u32 uid;
	__u32 gid;
	__u32 login_uid;
	__u32 login_session;
	__u32 tty_major;
	__u32 tty_minor;
	__u32 pid_in_ns; /* as the process itself sees it */
	__u32 root_mnt;	 /* mount namespace that its root directory belongs to */
	char comm[COMM_LEN];
	char cgroup[CGROUP_NAME_LEN]; /* last component of the path, and the one above it */
	char cgroup_parent[CGROUP_NAME_LEN];
};

/*
 * Texts stand one after the other at an event's end, each as long as its length says, and only what is used
 * of them is sent. Paths are written leaf first, each name ended by NUL: "sbin\0usr\0" is /usr/sbin.
 */
struct event_setns {
	struct event_head head;
	__u64 previous; /* the crossing that the task was part of before, or 0 */
	struct ns_set home;
	struct ns_set joined;
	__u32 exe_len; /* of the task that calls setns, while it is there */
	__u32 argv_len;
	__u64 argv_total;
	__u32 runtime_pid; /* the nearest process above it that a supervisor (shim, conmon) executed, or 0
			    */
	__u32 runtime_argv_len;
	__u64 runtime_argv_total;
	struct task_facts task;
	struct ancestry ancestry;
	char texts[SETNS_TEXTS_LEN]; /* exe, argv, runtime's argv */
};

struct event_fork {
	struct event_head head; /* of the child */
	__u32 parent;
	__u32 pad;
};

struct event_exit {
	struct event_head head;
	__u32 status; /* as wait(2) gives it */
	__u32 calls;  /* setns calls of the crossing that changed something */
	struct ns_set home;
	struct ns_set joined;
};

struct event_exec {
	struct event_head head;
	struct ns_set home;   /* before the first setns of the crossing */
	struct ns_set joined; /* after the last */
	struct ns_set parent; /* of the real parent, now */
	__u32 exe_len;
	__u32 cwd_len;
	__u32 filename_len;
	__u32 argv_len;
	__u64 argv_total;
	__u32 exe_mnt; /* mount namespaces that the executable and the working directory belong to */
	__u32 cwd_mnt;
	struct task_facts task;
	struct ancestry ancestry;
	char texts[EXEC_TEXTS_LEN]; /* exe, cwd, filename, argv */
};

/*
 * `head` and `task` are of the task that was moved, or reached into. With a `target` they are of who wrote:
 * of process_vm_writev the kernel's programs know the other one by that number alone, as the writer calls
 * it.
 */
struct event_reached {
	struct event_head head;
	__u32 how;
	__u32 mnt; /* the container's mount namespace; 0 where `target` must be looked up first */
	__u32 target;
	__u32 pad;
	struct ancestor by; /* who moved, attached or wrote */
	__u32 exe_len;	    /* of `by` */
	__u32 argv_len;
	__u64 argv_total;
	struct task_facts task;
	struct ancestry ancestry;      /* above `by` */
	char texts[REACHED_TEXTS_LEN]; /* exe, argv */
};

struct event_signal {
	struct event_head head; /* of the sender */
	__u64 target_start;
	__u32 target;
	__u32 signal;
	__u32 from_kernel; /* the kernel sent it on its own account, short of memory for one: no sender */
	__u32 pad;
	struct task_facts task;
	struct ancestry ancestry;
};

#include "listen.h"

/* `head` and `task` are of who connected. */
struct event_contact {
	struct event_head head;
	struct listening listener;
	__u64 connects; /* this one, and those since the process was told last; 0: of its time alone */
	__u32 exe_len;
	__u32 argv_len;
	__u64 argv_total;
	char socket[SOCKET_PATH_LEN]; /* as the listener called it when it bound it */
	struct task_facts task;
	struct ancestry ancestry;
	char texts[CONTACT_TEXTS_LEN]; /* exe, argv */
};

enum flow {
	FLOW_CONNECT = 1, /* a followed task connects */
	FLOW_LISTEN = 2,  /* a followed task listens */
	FLOW_STREAMS = 3, /* a program began with a socket as its standard input and output */
	FLOW_SEND = 4,	  /* a followed task sends a datagram where its session sent none before */
};

/* Where a datagram goes. */
struct recipient {
	__u8 address[16];
	__u16 family;
	__u16 protocol;
	__u16 port;
	__u16 from; /* the sender's own port */
};

/* Where a session sent to; `from` is 0. */
struct sent_key {
	__u64 root; /* the crossing that the session came out of in the end */
	struct recipient to;
};

/* `head` is of the task. The address is the other side's, of who listens its own. */
struct event_flow {
	struct event_head head;
	__u32 what;
	__u32 mnt; /* the task's mount namespace */
	__u16 family;
	__u16 protocol;
	__u16 port;
	__u16 pad;
	__u8 address[16];
	char comm[COMM_LEN];
};

/* What a supervisor executed: a runtime, whose arguments name the exec. It is gone before /proc can be
 * read. */
struct runtime {
	__u64 start;
	__u64 argv_total;
	__u32 argv_len;
	__u32 pad;
	char argv[CALLER_ARGV_LEN];
};

/* What a task carries, and its children inherit, from the moment that it crossed. */
struct mark {
	__u64 cookie;
	__u32 flags;
	__u32 calls;
	struct ns_set home;
	struct ns_set joined;
	__u64 within; /* the crossing that it goes on in when it comes back from this one, or 0 */
	__u64 root; /* the crossing that this one came out of in the end, whose budget it is; 0: its own */
};

/* What one session, or the processes of one cgroup, may have told. See budget.h. */
enum budget_kind {
	BUDGET_COMMAND,	 /* a process: its fork, what it executes, its exit */
	BUDGET_START,	 /* the first program in a mount namespace that is new */
	BUDGET_STRAY,	 /* a program of elsewhere: it may be an escape */
	BUDGET_CROSSING, /* a setns that begins a crossing */
	BUDGET_CONTACT,	 /* a connect to a daemon's socket */
	BUDGET_LISTENER, /* a connect to a socket whose listener is not known yet */
	BUDGETS,
};

struct budget {
	__u64 due[BUDGETS]; /* when all that was taken so far will have been earned */
	__u64 commands;	    /* left out */
	__u32 begun;	    /* the crossing's first program was told */
	__u32 unseen; /* processes were left out: what lives of the session is not known to the agent */
};

/* Where a task's namespaces lie in memory: enough to see a change, at a fraction of the reads. */
struct ns_addresses {
	__u64 uts, ipc, mnt, pid_for_children, net, time, time_for_children, cgroup;
	__u64 user;
};

/* Where a thread stood at its latest setns. Kept, so that the next one need not read the numbers again. */
struct ns_place {
	struct ns_addresses at;
	struct ns_set inodes;
};

/*
 * What makes two execs or connects of a container's own processes alike. Exec: inode of the executable, its
 * device and the user, shape of the command line. Connect: address; family, protocol, port.
 */
struct ordinary_key {
	__u32 kind;
	__u32 mnt;
	__u64 first;
	__u64 second;
	__u64 third;
};

struct ordinary_count {
	__u64 count; /* since the one that was told, which is not in it */
	__u64 last;
};

/* Of a container, by its mount namespace. What is neither told nor lost was counted with its like. */
struct ordinary_tally {
	__u64 all;
	__u64 told;
	__u64 lost;
};

struct event_ordinary {
	struct event_head head;
	struct ordinary_key key;
	char comm[COMM_LEN];
	__u32 exe_len; /* the rest is of an exec alone */
	__u32 filename_len;
	__u32 argv_len;
	__u32 parent; /* pid of the process that it is a child of */
	__u64 argv_total;
	__u64 parent_file; /* the inode of what its parent ran then, or 0 */
	char texts[PATH_LEN + FILENAME_LEN + ORDINARY_ARGV_LEN]; /* exe, filename, argv: what is used */
};

#endif
