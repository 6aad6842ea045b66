#include "addon/events.h"

#include <limits.h>
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "nl/reader.h"

namespace warren::addon {

using nl::Status;

namespace {

constexpr uint64_t kWake = 0;  // no watch has this id
constexpr int kBuffer = 1 << 20;

// More news than anybody wants one by one.
constexpr size_t kMaxNews = 1 << 16;

Status Subscribe(int protocol, const std::vector<int>& groups, bool peers, nl::Fd* fd) {
  nl::Fd opened(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!opened.valid()) return Status::Errno(errno);
  // A full buffer is no loss: ENOBUFS says "look again" as well as any event.
  if (::setsockopt(opened.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0) {
    ::setsockopt(opened.get(), SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(opened.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Status::Errno(errno);
  for (int group : groups) {
    if (::setsockopt(opened.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return Status::Errno(errno);
    }
  }
  const int on = 1;
  if (peers && ::setsockopt(opened.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) != 0) {
    return Status::Errno(errno);
  }
  *fd = std::move(opened);
  return Status::Ok();
}

// False when the event is not wanted.
bool Note(Watch* watch, const nlmsghdr& header, nl::Bytes payload, std::optional<int32_t> nsid, Hint* hint) {
  News news;
  const Told told = Tell(watch->nouns, header, payload, nsid, &watch->names, &news);
  if (told == Told::kNothing) return false;
  if (told == Told::kVague || hint->news.size() == kMaxNews) {
    hint->vague = true;
  } else {
    hint->news.push_back(std::move(news));
  }
  return true;
}

// Every transaction ends with the news of a new generation, which says whose thread it was.
bool ForeignRules(const nlmsghdr& header, nl::Bytes payload) {
  if (header.nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) return false;
  nfgenmsg family;
  if (!nl::TakeHeader(&payload, &family)) return true;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t pid = 0;
    if (attr.type == NFTA_GEN_PROC_PID && attr.U32(&pid)) {
      const std::string task = "/proc/self/task/" + std::to_string(ntohl(pid));
      return ::access(task.c_str(), F_OK) != 0;
    }
  }
  return true;
}

// Until somebody tells the SA, every single packet of it brings this news.
void NoteMapping(const ops::SaMapping& mapping, std::vector<ops::SaMapping>* mapped) {
  for (ops::SaMapping& known : *mapped) {
    if (known.id.spi != mapping.id.spi || known.id.dst.bytes != mapping.id.dst.bytes) continue;
    known = mapping;
    return;
  }
  mapped->push_back(mapping);
}

bool NoteXfrm(const Nouns& nouns, const nlmsghdr& header, nl::Bytes payload, Hint* hint) {
  ops::SaExpire expire;
  ops::SaMapping mapping;
  switch (header.nlmsg_type) {
    case XFRM_MSG_POLEXPIRE:
      hint->vague = hint->vague || nouns.policies;
      return nouns.policies;
    case XFRM_MSG_EXPIRE:
      if (!nouns.sas || !ops::DecodeSaExpire(payload, &expire)) return false;
      hint->expired.push_back(expire);
      return true;
    case XFRM_MSG_MAPPING:
      if (!ops::DecodeSaMapping(payload, &mapping)) return false;
      NoteMapping(mapping, &hint->mapped);
      return true;
    default:
      hint->vague = true;
      return true;
  }
}

// Which other namespace a datagram tells of.
std::optional<int32_t> NsidOf(msghdr* message) {
  for (cmsghdr* each = CMSG_FIRSTHDR(message); each != nullptr; each = CMSG_NXTHDR(message, each)) {
    if (each->cmsg_level != SOL_NETLINK || each->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int32_t nsid;
    std::memcpy(&nsid, CMSG_DATA(each), sizeof nsid);
    return nsid;
  }
  return std::nullopt;
}

// Reads all there is, and shows `wants` every message: message types mean other things on other protocols. True when
// any of it matters. `overrun`: some of it was lost.
using Wants = std::function<bool(const nlmsghdr& header, nl::Bytes payload, std::optional<int32_t> nsid)>;
bool Drain(int fd, const Wants& wants, bool* overrun) {
  alignas(16) uint8_t buffer[32 << 10];
  bool wanted = false;
  for (;;) {
    iovec part{buffer, sizeof buffer};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int32_t))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      *overrun = wanted = true;
      continue;
    }
    if (size <= 0) break;
    nl::Messages messages(nl::Bytes(buffer, static_cast<size_t>(size)));
    const std::optional<int32_t> nsid = NsidOf(&message);
    nlmsghdr header;
    for (nl::Bytes payload; messages.Next(&header, &payload);) wanted = wants(header, payload, nsid) || wanted;
  }
  ::explicit_bzero(buffer, sizeof buffer);  // news of an SA comes with its key
  return wanted;
}

// True when the watched name was removed.
bool NameRemoved(const Watch& watch) {
  alignas(inotify_event) char buffer[sizeof(inotify_event) + NAME_MAX + 1];
  for (;;) {
    const ssize_t size = ::read(watch.removal.get(), buffer, sizeof buffer);
    if (size < static_cast<ssize_t>(sizeof(inotify_event))) return false;
    for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      if (event->len > 0 && watch.name == event->name) return true;
      at += static_cast<ssize_t>(sizeof(inotify_event)) + event->len;
    }
  }
}

}  // namespace

Status OpenWatch(ops::Session* session, const nl::Netns& netns, const Nouns& nouns, Watch* watch) {
  watch->nouns = nouns;
  std::vector<int> groups;
  const auto join = [&groups](bool wanted, int four, int six) {
    if (!wanted) return;
    groups.push_back(four);
    if (six != four) groups.push_back(six);
  };
  join(nouns.links, RTNLGRP_LINK, RTNLGRP_LINK);
  join(nouns.addrs, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR);
  join(nouns.routes, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE);
  join(nouns.rules, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE);
  join(nouns.neighs || nouns.fdb, RTNLGRP_NEIGH, RTNLGRP_NEIGH);
  if (!groups.empty()) {
    if (Status status = Subscribe(NETLINK_ROUTE, groups, !netns.path.empty(), &watch->route); !status.ok()) return status;
    if (Status status = watch->names.Learn(session, &watch->first); !status.ok()) return status;
    if (!nouns.links) watch->first.clear();
  }
  if (nouns.nft) {
    if (Status status = Subscribe(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}, !netns.path.empty(), &watch->netfilter); !status.ok())
      return status;
  }
  groups.clear();
  join(nouns.sas, XFRMNLGRP_SA, XFRMNLGRP_SA);
  join(nouns.sas, XFRMNLGRP_MAPPING, XFRMNLGRP_MAPPING);
  join(nouns.policies, XFRMNLGRP_POLICY, XFRMNLGRP_POLICY);
  join(nouns.sas || nouns.policies, XFRMNLGRP_EXPIRE, XFRMNLGRP_EXPIRE);
  if (!groups.empty()) {
    if (Status status = Subscribe(NETLINK_XFRM, groups, false, &watch->xfrm); !status.ok()) return status;
  }
  const size_t slash = netns.path.rfind('/');
  if (slash == std::string::npos || netns.path.starts_with("/proc/")) return Status::Ok();
  watch->name = netns.path.substr(slash + 1);
  watch->removal = nl::Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch->removal.valid()) return Status::Errno(errno, "inotify");
  const std::string directory = netns.path.substr(0, slash + 1);
  if (::inotify_add_watch(watch->removal.get(), directory.c_str(), IN_DELETE | IN_MOVED_FROM) < 0) {
    return Status::Errno(errno, "inotify");
  }
  // It may have gone before we began to listen.
  nl::NetnsId id;
  bool found = false;
  Status status = nl::IdentifyNetns(netns.path, &id, &found);
  if (status.ok() && !found) return Status::Errno(ENOENT);
  return status;
}

