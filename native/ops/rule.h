#pragma once

#include <optional>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct Rule {
  uint8_t family = 0;  // AF_INET, AF_INET6
  uint32_t priority = 0;
  uint32_t table = 0;
  std::optional<uint32_t> fwmark;
  std::optional<Prefix> from;
  std::optional<uint8_t> protocol;
};

struct RuleInfo {
  Rule rule;
  bool ours_to_say = true;  // it looks a table up, and selects by nothing a Rule cannot express
};

// The kernel has no replace for rules: one with all fields equal exists already (EEXIST) or is added.
// Equivalent to: `ip rule add …`
nl::Status EncodeRuleSet(const Rule& rule, nl::Message* message);
// Equivalent to: `ip rule del …`
nl::Status EncodeRuleDel(const Rule& rule, nl::Message* message);
// REQUIRES: payload of an RTM_NEWRULE. False when malformed.
bool DecodeRule(nl::Bytes payload, RuleInfo* info);

nl::Status RuleSet(Session* session, const Rule& rule);
nl::Status RuleDel(Session* session, const Rule& rule);
// Rules with selectors we have no word for are left out: told in part they would be another rule.
// Equivalent to: `ip rule; ip -6 rule`
nl::Status RuleList(Session* session, std::vector<Rule>* rules);

}  // namespace warren::ops
