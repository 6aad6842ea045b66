#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nl/fd.h"
#include "nl/netns.h"
#include "nl/status.h"
#include "ops/xfrm_sa.h"

namespace warren::addon {

// What a watch wants to hear of. addr, route and rule are told apart by their multicast groups, neigh and fdb by
// family, expiries of sas and policies by message.
struct Nouns {
  bool links = false, addrs = false, routes = false, rules = false, neighs = false, fdb = false, nft = false;
  bool sas = false, policies = false;
};

// One watch's descriptors. Its sockets pin the namespace: it must be closed for the namespace to go.
struct Watch {
  Nouns nouns;
  nl::Fd route;      // NETLINK_ROUTE
  nl::Fd netfilter;  // NETLINK_NETFILTER
  nl::Fd xfrm;       // NETLINK_XFRM
  nl::Fd removal;    // inotify on the directory of the namespace's name
  std::string name;  // the name in it
};

// Subscribes. REQUIRES: the calling thread is inside the namespace.
nl::Status OpenWatch(const nl::Netns& netns, const Nouns& nouns, Watch* watch);

// The one event thread of an addon instance: epoll over all watches. What happened is not looked at beyond its kind,
// but for the expiry of an SA, which no dump tells.
class Events {
 public:
  enum class Kind { kChanged, kGone };
  // `tell` is called on the event thread, once until Heard; kGone when the namespace's name has been removed.
  using Tell = std::function<void(uint64_t id, Kind kind)>;
  explicit Events(Tell tell);
  // Joins.
  ~Events();

  nl::Status Add(Watch watch, uint64_t id);
  // Its descriptors are closed when this returns. An unknown id is fine.
  void Remove(uint64_t id);
  // The receiver is about to look; what happens from now on is worth telling again. Gives what expired up to now.
  std::vector<ops::SaExpire> Heard(uint64_t id);

 private:
  struct Entry {
    Watch watch;
    bool told = false;
    std::vector<ops::SaExpire> expired;
  };
  void Loop();
  void Handle(uint64_t id);

  const Tell tell_;
  nl::Fd epoll_;
  nl::Fd wake_;       // eventfd: stop
  std::mutex mutex_;  // guards entries_
  std::map<uint64_t, Entry> entries_;
  std::thread thread_;
};

}  // namespace warren::addon
