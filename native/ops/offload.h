#pragma once

#include <string>

#include "nl/socket.h"
#include "nl/status.h"

namespace warren::ops {

// What rtnetlink cannot say of a link: its offloads. `netlink` is any socket of the link's namespace.

// Equivalent to: `ethtool -k NAME`, `ethtool -K NAME tso on|off`. Both families and their ECN; AccECN (Linux 6.18), which
// this leaves on and ethtool's summary counts, takes one of the families, too: without them nothing is left to the device.
// EOPNOTSUPP: the link has none to switch.
nl::Status TsoGet(const nl::Socket& netlink, const std::string& name, bool* on);
nl::Status TsoSet(const nl::Socket& netlink, const std::string& name, bool on);

}  // namespace warren::ops
