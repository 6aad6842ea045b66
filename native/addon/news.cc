#include "addon/news.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace warren::addon {

using nl::Status;

Status Names::Learn(ops::Session* session, std::vector<News>* links) {
  nl::Message message(RTM_GETLINK, 0);
  message.Header(ifinfomsg{});
  std::vector<ops::LinkInfo> infos;
  Status status = session->rtnl()->Dump(
      &message, [&] { infos.clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        ops::LinkInfo info;
        if (type == RTM_NEWLINK && ops::DecodeLink(payload, &info)) infos.push_back(std::move(info));
        return Status::Ok();
      });
  for (const ops::LinkInfo& info : infos) Put(std::nullopt, info.index, info.link.name);
  for (ops::LinkInfo& info : infos) {
    if (info.master != 0) info.link.master = Get(std::nullopt, info.master);
    links->push_back({false, std::nullopt, "", std::move(info.link)});
  }
  return status;
}

std::string Names::Get(std::optional<int32_t> nsid, uint32_t index) const {
  const auto found = names_.find({nsid, index});
  return found == names_.end() ? "" : found->second;
}

namespace {

Told TellLink(bool gone, nl::Bytes payload, Names* names, News* news) {
  ops::LinkInfo info;
  const bool of_bridge = !payload.empty() && payload[0] == AF_BRIDGE;
  // A port that leaves its bridge is told again as a link without a master.
  if (of_bridge && gone) return Told::kNothing;
  if (!ops::DecodeLink(payload, &info)) return Told::kVague;
  if (gone) {
    names->Drop(news->nsid, info.index);
  } else {
    const std::string before = names->Get(news->nsid, info.index);
    if (before != info.link.name) news->renamed = before;
    names->Put(news->nsid, info.index, info.link.name);
  }
  if (info.master != 0) {
    info.link.master = names->Get(news->nsid, info.master);
    if (info.link.master->empty()) return Told::kVague;
  }
  news->item = std::move(info.link);
  return Told::kNews;
}

Told TellAddr(nl::Bytes payload, const Names& names, News* news) {
  ops::AddrInfo info;
  if (!ops::DecodeAddr(payload, &info)) return Told::kVague;
  info.addr.dev = names.Get(news->nsid, info.index);
  news->item = std::move(info.addr);
  return Told::kNews;
}

Told TellRoute(nl::Bytes payload, const Names& names, News* news) {
  ops::RouteInfo info;
  if (!ops::DecodeRoute(payload, &info)) return Told::kVague;
  if (!info.listed) return Told::kNothing;
  if (const std::string dev = names.Get(news->nsid, info.index); !dev.empty()) info.route.dev = dev;
  news->item = std::move(info.route);
  return Told::kNews;
}

Told TellRule(nl::Bytes payload, News* news) {
  ops::RuleInfo info;
  if (!ops::DecodeRule(payload, &info)) return Told::kVague;
  if (!info.ours_to_say) return Told::kNothing;
  news->item = std::move(info.rule);
  return Told::kNews;
}

Told TellNeigh(nl::Bytes payload, const Names& names, News* news) {
  ops::NeighInfo info;
  if (!ops::DecodeNeigh(payload, &info)) return Told::kVague;
  news->gone = news->gone || !info.permanent;
  info.neigh.dev = names.Get(news->nsid, info.index);
  news->item = std::move(info.neigh);
  return Told::kNews;
}

Told TellFdb(nl::Bytes payload, const Names& names, News* news) {
  ops::FdbInfo info;
  if (!ops::DecodeFdb(payload, &info)) return Told::kVague;
  // A bridge tells its ports which addresses to let in; that of a vxlan device is not the entry of its own table.
  if (info.fdb.self && info.fdb.dst.family == 0) return Told::kNothing;
  news->gone = news->gone || !info.kept;
  info.fdb.dev = names.Get(news->nsid, info.index);
  news->item = std::move(info.fdb);
  return Told::kNews;
}

}  // namespace

Told Tell(const Nouns& nouns, const nlmsghdr& header, nl::Bytes payload, std::optional<int32_t> nsid, Names* names,
          News* news) {
  *news = News{};
  news->nsid = nsid;
  const uint16_t type = header.nlmsg_type;
  news->gone = type == RTM_DELLINK || type == RTM_DELADDR || type == RTM_DELROUTE || type == RTM_DELRULE ||
               type == RTM_DELNEIGH;
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return TellLink(news->gone, payload, names, news);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return TellAddr(payload, *names, news);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return TellRoute(payload, *names, news);
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return TellRule(payload, news);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      if (nsid) return Told::kNothing;  // whom others talk to
      if (payload.empty()) return Told::kVague;
      if (payload[0] == AF_BRIDGE) return nouns.fdb ? TellFdb(payload, *names, news) : Told::kNothing;
      return nouns.neighs ? TellNeigh(payload, *names, news) : Told::kNothing;
    default:
      return Told::kVague;
  }
}

}  // namespace warren::addon
