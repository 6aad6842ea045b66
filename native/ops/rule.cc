#include "ops/rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

void Encode(const Rule& rule, Message* message) {
  fib_rule_hdr header{};
  header.family = rule.family;
  header.src_len = rule.from ? rule.from->length : 0;
  header.table = static_cast<uint8_t>(rule.table < 256 ? rule.table : RT_TABLE_UNSPEC);
  header.action = FR_ACT_TO_TBL;
  message->Header(header);
  message->PutU32(FRA_PRIORITY, "PRIORITY", rule.priority);
  message->PutU32(FRA_TABLE, "TABLE", rule.table);
  if (rule.fwmark) message->PutU32(FRA_FWMARK, "FWMARK", *rule.fwmark);
  if (rule.from && rule.from->length > 0) PutIp(message, FRA_SRC, "SRC", rule.from->ip);
  if (rule.protocol) message->PutU8(FRA_PROTOCOL, "PROTOCOL", *rule.protocol);
}

}  // namespace

Status EncodeRuleSet(const Rule& rule, Message* message) {
  *message = Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  Encode(rule, message);
  return Status::Ok();
}

Status EncodeRuleDel(const Rule& rule, Message* message) {
  *message = Message(RTM_DELRULE, 0);
  Encode(rule, message);
  return Status::Ok();
}

bool DecodeRule(nl::Bytes payload, RuleInfo* info) {
  fib_rule_hdr header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Rule& rule = info->rule;
  rule.family = header.family;
  rule.table = header.table;
  info->ours_to_say =
      header.action == FR_ACT_TO_TBL && header.dst_len == 0 && header.tos == 0 && !(header.flags & FIB_RULE_INVERT);
  uint32_t mask = 0xffffffff;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t value = 0;
    uint8_t small = 0;
    Ip ip;
    switch (attr.type) {
      case FRA_PRIORITY:
        attr.U32(&rule.priority);
        break;
      case FRA_TABLE:
        attr.U32(&rule.table);
        break;
      case FRA_FWMARK:
        if (attr.U32(&value)) rule.fwmark = value;
        break;
      case FRA_FWMASK:
        attr.U32(&mask);
        break;
      case FRA_SRC:
        if (DecodeIp(attr.data, header.family, &ip)) rule.from = Prefix{ip, header.src_len};
        break;
      case FRA_PROTOCOL:
        if (attr.U8(&small)) rule.protocol = small;
        break;
      case FRA_SUPPRESS_PREFIXLEN:  // always there; all ones is none
        if (!attr.U32(&value) || value != 0xffffffff) info->ours_to_say = false;
        break;
      case FRA_UNSPEC:
      case FRA_PAD:
        break;
      default:
        info->ours_to_say = false;
    }
  }
  if (rule.fwmark && mask != 0xffffffff) info->ours_to_say = false;
  return !reader.bad() && (!rule.from || rule.from->length <= rule.from->ip.size() * 8);
}

Status RuleSet(Session* session, const Rule& rule) {
  Message message(RTM_NEWRULE, 0);
  EncodeRuleSet(rule, &message);
  Status status = session->rtnl()->Request(&message);
  return status.error == EEXIST ? Status::Ok() : status;
}

Status RuleDel(Session* session, const Rule& rule) {
  Message message(RTM_DELRULE, 0);
  EncodeRuleDel(rule, &message);
  Status status = session->rtnl()->Request(&message);
  return status.error == ENOENT ? Status::Ok() : status;
}

Status RuleList(Session* session, std::vector<Rule>* rules) {
  for (uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    std::vector<Rule> found;
    Message message(RTM_GETRULE, 0);
    fib_rule_hdr header{};
    header.family = family;
    message.Header(header);
    Status status = session->rtnl()->Dump(
        &message, [&] { found.clear(); },
        [&](uint16_t type, nl::Bytes payload) {
          RuleInfo info;
          if (type != RTM_NEWRULE) return Status::Ok();
          if (!DecodeRule(payload, &info)) return Status::Errno(EBADMSG);
          if (info.ours_to_say) found.push_back(std::move(info.rule));
          return Status::Ok();
        });
    if (status.error == EOPNOTSUPP || status.error == EAFNOSUPPORT) continue;  // a kernel without policy routing
    if (!status.ok()) return status;
    rules->insert(rules->end(), found.begin(), found.end());
  }
  return Status::Ok();
}

}  // namespace warren::ops
