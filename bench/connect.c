/* connect - new TCP connections, as fast as they come.
 *
 *   connect serve PORT                          answers each connection with one byte, and closes it
 *   connect ask COUNT AT_ONCE ADDRESS PORT...   that many in all, so many at once, each to the next of the addresses (ADDRESS PORT)
 *
 * Prints, as JSON: {"perSecond", "failed", "p50", "p99"}, the last two in microseconds from connect() to the byte.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ADDRESSES = 64, MAX_AT_ONCE = 256 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static _Noreturn void serve(int port)
{
	int one = 1, zero = 0, listener = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
	if (bind(listener, (void *)&any, sizeof any) || listen(listener, 1024))
		die("listen");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0)
			continue;
		if (write(connection, "x", 1) < 0)
			perror("write");
		close(connection);
	}
}

struct sought {
	struct sockaddr_storage at;
	socklen_t length;
};

static struct sought parse(const char *address, int port)
{
	struct sought found = {0};
	struct sockaddr_in *v4 = (void *)&found.at;
	struct sockaddr_in6 *v6 = (void *)&found.at;
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		found.length = sizeof *v4;
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		found.length = sizeof *v6;
	} else {
		die(address);
	}
	return found;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int ask(int count, int at_once, struct sought *sought, int kinds)
{
	static double began[65536];
	double *took = calloc(count, sizeof *took), start = now();
	int begun = 0, ended = 0, answered = 0, poll = epoll_create1(0);
	if (!took || poll < 0 || at_once > MAX_AT_ONCE)
		die("ask");
	while (ended < count) {
		while (begun < count && begun - ended < at_once) {
			struct sought *one = &sought[begun++ % kinds];
			int fd = socket(one->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
			struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
			if (fd < 0 || fd >= 65536 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
				die("socket");
			began[fd] = now();
			if (connect(fd, (void *)&one->at, one->length) && errno != EINPROGRESS)
				die("connect");
		}
		struct epoll_event events[MAX_AT_ONCE];
		int n = epoll_wait(poll, events, MAX_AT_ONCE, 5000);
		if (n == 0) {
			fprintf(stderr, "nothing for 5 s\n");
			return 1;
		}
		for (int i = 0; i < n; i++) {
			char byte;
			int fd = events[i].data.fd;
			if (read(fd, &byte, 1) == 1)
				took[answered++] = now() - began[fd];
			close(fd);
			ended++;
		}
	}
	double seconds = (now() - start) / 1e6;
	qsort(took, answered, sizeof *took, compare);
	printf("{\"perSecond\":%.1f,\"failed\":%d,\"p50\":%.0f,\"p99\":%.0f}\n", count / seconds, count - answered,
	       answered ? took[answered / 2] : 0, answered ? took[(int)(answered * 0.99)] : 0);
	return 0;
}

int main(int argc, char **argv)
{
	struct sought sought[MAX_ADDRESSES];
	int kinds = 0;
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc < 6 || strcmp(argv[1], "ask")) {
		fprintf(stderr, "usage: connect serve PORT | connect ask COUNT AT_ONCE ADDRESS PORT...\n");
		return 2;
	}
	for (int i = 4; i + 1 < argc && kinds < MAX_ADDRESSES; i += 2)
		sought[kinds++] = parse(argv[i], atoi(argv[i + 1]));
	return ask(atoi(argv[2]), atoi(argv[3]), sought, kinds);
}
