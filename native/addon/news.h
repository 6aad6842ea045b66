#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "nl/reader.h"
#include "nl/status.h"
#include "ops/addr.h"
#include "ops/fdb.h"
#include "ops/link.h"
#include "ops/neigh.h"
#include "ops/route.h"
#include "ops/rule.h"
#include "ops/session.h"

namespace warren::addon {

// What a watch wants to hear of. addr, route and rule are told apart by their multicast groups, neigh and fdb by
// family, expiries of sas and policies, and NAT's news of sas, by message.
struct Nouns {
  bool links = false, addrs = false, routes = false, rules = false, neighs = false, fdb = false, nft = false;
  bool sas = false, policies = false;
};

// One object as an event tells it. What the event does not say is absent.
struct News {
  // It is not there any more, or no longer what a dump would list (a permanent neighbour that ages, say).
  bool gone = false;
  // Of which other namespace, by the watched one's number for it (NETLINK_LISTEN_ALL_NSID).
  std::optional<int32_t> nsid;
  // What the link was called before.
  std::string renamed;
  std::variant<ops::Link, ops::Addr, ops::Route, ops::Rule, ops::Neigh, ops::Fdb> item;
};

// Events name links by index, people by name. Learned from a dump, then from the events themselves.
class Names {
 public:
  // Tells what links there are, too. REQUIRES: the calling thread is inside the session's namespace.
  nl::Status Learn(ops::Session* session, std::vector<News>* links);
  void Put(std::optional<int32_t> nsid, uint32_t index, const std::string& name) { names_[{nsid, index}] = name; }
  void Drop(std::optional<int32_t> nsid, uint32_t index) { names_.erase({nsid, index}); }
  // "" when it is not known.
  std::string Get(std::optional<int32_t> nsid, uint32_t index) const;

 private:
  std::map<std::pair<std::optional<int32_t>, uint32_t>, std::string> names_;
};

enum class Told { kNothing, kNews, kVague };
// What an rtnetlink event says. kVague: something that is wanted, but cannot be read.
Told Tell(const Nouns& nouns, const nlmsghdr& header, nl::Bytes payload, std::optional<int32_t> nsid, Names* names,
          News* news);

}  // namespace warren::addon
