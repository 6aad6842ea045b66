#pragma once

// IPsec policies.
//
//   new  := nlmsghdr(NEWPOLICY|UPDPOLICY) xfrm_userpolicy_info [TMPL]      TMPL := xfrm_user_tmpl*
//   del  := nlmsghdr(DELPOLICY) xfrm_userpolicy_id
//   dump := nlmsghdr(GETPOLICY)                                            no header
//
// The kernel finds a policy by direction and selector, compared byte by byte: what a request leaves zero must be zero
// in the policy. One of each per direction, whatever the priority.

#include <cstdint>
#include <optional>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct PortMatch {
  uint16_t port = 0;
  uint16_t mask = 0;  // 0: any port
};

struct Selector {
  Prefix src, dst;    // of one family
  uint8_t proto = 0;  // IPPROTO_*; 0 is any
  PortMatch sport, dport;
};

struct PolicyId {
  uint8_t dir = 0;  // XFRM_POLICY_IN, _OUT, _FWD
  Selector selector;
};

// One transformation a packet must have gone through, or must go through.
struct Tmpl {
  Ip src, dst;
  uint8_t proto = 0;  // IPPROTO_ESP, …
  uint8_t mode = 0;   // XFRM_MODE_*
  uint32_t reqid = 0;
  uint32_t spi = 0;  // 0: any
  bool optional = false;
};

struct Policy {
  PolicyId id;
  bool block = false;
  uint32_t priority = 0;
  std::vector<Tmpl> tmpls;
};

struct PolicyInfo {
  Policy policy;
  bool of_socket = false;  // belongs to one socket, not to the namespace
  bool partial = false;    // it has what a Policy cannot express: a device, a mark, limits, …
};

// EEXIST when there is one. Equivalent to: `ip xfrm policy add src SRC dst DST [proto N] [sport N] [dport N] dir DIR
// priority N action ACTION [tmpl src SRC dst DST proto esp spi SPI reqid N mode MODE]…`
nl::Status EncodePolicyAdd(const Policy& policy, nl::Message* message);
// In one step, whether there is one or not. Equivalent to: `ip xfrm policy update …`
nl::Status EncodePolicySet(const Policy& policy, nl::Message* message);
// Equivalent to: `ip xfrm policy del src SRC dst DST … dir DIR`
nl::Status EncodePolicyDel(const PolicyId& id, nl::Message* message);

// REQUIRES: payload of an XFRM_MSG_NEWPOLICY. False when malformed.
bool DecodePolicy(nl::Bytes payload, PolicyInfo* info);

// Equivalent to: `ip xfrm policy list nosock`
nl::Status PolicyList(Session* session, std::vector<PolicyInfo>* policies);

}  // namespace warren::ops
