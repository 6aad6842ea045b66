/* labsw - the lab's Ethernet switch: user space, no taps, no host network state. Its ports
 * are the "bess" vector NICs of User-Mode Linux guests.
 *
 * One AF_UNIX/SOCK_SEQPACKET listener per port; a guest NIC connects on "ip link
 * set up" and disconnects on "down" or crash. One line in on stdin, one line out
 * on stdout ("ok", "ok JSON" or "error: why"):
 *   port NAME SEG PATH            create port NAME on segment SEG, listen on PATH
 *   set NAME up|loss|delay|jitter VALUE   0/1, percent, ms, ms (loss/delay: frames NAME sends)
 *   block A B | unblock A B       partition two ports (both directions)
 *   drop NAME|* PROTO [DPORT]     drop IP protocol PROTO (50 = ESP) sent by NAME
 *   undrop                        remove all drop rules
 *   pcap PATH [NAME]              capture frames offered to the switch; "pcap off"
 *   stats                         JSON, per port frame counters: rx = sent by the guest, tx = sent to it,
 *                                 link, drop, full; of rx: esp, espudp (4500), vxlan (4789), plain (4790)
 * Exits when stdin closes, so it cannot outlive the harness. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <signal.h>
#include <unistd.h>

enum { MAXP = 64, BATCH = 64, FRAME = 65600, MAXFDB = 4096, MAXR = 64 };

struct port {
	char name[32], seg[32];
	int lfd, fd, up;
	double loss, delay, jitter;
	uint64_t rx, tx, drop, full, esp, espudp, vxlan, plain; /* rx = sent by the guest */
	uint64_t blocked;                                /* bitmap of ports */
	struct mmsghdr out[BATCH];
	struct iovec ov[BATCH];
	int nout;
} P[MAXP];
static int np;
static struct { uint8_t mac[6]; int port; } fdb[MAXFDB];
static struct { int port, proto, dport; } R[MAXR];
static int nr;
struct later { struct later *next; double at; int from; size_t len; uint8_t d[]; };
static struct later *later;
static FILE *pcap;
static int pcap_port;
static uint8_t buf[BATCH][FRAME];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int find(const char *n)
{
	for (int i = 0; i < np; i++)
		if (!strcmp(P[i].name, n)) return i;
	return -1;
}

static int *slot(const uint8_t *m)
{
	uint32_t h = 2166136261u;
	for (int i = 0; i < 6; i++) h = (h ^ m[i]) * 16777619u;
	for (int k = 0; k < MAXFDB; k++) {
		int i = (h + k) % MAXFDB;
		if (!fdb[i].port || !memcmp(fdb[i].mac, m, 6)) {
			memcpy(fdb[i].mac, m, 6);
			return &fdb[i].port; /* port + 1; 0 = empty */
		}
	}
	return &fdb[0].port;
}

/* IP protocol and UDP/TCP destination port of a frame; -1 when not IP */
static int classify(const uint8_t *f, size_t n, int *dport)
{
	size_t o = 14;
	*dport = -1;
	if (n < 34) return -1;
	unsigned et = f[12] << 8 | f[13];
	if (et == 0x8100 && n > 38) { et = f[16] << 8 | f[17]; o = 18; }
	int proto;
	if (et == 0x0800) {
		proto = f[o + 9];
		if ((f[o + 6] & 0x1f) || f[o + 7]) return proto;
		o += (f[o] & 15) * 4;
	} else if (et == 0x86dd && n >= o + 40) {
		proto = f[o + 6];
		o += 40;
	} else return -1;
	if ((proto == 6 || proto == 17) && n >= o + 4) *dport = f[o + 2] << 8 | f[o + 3];
	return proto;
}

static void flush_port(struct port *p)
{
	int done = 0;
	while (done < p->nout && p->fd >= 0) {
		int k = sendmmsg(p->fd, p->out + done, p->nout - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k <= 0) { p->full += p->nout - done; break; }
		p->tx += k;
		done += k;
	}
	p->nout = 0;
}

static void put(int to, uint8_t *f, size_t n)
{
	struct port *p = &P[to];
	if (p->fd < 0) return;
	if (p->nout == BATCH) flush_port(p);
	p->ov[p->nout] = (struct iovec){ f, n };
	memset(&p->out[p->nout], 0, sizeof p->out[0]);
	p->out[p->nout].msg_hdr.msg_iov = &p->ov[p->nout];
	p->out[p->nout++].msg_hdr.msg_iovlen = 1;
}

