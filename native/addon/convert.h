#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "addon/events.h"
#include "nl/netns.h"
#include "nl/status.h"
#include "ops/apply.h"
#include "ops/xfrm_stat.h"

namespace warren::addon {

// JS values to structs, as src/kernel/{state,op}.ts have them. A wrong type, a missing field, a text that is no
// address: `error` says which, and nothing has happened yet. Undefined is absent.

struct Query {
  bool links = false, addrs = false, routes = false, rules = false, neighs = false, fdb = false;
  bool sas = false, policies = false, xfrm_stat = false, ipvs = false;
  std::vector<ops::IpvsKey> ipvs_dests_of;
  std::vector<std::string> sysctls;
  std::vector<ops::NftTableId> nft;
};

// What to do in one namespace.
struct Visit {
  nl::Netns netns;
  std::vector<ops::Op> ops;
};

struct State {
  std::vector<ops::Link> links;
  std::vector<ops::Addr> addrs;
  std::vector<ops::Route> routes;
  std::vector<ops::Rule> rules;
  std::vector<ops::Neigh> neighs;
  std::vector<ops::Fdb> fdb;
  std::vector<ops::SaInfo> sas;
  std::vector<ops::PolicyInfo> policies;
  std::vector<ops::XfrmStat> xfrm_stat;
  std::vector<ops::IpvsServiceInfo> ipvs;
  std::vector<ops::IpvsDestInfo> ipvs_dests;
  std::vector<ops::IpvsTimeouts> ipvs_timeouts;  // one, when asked for
  std::vector<ops::Sysctl> sysctls;
  std::vector<ops::NftTable> nft;
};

bool ToNetns(Napi::Value value, nl::Netns* netns, std::string* error);
bool ToVisits(Napi::Value value, std::vector<Visit>* visits, std::string* error);
// netns.add and netns.del are refused unless `own`.
bool ToOp(Napi::Value value, const std::string& where, bool own, ops::Op* op, std::string* error);
bool ToQuery(Napi::Value value, Query* query, std::string* error);
bool ToNouns(Napi::Value value, Nouns* nouns, std::string* error);

// Structs to JS values.
Napi::Object FromState(Napi::Env env, const State& state);
Napi::Object FromHint(Napi::Env env, const Hint& hint);
// An Error with errno, code, and, where the kernel said more, extack and attr.
Napi::Value FromStatus(Napi::Env env, const nl::Status& status);

}  // namespace warren::addon
