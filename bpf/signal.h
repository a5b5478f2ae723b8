/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who sent the sensor a signal that can end or stop it. SIGKILL is told too: the programs and the ring
 * outlive the sensor, and the next one reads it.
 */
#define SIGNAL_BIT(number) (1ULL << ((number)-1))
/* SIGPIPE, SIGCHLD, SIGCONT, SIGURG, SIGWINCH: no harm to anybody who does not ask for it */
#define SIGNALS_HARMLESS                                                                                   \
	(SIGNAL_BIT(13) | SIGNAL_BIT(17) | SIGNAL_BIT(18) | SIGNAL_BIT(23) | SIGNAL_BIT(28))
#define LAST_OF_OLD_SIGNALS 31
/* SEND_SIG_PRIV, in place of a pointer to what is known of a signal: the kernel sends it itself. */
#define FROM_KERNEL 1
/* TRACE_SIGNAL_DELIVERED: what is ignored, or pending already, ends nobody. */
#define DELIVERED 0

static __always_inline void send_signal(u32 number, struct task_struct *target, u32 pid, u32 from_kernel)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 zero = 0;
	struct event_signal *event = letter_lookup(&zero);

	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	fill_head(&event->head, EVENT_SIGNAL, task);
	event->target_start = start_of(target);
	event->target = pid;
	event->signal = number;
	event->from_kernel = from_kernel;
	read_facts(task, &event->task);
	read_ancestry(task, &event->ancestry);
	send(event, sizeof(*event));
}

ON_RAW_TRACEPOINT(signal_generate)
{
	struct task_struct *target = (struct task_struct *)ctx->args[2];
	u32 number = ctx->args[0];
	u32 zero = 0;
	u32 *known = sensor_lookup(&zero);
	u32 pid = 0;

	if (!known || !*known || ctx->args[4] != DELIVERED)
		return 0;
	READ(pid, target->tgid);
	if (pid != *known || number == 0 || number > LAST_OF_OLD_SIGNALS)
		return 0;
	if (SIGNALS_HARMLESS & SIGNAL_BIT(number))
		return 0;
	send_signal(number, target, pid, ctx->args[1] == FROM_KERNEL);
	return 0;
}
