#include "ops/bind.h"

#include <arpa/inet.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace warren::ops {

using nl::Status;

Status Bind(Transport transport, const Ip& address, uint16_t port, nl::Fd* fd) {
  const int type = transport == Transport::kTcp ? SOCK_STREAM : SOCK_DGRAM;
  nl::Fd opened(::socket(address.family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened.valid()) return Status::Errno(errno);
  const auto set = [&opened](int level, int option, int value = 1) {
    return ::setsockopt(opened.get(), level, option, &value, sizeof value) == 0;
  };
  const bool esp = transport == Transport::kEspInUdp;
  const bool six = address.family == AF_INET6;
  if ((!esp && !set(SOL_SOCKET, SO_REUSEADDR)) || !(six ? set(SOL_IPV6, IPV6_FREEBIND) : set(SOL_IP, IP_FREEBIND)) ||
      (six && !set(SOL_IPV6, IPV6_V6ONLY))) {
    return Status::Errno(errno);
  }
  union {
    sockaddr any;
    sockaddr_in four;
    sockaddr_in6 six;
  } name{};
  if (six) {
    name.six.sin6_family = AF_INET6;
    name.six.sin6_port = htons(port);
    std::memcpy(&name.six.sin6_addr, address.bytes.data(), 16);
  } else {
    name.four.sin_family = AF_INET;
    name.four.sin_port = htons(port);
    std::memcpy(&name.four.sin_addr, address.bytes.data(), 4);
  }
  if (::bind(opened.get(), &name.any, six ? sizeof name.six : sizeof name.four) != 0) return Status::Errno(errno);
  if (esp && !set(IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)) return Status::Errno(errno, "UDP_ENCAP");
  *fd = std::move(opened);
  return Status::Ok();
}

}  // namespace warren::ops
