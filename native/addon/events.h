#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "addon/news.h"
#include "nl/fd.h"
#include "nl/netns.h"
#include "nl/status.h"
#include "ops/xfrm_sa.h"

namespace warren::addon {

// One watch's descriptors. Its sockets pin the namespace: it must be closed for the namespace to go.
struct Watch {
  Nouns nouns;
  nl::Fd route;      // NETLINK_ROUTE
  nl::Fd netfilter;  // NETLINK_NETFILTER
  nl::Fd xfrm;       // NETLINK_XFRM
  nl::Fd removal;    // inotify on the directory of the namespace's name
  std::string name;  // the name in it
  Names names;
  std::vector<News> first;  // what there was when it began, told at once
};

// What happened since the last time.
struct Hint {
  std::vector<News> news;
  std::vector<ops::SaExpire> expired;
  std::vector<ops::SaMapping> mapped;
  std::set<int32_t> ruled;  // where links lead to, by nsid: somebody else changed nft rules there
  bool vague = false;  // and something that is not in them
};

// Subscribes; in another namespace than our own, to what happens where its links lead as well.
// REQUIRES: the calling thread is inside the session's namespace.
nl::Status OpenWatch(ops::Session* session, const nl::Netns& netns, const Nouns& nouns, Watch* watch);

// The one event thread of an addon instance: epoll over all watches.
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
  // What happened up to now. What happens from now on is worth telling again.
  Hint Heard(uint64_t id);

 private:
  struct Entry {
    Watch watch;
    bool told = false;
    Hint hint;
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
