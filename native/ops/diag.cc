#include "ops/diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "nl/socket.h"

namespace warren::ops {

using nl::Status;

namespace {

constexpr uint32_t Bit(int state) { return uint32_t{1} << state; }

// FIN_WAIT1, CLOSING and LAST_ACK have data or an end on the way that the other side has not acknowledged.
constexpr uint32_t kConnected = Bit(TCP_ESTABLISHED) | Bit(TCP_FIN_WAIT1) | Bit(TCP_FIN_WAIT2) | Bit(TCP_CLOSE_WAIT) |
                                Bit(TCP_LAST_ACK) | Bit(TCP_CLOSING);

}  // namespace

bool IsConnection(nl::Bytes payload, uint16_t port) {
  inet_diag_msg info;
  if (!nl::TakeHeader(&payload, &info)) return false;
  return info.id.idiag_sport == htons(port) && info.idiag_state < 32 && (kConnected & Bit(info.idiag_state)) != 0;
}

Status Connections(uint16_t port, uint32_t* count) {
  nl::Socket socket;
  if (Status status = socket.Open(NETLINK_SOCK_DIAG); !status.ok()) return status;
  uint32_t total = 0;
  // An IPv6 socket that also takes IPv4 has its connections of either among those of IPv6.
  for (uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    nl::Message message(SOCK_DIAG_BY_FAMILY, 0);
    inet_diag_req_v2 request{};
    request.sdiag_family = family;
    request.sdiag_protocol = IPPROTO_TCP;
    request.idiag_states = kConnected;
    request.id.idiag_sport = htons(port);
    message.Header(request);
    const uint32_t before = total;
    Status status = socket.Dump(
        &message, [&] { total = before; },
        [&](uint16_t, nl::Bytes payload) {
          if (IsConnection(payload, port)) ++total;
          return Status::Ok();
        });
    if (status.error == ENOENT) return Status::Errno(EPROTONOSUPPORT, "the kernel has no tcp_diag");
    if (!status.ok()) return status;
  }
  *count = total;
  return Status::Ok();
}

}  // namespace warren::ops
