#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "nl/fd.h"
#include "nl/socket.h"
#include "ops/resolver.h"

namespace warren::ops {

// Those of one namespace.
struct Sockets {
  nl::Socket rtnl;
  nl::Socket xfrm, genl;  // opened when first needed
};

// One job inside one namespace: its sockets, and what it has looked up. REQUIRES: used by the thread that is inside.
class Session : public Resolver {
 public:
  // `sockets.rtnl` must be open. They must outlive the session.
  explicit Session(Sockets* sockets) : sockets_(sockets) {}

  nl::Socket* rtnl() { return &sockets_->rtnl; }
  // EPROTONOSUPPORT: the kernel has no NETLINK_XFRM.
  nl::Status Xfrm(nl::Socket** xfrm);
  // NETLINK_GENERIC.
  nl::Status Genl(nl::Socket** genl);
  nl::Status Index(const std::string& link, uint32_t* index) override;
  nl::Status NetnsFd(const nl::Netns& netns, int* fd) override;
  // Asked for once a session, and no longer remembered: a module that is loaded again has another number.
  nl::Status Family(const std::string& name, uint16_t* id) override;
  // The other way round. ENODEV when the link is gone.
  nl::Status Name(uint32_t index, std::string* link);
  // A finished dump of links tells all names at once.
  void Learn(uint32_t index, const std::string& link);
  // After anything that makes, renames or deletes links; also closes namespaces opened by NetnsFd.
  void Forget();

 private:
  nl::Status Ask(uint32_t index, const std::string& link);

  Sockets* sockets_;
  std::unordered_map<std::string, uint32_t> indexes_;
  std::unordered_map<uint32_t, std::string> names_;
  std::unordered_map<std::string, uint16_t> families_;
  std::vector<nl::Fd> namespaces_;
};

}  // namespace warren::ops