/* forward; the frame must stay valid until the ports are flushed */
static void forward(int from, uint8_t *f, size_t n)
{
	int dst = (f[0] & 1) ? 0 : *slot(f);
	for (int i = 0; i < np; i++) {
		if (i == from || strcmp(P[i].seg, P[from].seg) || (dst && dst - 1 != i)) continue;
		if (!P[i].up || P[from].blocked >> i & 1) { P[from].drop++; continue; }
		put(i, f, n);
	}
}

static void ingress(int from, uint8_t *f, size_t n)
{
	struct port *p = &P[from];
	int dport, proto = classify(f, n, &dport);
	if (n < 14) return;
	p->rx++;
	if (proto == 50) p->esp++;
	if (proto == 17 && dport == 4789) p->vxlan++;
	if (proto == 17 && dport == 4790) p->plain++;
	if (proto == 17 && dport == 4500) p->espudp++;
	if (pcap && (pcap_port < 0 || pcap_port == from)) {
		struct timeval t;
		gettimeofday(&t, NULL);
		uint32_t h[4] = { t.tv_sec, t.tv_usec, n, n };
		fwrite(h, 16, 1, pcap);
		fwrite(f, n, 1, pcap);
	}
	if (!p->up) { p->drop++; return; }
	if (!(f[6] & 1)) *slot(f + 6) = from + 1;
	if (p->loss > 0 && drand48() * 100 < p->loss) { p->drop++; return; }
	for (int i = 0; i < nr; i++)
		if ((R[i].port < 0 || R[i].port == from) && R[i].proto == proto &&
		    (R[i].dport < 0 || R[i].dport == dport)) { p->drop++; return; }
	if (p->delay > 0 || p->jitter > 0) {
		struct later *l = malloc(sizeof *l + n), **q = &later;
		l->at = now() + p->delay + p->jitter * drand48();
		l->from = from;
		l->len = n;
		memcpy(l->d, f, n);
		while (*q && (*q)->at <= l->at) q = &(*q)->next;
		l->next = *q;
		*q = l;
		return;
	}
	forward(from, f, n);
}

static const char *failed(void)
{
	static char text[128];
	snprintf(text, sizeof text, "error: %s", strerror(errno));
	return text;
}

static const char *command(char *s)
{
	static char out[65536];
	char *a[8] = { 0 };
	int n = 0, i, j;
	for (char *t = strtok(s, " \n"); t && n < 8; t = strtok(NULL, " \n")) a[n++] = t;
	if (!n) return "error: empty command";
	if (!strcmp(a[0], "port") && n == 4) {
		if (np == MAXP) return "error: no more than 64 ports";
		if (find(a[1]) >= 0) return "error: port exists";
		if (strlen(a[3]) > 107) return "error: socket path is longer than 107 bytes";
		struct port *p = &P[np];
		struct sockaddr_un su = { .sun_family = AF_UNIX };
		strncpy(su.sun_path, a[3], sizeof su.sun_path - 1);
		unlink(a[3]);
		snprintf(p->name, sizeof p->name, "%s", a[1]);
		snprintf(p->seg, sizeof p->seg, "%s", a[2]);
		p->fd = -1;
		p->up = 1;
		p->lfd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (bind(p->lfd, (void *)&su, sizeof su) || listen(p->lfd, 4)) return failed();
		np++;
	} else if (!strcmp(a[0], "set") && n == 4) {
		if ((i = find(a[1])) < 0) return "error: no such port";
		double v = atof(a[3]);
		if (!strcmp(a[2], "up")) P[i].up = v != 0;
		else if (!strcmp(a[2], "loss")) P[i].loss = v;
		else if (!strcmp(a[2], "delay")) P[i].delay = v;
		else if (!strcmp(a[2], "jitter")) P[i].jitter = v;
		else return "error: set knows up, loss, delay and jitter";
	} else if (!strcmp(a[0] + (a[0][0] == 'u' ? 2 : 0), "block") && n == 3) {
		if ((i = find(a[1])) < 0 || (j = find(a[2])) < 0) return "error: no such port";
		uint64_t bi = 1ull << i, bj = 1ull << j;
		if (a[0][0] == 'u') P[i].blocked &= ~bj, P[j].blocked &= ~bi;
		else P[i].blocked |= bj, P[j].blocked |= bi;
	} else if (!strcmp(a[0], "drop") && n >= 3) {
		i = a[1][0] == '*' ? -1 : find(a[1]);
		if (nr == MAXR) return "error: no more than 64 drop rules";
		if (i < 0 && a[1][0] != '*') return "error: no such port";
		R[nr].port = i; R[nr].proto = atoi(a[2]); R[nr++].dport = n > 3 ? atoi(a[3]) : -1;
	} else if (!strcmp(a[0], "undrop")) {
		nr = 0;
	} else if (!strcmp(a[0], "pcap") && n >= 2) {
		if (pcap) fclose(pcap);
		pcap = NULL;
		pcap_port = n > 2 ? find(a[2]) : -1;
		if (n > 2 && pcap_port < 0) return "error: no such port";
		if (strcmp(a[1], "off")) {
			uint32_t h[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, 1 };
			if (!(pcap = fopen(a[1], "w"))) return failed();
			fwrite(h, 24, 1, pcap);
			fflush(pcap);
		}
	} else if (!strcmp(a[0], "stats")) {
		char *o = out + sprintf(out, "ok {");
		for (i = 0; i < np; i++)
			o += sprintf(o, "%s\"%s\":{\"seg\":\"%s\",\"link\":%d,\"rx\":%lu,\"tx\":%lu,\"drop\":%lu,\"full\":%lu,\"esp\":%lu,\"espudp\":%lu,\"vxlan\":%lu,\"plain\":%lu}",
				i ? "," : "", P[i].name, P[i].seg, P[i].fd >= 0, P[i].rx, P[i].tx, P[i].drop, P[i].full, P[i].esp, P[i].espudp, P[i].vxlan, P[i].plain);
		strcpy(o, "}");
		return out;
	} else return "error: unknown command or wrong number of words";
	return "ok";
}

