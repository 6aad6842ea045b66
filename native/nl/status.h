#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace warren::nl {

// What became of a request. Nothing here throws; every function that can fail returns one of these.
struct Status {
  int error = 0;        // errno, positive; 0 is success
  std::string extack;   // the kernel's own words (NLMSGERR_ATTR_MSG), or ours where the kernel has none
  std::string attr;     // the attribute it disliked, as a path: LINKINFO/DATA/VXLAN_ID
  uint32_t offset = 0;  // where in the request that attribute was (NLMSGERR_ATTR_OFFS)

  bool ok() const { return error == 0; }
  static Status Ok() { return {}; }
  static Status Errno(int error) { return {error, {}, {}, 0}; }
  static Status Errno(int error, std::string words) { return {error, std::move(words), {}, 0}; }
};

}  // namespace warren::nl
