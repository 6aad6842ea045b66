// request := ifreq{ name, pointer to ethtool_value{ command, on } }     SIOCETHTOOL, which every socket takes

#include "ops/offload.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

namespace warren::ops {

using nl::Status;

namespace {

Status Ask(const nl::Socket& netlink, const std::string& name, ethtool_value* value) {
  if (name.empty() || name.size() >= IFNAMSIZ) return Status::Errno(ENODEV);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = reinterpret_cast<char*>(value);
  return ::ioctl(netlink.fd(), SIOCETHTOOL, &request) == 0 ? Status::Ok() : Status::Errno(errno, "ethtool tso");
}

}  // namespace

Status TsoGet(const nl::Socket& netlink, const std::string& name, bool* on) {
  ethtool_value value{ETHTOOL_GTSO, 0};
  Status status = Ask(netlink, name, &value);
  if (status.ok()) *on = value.data != 0;
  return status;
}

Status TsoSet(const nl::Socket& netlink, const std::string& name, bool on) {
  ethtool_value value{ETHTOOL_STSO, on ? 1u : 0u};
  return Ask(netlink, name, &value);
}

}  // namespace warren::ops
