#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

// A permanent neighbour.
struct Neigh {
  std::string dev;
  Ip dst;
  Mac lladdr{};
  std::optional<uint8_t> protocol;
};

struct NeighInfo {
  Neigh neigh;
  uint32_t index = 0;
  bool permanent = false;
};

// Equivalent to: `ip neigh replace DST lladdr MAC dev DEV nud permanent [proto N]`
nl::Status EncodeNeighSet(Resolver* resolver, const Neigh& neigh, nl::Message* message);
// Equivalent to: `ip neigh del DST dev DEV`
nl::Status EncodeNeighDel(Resolver* resolver, const Neigh& neigh, nl::Message* message);
// REQUIRES: payload of an RTM_NEWNEIGH that is not of AF_BRIDGE. False when malformed.
bool DecodeNeigh(nl::Bytes payload, NeighInfo* info);
// Equivalent to: `ip neigh show nud permanent`
nl::Status NeighList(Session* session, std::vector<Neigh>* neighs);

}  // namespace warren::ops