Events::Events(Tell tell)
    : tell_(std::move(tell)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread(&Events::Loop, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Events::~Events() {
  const uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
}

Status Events::Add(Watch watch, uint64_t id) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[id];
  entry.watch = std::move(watch);
  entry.hint.news = std::move(entry.watch.first);
  for (const nl::Fd* fd : {&entry.watch.route, &entry.watch.netfilter, &entry.watch.xfrm, &entry.watch.removal}) {
    if (!fd->valid()) continue;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd->get(), &event) != 0) {
      const int error = errno;
      entries_.erase(id);
      return Status::Errno(error);
    }
  }
  if (!entry.hint.news.empty()) {
    entry.told = true;
    tell_(id, Kind::kChanged);
  }
  return Status::Ok();
}

void Events::Remove(uint64_t id) {
  std::lock_guard lock(mutex_);
  entries_.erase(id);  // closing takes them out of the epoll set
}

Hint Events::Heard(uint64_t id) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return {};
  found->second.told = false;
  return std::exchange(found->second.hint, {});
}

void Events::Handle(uint64_t id) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;  // removed since epoll_wait
  Entry& entry = found->second;
  Watch& watch = entry.watch;
  Hint& hint = entry.hint;
  bool wanted = false;
  const auto drain = [&](const nl::Fd& fd, const Wants& wants) {
    if (fd.valid()) wanted = Drain(fd.get(), wants, &hint.vague) || wanted;
  };
  using Nsid = std::optional<int32_t>;
  drain(watch.route, [&](const nlmsghdr& header, nl::Bytes payload, Nsid nsid) {
    return Note(&watch, header, payload, nsid, &hint);
  });
  drain(watch.netfilter, [&](const nlmsghdr& header, nl::Bytes payload, Nsid nsid) {
    if (!ForeignRules(header, payload)) return false;
    if (nsid) {
      hint.ruled.insert(*nsid);
    } else {
      hint.vague = true;
    }
    return true;
  });
  drain(watch.xfrm, [&](const nlmsghdr& header, nl::Bytes payload, Nsid) {
    return NoteXfrm(watch.nouns, header, payload, &hint);
  });
  if (watch.removal.valid() && NameRemoved(watch)) {
    entries_.erase(found);  // at once: nothing of ours shall keep it alive
    tell_(id, Kind::kGone);
    return;
  }
  if (!wanted || entry.told) return;
  entry.told = true;
  tell_(id, Kind::kChanged);
}

void Events::Loop() {
  for (;;) {
    epoll_event events[16];
    const int count = ::epoll_wait(epoll_.get(), events, 16, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kWake) return;
      Handle(events[i].data.u64);
    }
  }
}

}  // namespace warren::addon