int main(void)
{
	static struct mmsghdr m[BATCH];
	static struct iovec iv[BATCH];
	char line[4096];
	size_t ll = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < BATCH; i++) {
		iv[i] = (struct iovec){ buf[i], FRAME };
		m[i].msg_hdr.msg_iov = &iv[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		struct pollfd pf[1 + 2 * MAXP] = { { 0, POLLIN, 0 } };
		for (int i = 0; i < np; i++) {
			pf[1 + 2 * i] = (struct pollfd){ P[i].lfd, POLLIN, 0 };
			pf[2 + 2 * i] = (struct pollfd){ P[i].fd, POLLIN, 0 };
		}
		struct timespec ts, *tp = NULL;
		if (later) {
			double w = later->at - now();
			if (w < 0) w = 0;
			ts = (struct timespec){ w / 1e3, (long)(w * 1e6) % 1000000000L };
			tp = &ts;
		}
		int n = np;
		if (ppoll(pf, 1 + 2 * n, tp, NULL) < 0 && errno != EINTR) return 1;
		for (; later && later->at <= now();) {
			struct later *l = later;
			later = l->next;
			forward(l->from, l->d, l->len);
			for (int k = 0; k < np; k++) flush_port(&P[k]);
			free(l);
		}
		for (int i = 0; i < n; i++) {
			if (pf[1 + 2 * i].revents & POLLIN) {
				int c = accept4(P[i].lfd, NULL, NULL, SOCK_CLOEXEC), sz = 8 << 20;
				if (P[i].fd >= 0) close(P[i].fd);
				P[i].fd = c;
				setsockopt(c, SOL_SOCKET, SO_SNDBUF, &sz, sizeof sz);
				setsockopt(c, SOL_SOCKET, SO_SNDBUFFORCE, &sz, sizeof sz);
				continue;
			}
			if (P[i].fd < 0 || !pf[2 + 2 * i].revents) continue;
			int k = recvmmsg(P[i].fd, m, BATCH, MSG_DONTWAIT, NULL);
			if (k == 0 || (k > 0 && !m[0].msg_len) || (k < 0 && errno != EAGAIN && errno != EINTR)) {
				close(P[i].fd);
				P[i].fd = -1;
				continue;
			}
			for (int x = 0; x < k; x++) ingress(i, buf[x], m[x].msg_len);
			for (int x = 0; x < np; x++) if (P[x].nout) flush_port(&P[x]);
			if (pcap) fflush(pcap);
		}
		if (pf[0].revents) {
			ssize_t k = read(0, line + ll, sizeof line - 1 - ll);
			if (k <= 0) return 0;
			line[ll += k] = 0;
			for (char *e; (e = strchr(line, '\n'));) {
				*e++ = 0;
				puts(command(line));
				fflush(stdout);
				memmove(line, e, ll -= e - line);
				line[ll] = 0;
			}
		}
	}
}
