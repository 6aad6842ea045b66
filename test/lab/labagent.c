/* labagent - PID 1 of a lab guest. Runs commands for the harness over a raw
 * serial line (/dev/ttyS0 = UML ssl0), independent of the guest's network.
 *
 * Frame, both ways: u8 type, u8 0, u16 job, u32 length (little endian), payload.
 *  host:  X exec (cwd\0 ENV=..\0 .. \0 argv0\0 argv1\0 ..)  I stdin (empty = EOF)
 *         K signal to the job's process group (1 byte)       Q power off
 *  guest: H hello   O stdout   E stderr   S wait status (i32) - last of a job
 *         A bytes read (u32), for flow control: see line.ts
 * A job ends when its first process ends; output that its daemons write later is
 * read and thrown away, so they never block or get SIGPIPE. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MAXJ = 256, CHUNK = 32768 };
struct hdr { uint8_t type, z; uint16_t job; uint32_t len; } __attribute__((packed));
static struct job {
	int used, id, in, out, err, dead;
	pid_t pid;
	char *q;
	size_t qn;
	int qeof;
} J[MAXJ];
static int tty;

static void off(void) { sync(); reboot(RB_POWER_OFF); _exit(0); }

static void wr(const void *b, size_t n)
{
	for (const char *p = b; n;) {
		ssize_t k = write(tty, p, n);
		if (k < 0 && (errno == EINTR || errno == EAGAIN)) continue;
		if (k <= 0) off();
		p += k;
		n -= k;
	}
}

static void send_frame(char type, int job, const void *b, size_t n)
{
	static char f[sizeof(struct hdr) + CHUNK];
	*(struct hdr *)f = (struct hdr){ type, 0, job, n };
	memcpy(f + sizeof(struct hdr), b, n);
	wr(f, sizeof(struct hdr) + n);
}

static struct job *byid(int id)
{
	for (int i = 0; i < MAXJ; i++)
		if (J[i].used && J[i].id == id && !J[i].dead) return &J[i];
	return NULL;
}

static void reset(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void run(int id, char *b, size_t n)
{
	char *env[256], *argv[1024], *cwd = b, *e = b + n;
	int ne = 0, na = 0, i[2], o[2], r[2], st = 127 << 8;
	struct job *j = NULL;
	for (b += strlen(b) + 1; b < e && *b && ne < 255; b += strlen(b) + 1) env[ne++] = b;
	for (b++; b < e && na < 1023; b += strlen(b) + 1) argv[na++] = b;
	env[ne] = argv[na] = NULL;
	for (int k = 0; k < MAXJ && !j; k++) if (!J[k].used) j = &J[k];
	if (!j || !na || pipe2(i, O_CLOEXEC) || pipe2(o, O_CLOEXEC) || pipe2(r, O_CLOEXEC)) {
		send_frame('S', id, &st, 4);
		return;
	}
	pid_t p = vfork();
	if (!p) {
		setsid();
		dup2(i[0], 0); dup2(o[1], 1); dup2(r[1], 2);
		reset();
		if (!chdir(cwd)) execvpe(argv[0], argv, env);
		dprintf(2, "lab: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(i[0]); close(o[1]); close(r[1]);
	fcntl(i[1], F_SETFL, O_NONBLOCK);
	fcntl(o[0], F_SETFL, O_NONBLOCK);
	fcntl(r[0], F_SETFL, O_NONBLOCK);
	*j = (struct job){ 1, id, i[1], o[0], r[0], 0, p };
}

static void shut(int *fd) { if (*fd >= 0) close(*fd); *fd = -1; }

/* read what a pipe has; all = until it is empty */
static void drain(struct job *j, int *fd, char t, int all)
{
	char b[CHUNK];
	while (*fd >= 0) {
		ssize_t k = read(*fd, b, sizeof b);
		if (k < 0 && (errno == EAGAIN || errno == EINTR)) return;
		if (k <= 0) { shut(fd); return; }
		if (!j->dead) send_frame(t, j->id, b, k);
		if (!all) return;
	}
}

