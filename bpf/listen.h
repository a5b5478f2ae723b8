/* SPDX-License-Identifier: GPL-2.0-only */
/* Who listens, who connects to it and what is asked of it: what the maps of contact.h and request.h hold.
 */
#ifndef NSENTRY_LISTEN_H
#define NSENTRY_LISTEN_H

/*
 * A unix socket that somebody listens on: the file that it is bound to, however a client names it, and who
 * called listen(2). A number of a file comes back; with the process, that is no matter.
 */
struct listening {
	__u64 inode;
	__u32 device; /* as the kernel numbers it: major << 20 | minor */
	__u32 pid;
};

/* What the agent found of a listener. */
enum listener_is {
	LISTENER_STRANGER = 1, /* no daemon: nothing of it is told */
	LISTENER_DAEMON = 2,
};

/* A process, and the socket's file that it connects to. */
struct client_key {
	__u64 inode;
	__u32 pid;
	__u32 pad;
};

struct client {
	__u64 start; /* of the process: a pid comes back */
	__u64 told;
	__u64 since; /* connects since then */
};

/* An exec's id, as the daemons that speak HTTP make them: 64 digits; and who listened, and was asked. */
struct exec_name {
	struct listening listener;
	char id[64];
};

/* Who asked a daemon to start it, and when. */
struct exec_request {
	__u64 time;
	__u32 pid;
	__u32 pad;
};

#endif
