#pragma once

// TCP sockets, as `ss` sees them.
//
//   dump   := nlmsghdr(SOCK_DIAG_BY_FAMILY) inet_diag_req_v2
//   answer := nlmsghdr(SOCK_DIAG_BY_FAMILY) inet_diag_msg attribute*

#include <cstdint>

#include "nl/reader.h"
#include "nl/status.h"

namespace warren::ops {

// How many TCP sockets of both families have this local port and a connection that is made and not yet over, on both sides.
// On a socket of its own, as an open one would pin a container's namespace. EPROTONOSUPPORT: the kernel has no tcp_diag.
// REQUIRES: the calling thread is inside the namespace.
nl::Status Connections(uint16_t port, uint32_t* count);
// REQUIRES: payload of a SOCK_DIAG_BY_FAMILY. Whether it is such a connection; false when malformed.
bool IsConnection(nl::Bytes payload, uint16_t port);

}  // namespace warren::ops
