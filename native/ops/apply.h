#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ops/addr.h"
#include "ops/fdb.h"
#include "ops/ipvs.h"
#include "ops/link.h"
#include "ops/neigh.h"
#include "ops/netns.h"
#include "ops/nft.h"
#include "ops/route.h"
#include "ops/rule.h"
#include "ops/session.h"
#include "ops/sysctl.h"
#include "ops/xfrm_policy.h"
#include "ops/xfrm_sa.h"

namespace warren::ops {

// One change each, as src/kernel/op.ts has them.
struct OpLinkAdd {
  Link link;
};
struct OpLinkSet {
  Link link;
  std::optional<std::string> rename;
};
struct OpLinkDel {
  std::string name;
};
struct OpLinkDelGroup {
  uint32_t group;
};
struct OpAddrSet {
  Addr addr;
};
struct OpAddrDel {
  Addr addr;
};
struct OpRouteSet {
  Route route;
};
struct OpRouteDel {
  Route route;
};
struct OpRuleSet {
  Rule rule;
};
struct OpRuleDel {
  Rule rule;
};
struct OpNeighSet {
  Neigh neigh;
};
struct OpNeighDel {
  Neigh neigh;
};
struct OpFdbSet {
  Fdb fdb;
};
struct OpFdbDel {
  Fdb fdb;
};
struct OpSaAdd {
  Sa sa;
  nl::Secret key;
};
struct OpSaUpdate {
  Sa sa;
  nl::Secret key;
};
struct OpSaDel {
  SaId id;
};
struct OpPolicyAdd {
  Policy policy;
};
struct OpPolicySet {
  Policy policy;
};
struct OpPolicyDel {
  PolicyId id;
};
struct OpIpvsSet {
  IpvsService service;
};
struct OpIpvsDel {
  IpvsKey key;
};
struct OpIpvsDestSet {
  IpvsDest dest;
};
struct OpIpvsDestDel {
  IpvsDestId id;
};
struct OpIpvsTimeoutsSet {
  IpvsTimeouts timeouts;
};
struct OpSysctlSet {
  Sysctl sysctl;
};
struct OpNftSet {
  NftTable table;
};
struct OpNftDel {
  NftTableId table;
};
struct OpNftElementSet {
  NftElements elements;
};
struct OpNftElementDel {
  NftElements elements;
};
struct OpNetnsAdd {
  std::string name;
};
struct OpNetnsDel {
  std::string name;
};

using Op = std::variant<OpLinkAdd, OpLinkSet, OpLinkDel, OpLinkDelGroup, OpAddrSet, OpAddrDel, OpRouteSet, OpRouteDel,
                        OpRuleSet, OpRuleDel, OpNeighSet, OpNeighDel, OpFdbSet, OpFdbDel, OpSaAdd, OpSaUpdate, OpSaDel,
                        OpPolicyAdd, OpPolicySet, OpPolicyDel, OpIpvsSet, OpIpvsDel, OpIpvsDestSet, OpIpvsDestDel,
                        OpIpvsTimeoutsSet, OpSysctlSet, OpNftSet, OpNftDel, OpNftElementSet, OpNftElementDel, OpNetnsAdd, OpNetnsDel>;

// In order; stops at the first failure and says which it was. Neighbours of one kind that are one small message each
// (addr, route, neigh, fdb, sa, policy, ipvs) go out together: of such a run, those after the failed one may have been
// done too. REQUIRES: the calling thread is inside the session's namespace.
nl::Status Apply(Session* session, Nft* nft, const std::vector<Op>& ops, size_t* failed);

// The messages one op becomes; empty for those that are none (sysctl, nft, netns). For golden tests.
nl::Status Encode(Resolver* resolver, const Op& op, std::vector<nl::Message>* messages);

}  // namespace warren::ops