static void feed(struct job *j)
{
	while (j->in >= 0 && j->qn) {
		ssize_t k = write(j->in, j->q, j->qn);
		if (k < 0 && errno == EAGAIN) return;
		if (k < 0) { j->qn = 0; shut(&j->in); return; }
		memmove(j->q, j->q + k, j->qn -= k);
	}
	if (j->qeof) shut(&j->in);
}

static void frame(struct hdr *h, char *b)
{
	struct job *j = byid(h->job);
	if (h->type == 'Q') off();
	if (h->type == 'X') run(h->job, b, h->len);
	if (h->type == 'K' && j) kill(-j->pid, b[0]);
	if (h->type == 'I' && j) {
		j->q = realloc(j->q, j->qn + h->len);
		memcpy(j->q + j->qn, b, h->len);
		j->qn += h->len;
		j->qeof |= !h->len;
		feed(j);
	}
}

int main(void)
{
	static char in[1 << 20];
	size_t n = 0;
	struct termios t;
	sigset_t s;
	if ((tty = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) off();
	tcgetattr(tty, &t);
	cfmakeraw(&t);
	tcsetattr(tty, TCSANOW, &t);
	sigemptyset(&s);
	sigaddset(&s, SIGCHLD);
	sigprocmask(SIG_BLOCK, &s, NULL);
	signal(SIGPIPE, SIG_IGN);
	int sfd = signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
	send_frame('H', 0, "", 0);
	for (;;) {
		struct pollfd p[2 + 3 * MAXJ] = { { tty, POLLIN, 0 }, { sfd, POLLIN, 0 } };
		struct job *who[2 + 3 * MAXJ];
		int np = 2;
		for (int i = 0; i < MAXJ; i++) {
			struct job *j = &J[i];
			if (!j->used) continue;
			if (j->dead && j->out < 0 && j->err < 0) { shut(&j->in); free(j->q); j->q = 0; j->used = 0; continue; }
			who[np] = j; p[np++] = (struct pollfd){ j->out, POLLIN, 0 };
			who[np] = j; p[np++] = (struct pollfd){ j->err, POLLIN, 0 };
			who[np] = j; p[np++] = (struct pollfd){ j->qn ? j->in : -1, POLLOUT, 0 };
		}
		poll(p, np, -1);
		for (int i = 2; i < np; i++) {
			if (!p[i].revents) continue;
			if (p[i].events == POLLOUT) feed(who[i]);
			else if (p[i].fd == who[i]->out) drain(who[i], &who[i]->out, 'O', 0);
			else drain(who[i], &who[i]->err, 'E', 0);
		}
		if (p[1].revents) {
			struct signalfd_siginfo si;
			pid_t pid;
			int st;
			while (read(sfd, &si, sizeof si) > 0);
			while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
				for (int i = 0; i < MAXJ; i++) {
					struct job *j = &J[i];
					if (!j->used || j->dead || j->pid != pid) continue;
					drain(j, &j->out, 'O', 1);
					drain(j, &j->err, 'E', 1);
					send_frame('S', j->id, &st, 4);
					j->dead = 1;
					shut(&j->in);
				}
		}
		if (p[0].revents) {
			ssize_t k = read(tty, in + n, sizeof in - n);
			if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR)) off(); /* harness died */
			uint32_t got = k > 0 ? k : 0;
			n += got;
			send_frame('A', 0, &got, 4);
			size_t o = 0;
			while (n - o >= sizeof(struct hdr)) {
				struct hdr x;
				memcpy(&x, in + o, sizeof x);
				if (x.len > sizeof in - sizeof x) off();
				if (n - o < sizeof x + x.len) break;
				frame(&x, in + o + sizeof x);
				o += sizeof x + x.len;
			}
			memmove(in, in + o, n -= o);
		}
	}
}
