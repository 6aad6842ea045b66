// warren-holder ADDRESS PORT: a UDP socket whose ESP packets the kernel gives to IPsec, held open. It belongs to no agent, so
// that one that ends or is killed stops no traffic.
//
//   stdin    one byte, once whoever started it has written down its process id: nobody holds the port unknown
//   stdout   one line when it is known: "ready", or "error ERRNO WHERE"
//   ends     on SIGTERM; 1 on an error, 2 when it was called wrongly
//
// It reads nothing: what is not ESP fills the smallest buffer there is, and is dropped.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "ops/bind.h"

namespace {

using warren::nl::Status;

bool ParsePort(const char* text, uint16_t* port) {
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, *port);
  return error == std::errc() && stop == end && *port > 0;
}

// Nothing of whoever started it: not its session, its directory, its descriptors.
Status Detach() {
  if (::getsid(0) != ::getpid() && ::setsid() < 0) return Status::Errno(errno, "setsid");
  if (::chdir("/") != 0) return Status::Errno(errno, "chdir");
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return Status::Errno(errno, "/dev/null");
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDERR_FILENO);
  ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);  // kernels before 5.9 lack it; then there is nothing but `null`
  return Status::Ok();
}

Status Hold(const warren::ops::Ip& address, uint16_t port, warren::nl::Fd* socket) {
  if (Status status = Detach(); !status.ok()) return status;
  if (Status status = warren::ops::Bind(warren::ops::Transport::kEspInUdp, address, port, socket); !status.ok()) {
    return status;
  }
  const int smallest = 1;
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest);
  return Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  warren::ops::Ip address;
  uint16_t port;
  if (argc != 3 || !warren::ops::ParseIp(argv[1], &address) || !ParsePort(argv[2], &port)) {
    std::fputs("usage: warren-holder ADDRESS PORT\n", stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);  // whoever started it may be gone before it is told
  if (char go; ::read(STDIN_FILENO, &go, 1) != 1) return 1;
  warren::nl::Fd socket;
  const Status status = Hold(address, port, &socket);
  if (!status.ok()) {
    std::printf("error %d %s\n", status.error, status.extack.c_str());
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  for (;;) ::pause();
}
