#pragma once

#include <string>
#include <vector>

#include "nl/status.h"

namespace warren::ops {

// Path below /proc/sys. /proc/sys/net shows the namespace of the thread that looks.
struct Sysctl {
  std::string key;
  std::string value;
};

// `net/…` and nothing that climbs out of it.
bool ValidSysctlKey(const std::string& key);

// REQUIRES: ValidSysctlKey(key); the calling thread is inside the namespace.
// Equivalent to: `sysctl -w KEY=VALUE`
nl::Status SysctlSet(const Sysctl& sysctl);
// Those of `keys` that exist. Equivalent to: `sysctl KEY…`
nl::Status SysctlList(const std::vector<std::string>& keys, std::vector<Sysctl>* sysctls);

}  // namespace warren::ops
