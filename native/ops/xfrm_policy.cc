#include "ops/xfrm_policy.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>

#include "ops/xfrm.h"

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

// Every algorithm there is.
constexpr uint32_t kAllAlgos = 0xffffffff;

// REQUIRES: `out` is zero, to the last byte of padding.
void FillSelector(const Selector& selector, xfrm_selector* out) {
  ToXfrm(selector.src.ip, &out->saddr);
  ToXfrm(selector.dst.ip, &out->daddr);
  out->prefixlen_s = selector.src.length;
  out->prefixlen_d = selector.dst.length;
  out->family = selector.dst.ip.family;
  out->proto = selector.proto;
  out->sport = htons(selector.sport.port);
  out->sport_mask = htons(selector.sport.mask);
  out->dport = htons(selector.dport.port);
  out->dport_mask = htons(selector.dport.mask);
}

void PutTmpls(const std::vector<Tmpl>& tmpls, Message* message) {
  std::vector<xfrm_user_tmpl> list(tmpls.size());
  std::memset(static_cast<void*>(list.data()), 0, list.size() * sizeof list[0]);
  for (size_t i = 0; i < tmpls.size(); ++i) {
    const Tmpl& tmpl = tmpls[i];
    ToXfrm(tmpl.dst, &list[i].id.daddr);
    list[i].id.spi = htonl(tmpl.spi);
    list[i].id.proto = tmpl.proto;
    list[i].family = tmpl.dst.family;
    ToXfrm(tmpl.src, &list[i].saddr);
    list[i].reqid = tmpl.reqid;
    list[i].mode = tmpl.mode;
    list[i].optional = tmpl.optional;
    list[i].aalgos = list[i].ealgos = list[i].calgos = kAllAlgos;
  }
  message->Put(XFRMA_TMPL, "TMPL", list.data(), list.size() * sizeof list[0]);
}

Status Encode(const Policy& policy, Message* message) {
  xfrm_userpolicy_info info;
  std::memset(&info, 0, sizeof info);
  FillSelector(policy.id.selector, &info.sel);
  ClearLimits(&info.lft);
  info.priority = policy.priority;
  info.dir = policy.id.dir;
  info.action = policy.block ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
  message->Header(info);
  if (!policy.tmpls.empty()) PutTmpls(policy.tmpls, message);
  return Status::Ok();
}

// A port without a mask matches nothing, but makes it another policy.
bool DecodePort(uint16_t port, uint16_t mask, PortMatch* match) {
  *match = {ntohs(port), ntohs(mask)};
  return match->mask != 0 || match->port == 0;
}

// False when malformed; `partial` when it selects by more than a Selector can say.
bool DecodeSelector(const xfrm_selector& wire, Selector* selector, bool* partial) {
  if (!FromXfrm(wire.saddr, wire.family, &selector->src.ip) || !FromXfrm(wire.daddr, wire.family, &selector->dst.ip)) {
    return false;
  }
  selector->src.length = wire.prefixlen_s;
  selector->dst.length = wire.prefixlen_d;
  selector->proto = wire.proto;
  const bool sport = DecodePort(wire.sport, wire.sport_mask, &selector->sport);
  const bool dport = DecodePort(wire.dport, wire.dport_mask, &selector->dport);
  *partial = !sport || !dport || wire.ifindex != 0 || wire.user != 0;
  const size_t bits = selector->dst.ip.size() * 8;
  return wire.prefixlen_s <= bits && wire.prefixlen_d <= bits;
}

bool DecodeTmpls(nl::Bytes data, PolicyInfo* info) {
  for (; data.size() >= sizeof(xfrm_user_tmpl); data = data.subspan(sizeof(xfrm_user_tmpl))) {
    xfrm_user_tmpl wire;
    std::memcpy(&wire, data.data(), sizeof wire);
    Tmpl tmpl;
    if (!FromXfrm(wire.id.daddr, wire.family, &tmpl.dst) || !FromXfrm(wire.saddr, wire.family, &tmpl.src)) return false;
    tmpl.proto = wire.id.proto;
    tmpl.mode = wire.mode;
    tmpl.reqid = wire.reqid;
    tmpl.spi = ntohl(wire.id.spi);
    tmpl.optional = wire.optional != 0;
    if ((wire.aalgos & wire.ealgos & wire.calgos) != kAllAlgos || wire.share != XFRM_SHARE_ANY) info->partial = true;
    info->policy.tmpls.push_back(tmpl);
  }
  return data.empty();
}

}  // namespace

Status EncodePolicyAdd(const Policy& policy, Message* message) {
  *message = Message(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL);
  return Encode(policy, message);
}

Status EncodePolicySet(const Policy& policy, Message* message) {
  *message = Message(XFRM_MSG_UPDPOLICY, NLM_F_REPLACE);
  return Encode(policy, message);
}

Status EncodePolicyDel(const PolicyId& id, Message* message) {
  *message = Message(XFRM_MSG_DELPOLICY, 0);
  xfrm_userpolicy_id header;
  std::memset(&header, 0, sizeof header);
  FillSelector(id.selector, &header.sel);
  header.dir = id.dir;
  message->Header(header);
  return Status::Ok();
}

bool DecodePolicy(nl::Bytes payload, PolicyInfo* info) {
  xfrm_userpolicy_info header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Policy& policy = info->policy;
  policy.id.dir = header.dir;
  policy.block = header.action != XFRM_POLICY_ALLOW;
  policy.priority = header.priority;
  info->of_socket = header.dir >= XFRM_POLICY_MAX;
  if (!DecodeSelector(header.sel, &policy.id.selector, &info->partial)) return false;
  if (header.flags != 0 || header.share != XFRM_SHARE_ANY || !Unlimited(header.lft)) info->partial = true;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case XFRMA_TMPL:
        if (!DecodeTmpls(attr.data, info)) return false;
        break;
      case XFRMA_POLICY_TYPE:
        if (attr.data.empty() || attr.data[0] != XFRM_POLICY_TYPE_MAIN) info->partial = true;
        break;
      case XFRMA_PAD:
        break;
      default:
        info->partial = true;
    }
  }
  return !reader.bad();
}

Status PolicyList(Session* session, std::vector<PolicyInfo>* policies) {
  nl::Socket* xfrm = nullptr;
  if (Status status = session->Xfrm(&xfrm); !status.ok()) return status;
  Message message(XFRM_MSG_GETPOLICY, 0);
  return xfrm->Dump(
      &message, [&] { policies->clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        PolicyInfo info;
        if (type != XFRM_MSG_NEWPOLICY) return Status::Ok();
        if (!DecodePolicy(payload, &info)) return Status::Errno(EBADMSG);
        if (!info.of_socket) policies->push_back(std::move(info));
        return Status::Ok();
      });
}

}  // namespace warren::ops
