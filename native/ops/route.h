#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct Route {
  Prefix dst;
  bool local = false;  // its addresses are this namespace's own
  Ip via;  // none: directly on the link
  std::optional<std::string> dev;
  std::optional<uint32_t> table;
  std::optional<uint8_t> protocol;
  bool onlink = false;
  Ip src;
  std::optional<uint32_t> metric;
};

struct RouteInfo {
  Route route;
  uint32_t index = 0;  // 0: none, or several ways
  bool listed = false;  // one of those RouteList tells
};

// Equivalent to: `ip route replace [local] DST [via VIA] [dev DEV] [onlink] [table N] [proto N] [src IP] [metric N]`
nl::Status EncodeRouteSet(Resolver* resolver, const Route& route, nl::Message* message);
// Equivalent to: `ip route del [local] DST …`; fields not given match any
nl::Status EncodeRouteDel(Resolver* resolver, const Route& route, nl::Message* message);
// REQUIRES: payload of an RTM_NEWROUTE. False when malformed.
bool DecodeRoute(nl::Bytes payload, RouteInfo* info);
// Unicast routes of all tables but local, and local routes but those that come with an address. Equivalent to:
// `ip route show table all; ip -6 route show table all`
nl::Status RouteList(Session* session, std::vector<Route>* routes);

}  // namespace warren::ops
