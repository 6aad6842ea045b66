#pragma once

#include <cstdint>

#include "nl/fd.h"
#include "nl/status.h"
#include "ops/ip.h"

namespace warren::ops {

// kEspInUdp: a UDP socket whose ESP packets the kernel takes out and gives to IPsec. It need not be read from, but must
// stay open.
enum class Transport { kUdp, kTcp, kEspInUdp };

// A bound socket (not listening yet), non-blocking, closed on exec. The address need not be there (IP_FREEBIND); an
// IPv6 one takes IPv6 only. A port for kEspInUdp is never shared (EADDRINUSE). REQUIRES: the calling thread is inside
// the namespace.
nl::Status Bind(Transport transport, const Ip& address, uint16_t port, nl::Fd* fd);

}  // namespace warren::ops
