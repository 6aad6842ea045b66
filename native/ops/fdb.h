#pragma once

#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

// A forwarding entry that does not age.
struct Fdb {
  std::string dev;
  Mac lladdr{};
  bool self = false;  // the device's own table (vxlan); otherwise its bridge's
  Ip dst;             // remote VTEP
  bool extern_learn = false;
};

struct FdbInfo {
  Fdb fdb;
  uint32_t index = 0;
  bool kept = false;  // static: not learned, not a device's own address
};

// Equivalent to: `bridge fdb replace MAC dev DEV {self dst IP|master} static [extern_learn]`
nl::Status EncodeFdbSet(Resolver* resolver, const Fdb& fdb, nl::Message* message);
// Equivalent to: `bridge fdb del MAC dev DEV {self [dst IP]|master}`
nl::Status EncodeFdbDel(Resolver* resolver, const Fdb& fdb, nl::Message* message);
// REQUIRES: payload of an RTM_NEWNEIGH of AF_BRIDGE. False when malformed.
bool DecodeFdb(nl::Bytes payload, FdbInfo* info);
// Static entries. Left out: what was learned, a bridge's own addresses (`permanent`), and the lists of addresses a
// device listens to, which `bridge fdb` shows as `self` without a destination.
nl::Status FdbList(Session* session, std::vector<Fdb>* fdb);

}  // namespace warren::ops
