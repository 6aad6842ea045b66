// Everything that reads the kernel's bytes, fed with anybody's. Built and run by native/fuzz/run.sh.
// The first byte chooses the decoder, the rest is its payload.

#include <cstddef>
#include <cstdint>

#include "nl/reader.h"
#include "nl/socket.h"
#include "ops/addr.h"
#include "ops/diag.h"
#include "ops/fdb.h"
#include "ops/genl.h"
#include "ops/ipvs.h"
#include "ops/link.h"
#include "ops/neigh.h"
#include "ops/nft.h"
#include "ops/route.h"
#include "ops/rule.h"
#include "ops/xfrm_policy.h"
#include "ops/xfrm_sa.h"
#include "ops/xfrm_stat.h"

using namespace warren;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const nl::Bytes payload(data + 1, size - 1);
  switch (data[0] % 19) {
    case 0: {
      nl::Messages messages(payload);
      nlmsghdr header;
      for (nl::Bytes inner; messages.Next(&header, &inner);) nl::DecodeError(inner, header.nlmsg_flags);
      break;
    }
    case 1: {
      ops::LinkInfo info;
      ops::DecodeLink(payload, &info);
      if (info.link.vxlan) ops::ToText(info.link.vxlan->local);
      break;
    }
    case 2: {
      ops::AddrInfo info;
      if (ops::DecodeAddr(payload, &info)) ops::ToText(info.addr.address);
      break;
    }
    case 3: {
      ops::RouteInfo info;
      if (ops::DecodeRoute(payload, &info)) ops::ToText(info.route.dst), ops::ToText(info.route.via);
      break;
    }
    case 4: {
      ops::RuleInfo info;
      if (ops::DecodeRule(payload, &info) && info.rule.from) ops::ToText(*info.rule.from);
      break;
    }
    case 5: {
      ops::NeighInfo info;
      if (ops::DecodeNeigh(payload, &info)) ops::ToText(info.neigh.dst);
      break;
    }
    case 6: {
      ops::FdbInfo info;
      if (ops::DecodeFdb(payload, &info)) ops::ToText(info.fdb.dst);
      break;
    }
    case 7: {
      const std::string text(payload.begin(), payload.end());
      ops::Prefix prefix;
      ops::Mac mac;
      if (ops::ParsePrefix(text, &prefix)) ops::ToText(prefix);
      if (ops::ParseMac(text, &mac)) ops::ToText(mac);
      break;
    }
    case 8:
      ops::NftBody(std::string(payload.begin(), payload.end()));
      ops::NftFailure("add\ndelete\nx\n", payload.size() % 3, std::string(payload.begin(), payload.end()));
      break;
    case 9: {
      ops::SaInfo info;
      if (ops::DecodeSa(payload, &info)) ops::ToText(info.sa.id.dst), ops::ToText(info.sa.src);
      break;
    }
    case 10: {
      ops::SaExpire expire;
      if (ops::DecodeSaExpire(payload, &expire)) ops::ToText(expire.id.dst);
      break;
    }
    case 11: {
      ops::PolicyInfo info;
      if (!ops::DecodePolicy(payload, &info)) break;
      ops::ToText(info.policy.id.selector.src), ops::ToText(info.policy.id.selector.dst);
      for (const ops::Tmpl& tmpl : info.policy.tmpls) ops::ToText(tmpl.src), ops::ToText(tmpl.dst);
      break;
    }
    case 12: {
      std::vector<ops::XfrmStat> stats;
      ops::ParseXfrmStat(std::string(payload.begin(), payload.end()), &stats);
      break;
    }
    case 13: {
      uint16_t id = 0;
      ops::DecodeFamily(payload, &id);
      break;
    }
    case 14: {
      ops::IpvsServiceInfo info;
      if (ops::DecodeIpvsService(payload, &info)) ops::ToText(info.service.key.address);
      break;
    }
    case 15: {
      ops::IpvsDestInfo info;
      ops::IpvsKey service;
      service.family = 2;  // AF_INET
      if (ops::DecodeIpvsDest(payload, service, &info)) ops::ToText(info.dest.id.address);
      break;
    }
    case 16:
      ops::IsConnection(payload, 80);
      break;
    case 17: {
      ops::SaMapping mapping;
      if (ops::DecodeSaMapping(payload, &mapping)) ops::ToText(mapping.id.dst), ops::ToText(mapping.src);
      break;
    }
    case 18: {
      ops::IpvsTimeouts timeouts;
      ops::DecodeIpvsTimeouts(payload, &timeouts);
      break;
    }
  }
  return 0;
}
