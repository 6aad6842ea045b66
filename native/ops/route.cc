#include "ops/route.h"

#include <linux/rtnetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

Status Encode(Resolver* resolver, const Route& route, bool set, Message* message) {
  const uint32_t table = route.table.value_or(route.local ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  rtmsg header{};
  header.rtm_family = route.dst.ip.family;
  header.rtm_dst_len = route.dst.length;
  header.rtm_table = static_cast<uint8_t>(table < 256 ? table : RT_TABLE_COMPAT);
  header.rtm_type = route.local ? RTN_LOCAL : RTN_UNICAST;
  header.rtm_protocol = set ? route.protocol.value_or(RTPROT_BOOT) : route.protocol.value_or(RTPROT_UNSPEC);
  // As `ip route`: a way without gateway ends on the link, or here; when deleting, any scope will do.
  const rt_scope_t ends = route.local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  header.rtm_scope = !set ? RT_SCOPE_NOWHERE : route.via.family == 0 ? ends : RT_SCOPE_UNIVERSE;
  if (route.dst.ip.family == AF_INET6) header.rtm_scope = RT_SCOPE_UNIVERSE;
  if (route.onlink) header.rtm_flags |= RTNH_F_ONLINK;
  message->Header(header);
  if (route.dst.length > 0) PutIp(message, RTA_DST, "DST", route.dst.ip);
  message->PutU32(RTA_TABLE, "TABLE", table);
  if (route.via.family == route.dst.ip.family) {
    PutIp(message, RTA_GATEWAY, "GATEWAY", route.via);
  } else if (route.via.family != 0) {
    uint8_t via[2 + 16] = {};
    const uint16_t family = route.via.family;
    std::memcpy(via, &family, 2);
    std::memcpy(via + 2, route.via.bytes.data(), route.via.size());
    message->Put(RTA_VIA, "VIA", via, 2 + route.via.size());
  }
  if (route.dev) {
    uint32_t index = 0;
    if (Status status = resolver->Index(*route.dev, &index); !status.ok()) return status;
    message->PutU32(RTA_OIF, "OIF", index);
  }
  if (route.src.family != 0) PutIp(message, RTA_PREFSRC, "PREFSRC", route.src);
  if (route.metric) message->PutU32(RTA_PRIORITY, "PRIORITY", *route.metric);
  return Status::Ok();
}

Status ListFamily(Session* session, uint8_t family, std::vector<Route>* routes) {
  std::vector<RouteInfo> infos;
  Message message(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = family;
  message.Header(header);
  Status status = session->rtnl()->Dump(
      &message, [&] { infos.clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        RouteInfo info;
        if (type != RTM_NEWROUTE) return Status::Ok();
        if (!DecodeRoute(payload, &info)) return Status::Errno(EBADMSG);
        if (info.listed) infos.push_back(std::move(info));
        return Status::Ok();
      });
  if (!status.ok()) return status;
  for (RouteInfo& info : infos) {
    if (info.index != 0) {
      std::string dev;
      if (!session->Name(info.index, &dev).ok()) continue;
      info.route.dev = dev;
    }
    routes->push_back(std::move(info.route));
  }
  return Status::Ok();
}

}  // namespace

Status EncodeRouteSet(Resolver* resolver, const Route& route, Message* message) {
  *message = Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  return Encode(resolver, route, true, message);
}

Status EncodeRouteDel(Resolver* resolver, const Route& route, Message* message) {
  *message = Message(RTM_DELROUTE, 0);
  return Encode(resolver, route, false, message);
}

bool DecodeRoute(nl::Bytes payload, RouteInfo* info) {
  rtmsg header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Route& route = info->route;
  route.dst.ip.family = header.rtm_family;
  route.dst.length = header.rtm_dst_len;
  route.table = header.rtm_table;
  route.protocol = header.rtm_protocol;
  route.onlink = (header.rtm_flags & RTNH_F_ONLINK) != 0;
  route.local = header.rtm_type == RTN_LOCAL;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t value = 0;
    switch (attr.type) {
      case RTA_DST:
        DecodeIp(attr.data, header.rtm_family, &route.dst.ip);
        break;
      case RTA_GATEWAY:
        DecodeIp(attr.data, header.rtm_family, &route.via);
        break;
      case RTA_VIA:
        if (attr.data.size() > 2) DecodeIp(attr.data.subspan(2), 0, &route.via);
        break;
      case RTA_PREFSRC:
        DecodeIp(attr.data, header.rtm_family, &route.src);
        break;
      case RTA_OIF:
        attr.U32(&info->index);
        break;
      case RTA_TABLE:
        if (attr.U32(&value)) route.table = value;
        break;
      case RTA_PRIORITY:
        if (attr.U32(&value)) route.metric = value;
        break;
    }
  }
  // Clones are the kernel's own memory of single destinations. With every address come routes of its own, in old kernels
  // without a protocol.
  const bool unicast = header.rtm_type == RTN_UNICAST && route.table != uint32_t{RT_TABLE_LOCAL};
  const bool local = route.local && header.rtm_protocol != RTPROT_KERNEL && header.rtm_protocol != RTPROT_UNSPEC;
  info->listed = (unicast || local) && !(header.rtm_flags & RTM_F_CLONED);
  return !reader.bad() && route.dst.length <= 128 && (!info->listed || route.dst.length <= route.dst.ip.size() * 8);
}

Status RouteList(Session* session, std::vector<Route>* routes) {
  Status status = ListFamily(session, AF_INET, routes);
  return status.ok() ? ListFamily(session, AF_INET6, routes) : status;
}

}  // namespace warren::ops
