#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nl/status.h"

namespace warren::ops {

// Packets that were refused, by cause.
struct XfrmStat {
  std::string name;  // `XfrmInNoStates`
  uint64_t count = 0;
};

// None when the kernel does not count (CONFIG_XFRM_STATISTICS). REQUIRES: the calling thread is inside the namespace.
// Equivalent to: `cat /proc/net/xfrm_stat`
nl::Status XfrmStatList(std::vector<XfrmStat>* stats);
// Lines of a name, blanks, and a number. False when malformed.
bool ParseXfrmStat(const std::string& text, std::vector<XfrmStat>* stats);

}  // namespace warren::ops
