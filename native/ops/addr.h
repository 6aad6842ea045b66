#pragma once

#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct Addr {
  std::string dev;
  Prefix address;
  bool nodad = false;
  uint8_t scope = 0;  // RT_SCOPE_*
};

struct AddrInfo {
  Addr addr;
  uint32_t index = 0;
};

// Equivalent to: `ip addr replace ADDRESS dev DEV [nodad] [scope N]`
nl::Status EncodeAddrSet(Resolver* resolver, const Addr& addr, nl::Message* message);
// Equivalent to: `ip addr del ADDRESS dev DEV`
nl::Status EncodeAddrDel(Resolver* resolver, const Addr& addr, nl::Message* message);
// REQUIRES: payload of an RTM_NEWADDR. False when malformed.
bool DecodeAddr(nl::Bytes payload, AddrInfo* info);
// Equivalent to: `ip addr`
nl::Status AddrList(Session* session, std::vector<Addr>* addrs);

}  // namespace warren::ops
