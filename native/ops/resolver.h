#pragma once

#include <cstdint>
#include <string>

#include "nl/netns.h"
#include "nl/status.h"

namespace warren::ops {

// What encoders need to know about the world. Encoders ask nothing else, so that golden tests can do without a kernel.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // ENODEV when there is no such link.
  virtual nl::Status Index(const std::string& link, uint32_t* index) = 0;
  // An open descriptor, valid until the resolver's next Forget.
  virtual nl::Status NetnsFd(const nl::Netns& netns, int* fd) = 0;
  // The number of a generic netlink family. EPROTONOSUPPORT when the kernel has none of that name.
  virtual nl::Status Family(const std::string& name, uint16_t* id) = 0;
};

}  // namespace warren::ops
