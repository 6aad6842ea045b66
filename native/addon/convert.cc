#include "addon/convert.h"

#include <cstring>

#include "addon/convert_ipvs.h"
#include "addon/convert_rtnl.h"
#include "addon/convert_xfrm.h"
#include "addon/fields.h"
#include "addon/list.h"

namespace warren::addon {

namespace {

// Every list in a call; more is a mistake of the caller.
constexpr uint32_t kMaxOps = 1 << 20;

ops::Sysctl ReadSysctl(Napi::Value value, const std::string& where, std::string* error) {
  ops::Sysctl sysctl;
  Fields fields(value, where, error);
  fields.Read("key", &sysctl.key);
  fields.Read("value", &sysctl.value);
  if (fields.ok() && !ops::ValidSysctlKey(sysctl.key)) fields.Fail("key", "a path below net/");
  return sysctl;
}

// `family`, and the name in `field`.
ops::NftTableId ReadTableId(Fields* fields, const char* field) {
  ops::NftTableId id;
  fields->Read("family", &id.family);
  if (fields->ok() && id.family != "inet" && id.family != "netdev") fields->Fail("family", "inet or netdev");
  fields->Read(field, &id.name);
  if (fields->ok() && !ops::ValidNftName(id.name)) fields->Fail(field, "a word nft takes for a name");
  return id;
}

ops::NftElements ReadElements(Fields* fields) {
  ops::NftElements elements;
  elements.table = ReadTableId(fields, "table");
  fields->Read("set", &elements.set);
  if (fields->ok() && !ops::ValidNftName(elements.set)) fields->Fail("set", "a word nft takes for a name");
  const Napi::Value list = fields->Get("elements");
  if (!fields->ok()) return elements;
  if (!list.IsArray()) fields->Fail("elements", "an array of strings");
  for (uint32_t i = 0; fields->ok() && i < list.As<Napi::Array>().Length(); ++i) {
    const Napi::Value item = list.As<Napi::Array>().Get(i);
    elements.elements.push_back(item.IsString() ? item.As<Napi::String>().Utf8Value() : "");
    if (!ops::ValidNftElement(elements.elements.back())) fields->Fail("elements", "an array of single elements");
  }
  return elements;
}

std::string ReadNetnsName(Fields* fields, bool own) {
  std::string name;
  fields->Read("name", &name);
  if (fields->ok() && !ops::ValidNetnsName(name)) fields->Fail("name", "a file name");
  if (fields->ok() && !own) fields->Fail("", "applied in the host");
  return name;
}

}  // namespace

bool ToNetns(Napi::Value value, nl::Netns* netns, std::string* error) {
  *netns = ReadNetns(value, "netns", error);
  return error->empty();
}

bool ToOp(Napi::Value value, const std::string& where, bool own, ops::Op* out, std::string* error) {
  Fields fields(value, where, error);
  std::string op;
  fields.Read("op", &op);
  if (!fields.ok()) return false;
  const auto get = [&](const char* key) { return fields.Get(key); };
  const auto at = [&](const char* key) { return fields.Where(key); };
  if (op == "link.add") {
    ops::OpLinkAdd o{ReadLink(get("link"), at("link"), error)};
    if (fields.ok() && o.link.kind.value_or("").empty()) fields.Fail("link.kind", "given");
    *out = std::move(o);
  } else if (op == "link.set") {
    ops::OpLinkSet o{ReadLink(get("link"), at("link"), error), {}};
    fields.Read("rename", &o.rename);
    if (fields.ok() && o.link.netns) fields.Fail("link.netns", "absent: links are never moved");
    if (fields.ok() && o.link.veth) fields.Fail("link.veth", "absent: a peer is given when the pair is made");
    if (o.rename && (o.rename->empty() || o.rename->size() > 15)) fields.Fail("rename", "1 to 15 characters");
    *out = std::move(o);
  } else if (op == "link.del") {
    ops::OpLinkDel o;
    fields.Read("name", &o.name);
    *out = std::move(o);
  } else if (op == "link.delgroup") {
    ops::OpLinkDelGroup o{};
    fields.Read("group", &o.group);
    *out = o;
  } else if (op == "addr.set") {
    *out = ops::OpAddrSet{ReadAddr(get("addr"), at("addr"), error)};
  } else if (op == "addr.del") {
    *out = ops::OpAddrDel{ReadAddr(get("addr"), at("addr"), error)};
  } else if (op == "route.set") {
    *out = ops::OpRouteSet{ReadRoute(get("route"), at("route"), error)};
  } else if (op == "route.del") {
    *out = ops::OpRouteDel{ReadRoute(get("route"), at("route"), error)};
  } else if (op == "rule.set") {
    *out = ops::OpRuleSet{ReadRule(get("rule"), at("rule"), error)};
  } else if (op == "rule.del") {
    *out = ops::OpRuleDel{ReadRule(get("rule"), at("rule"), error)};
  } else if (op == "neigh.set") {
    *out = ops::OpNeighSet{ReadNeigh(get("neigh"), at("neigh"), error)};
  } else if (op == "neigh.del") {
    *out = ops::OpNeighDel{ReadNeigh(get("neigh"), at("neigh"), error)};
  } else if (op == "fdb.set") {
    *out = ops::OpFdbSet{ReadFdb(get("fdb"), at("fdb"), error)};
  } else if (op == "fdb.del") {
    *out = ops::OpFdbDel{ReadFdb(get("fdb"), at("fdb"), error)};
  } else if (op == "sa.add") {
    *out = ops::OpSaAdd{ReadSa(get("sa"), at("sa"), error), ReadKey(&fields)};
  } else if (op == "sa.update") {
    *out = ops::OpSaUpdate{ReadSa(get("sa"), at("sa"), error), ReadKey(&fields)};
  } else if (op == "sa.del") {
    *out = ops::OpSaDel{ReadSaId(get("sa"), at("sa"), error)};
  } else if (op == "policy.add") {
    *out = ops::OpPolicyAdd{ReadPolicy(get("policy"), at("policy"), error)};
  } else if (op == "policy.set") {
    *out = ops::OpPolicySet{ReadPolicy(get("policy"), at("policy"), error)};
  } else if (op == "policy.del") {
    *out = ops::OpPolicyDel{ReadPolicyId(get("policy"), at("policy"), error)};
  } else if (op == "ipvs.set") {
    *out = ops::OpIpvsSet{ReadIpvsService(get("service"), at("service"), error)};
  } else if (op == "ipvs.del") {
    *out = ops::OpIpvsDel{ReadIpvsKey(get("service"), at("service"), error)};
  } else if (op == "ipvs.dest.set") {
    *out = ops::OpIpvsDestSet{ReadIpvsDest(get("dest"), at("dest"), error)};
  } else if (op == "ipvs.dest.del") {
    *out = ops::OpIpvsDestDel{ReadIpvsDestId(get("dest"), at("dest"), error)};
  } else if (op == "ipvs.timeouts.set") {
    *out = ops::OpIpvsTimeoutsSet{ReadIpvsTimeouts(get("timeouts"), at("timeouts"), error)};
  } else if (op == "sysctl.set") {
    *out = ops::OpSysctlSet{ReadSysctl(get("sysctl"), at("sysctl"), error)};
  } else if (op == "nft.set") {
    ops::OpNftSet o;
    Fields table(get("table"), at("table"), error);
    o.table.id = ReadTableId(&table, "name");
    table.Read("text", &o.table.text);
    *out = std::move(o);
  } else if (op == "nft.del") {
    *out = ops::OpNftDel{ReadTableId(&fields, "name")};
  } else if (op == "nft.element.set") {
    *out = ops::OpNftElementSet{ReadElements(&fields)};
  } else if (op == "nft.element.del") {
    *out = ops::OpNftElementDel{ReadElements(&fields)};
  } else if (op == "netns.add") {
    *out = ops::OpNetnsAdd{ReadNetnsName(&fields, own)};
  } else if (op == "netns.del") {
    *out = ops::OpNetnsDel{ReadNetnsName(&fields, own)};
  } else {
    fields.Fail("op", "one of src/kernel/op.ts, not " + op);
  }
  return error->empty();
}

namespace {

bool ToOps(Napi::Value value, bool own, std::vector<ops::Op>* ops, std::string* error) {
  if (value.IsEmpty() || !value.IsArray() || value.As<Napi::Array>().Length() > kMaxOps) {
    if (error->empty()) *error = "ops must be an array";
    return false;
  }
  const Napi::Array array = value.As<Napi::Array>();
  ops->resize(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    Napi::HandleScope scope(value.Env());
    if (!ToOp(array.Get(i), "ops[" + std::to_string(i) + "]", own, &(*ops)[i], error)) return false;
  }
  return true;
}

}  // namespace

bool ToVisits(Napi::Value value, std::vector<Visit>* visits, std::string* error) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() > kMaxOps) {
    *error = "visits must be an array";
    return false;
  }
  const Napi::Array array = value.As<Napi::Array>();
  visits->resize(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    Napi::HandleScope scope(value.Env());
    Visit& visit = (*visits)[i];
    Fields fields(array.Get(i), "visits[" + std::to_string(i) + "]", error);
    visit.netns = ReadNetns(fields.Get("netns"), "netns", error);
    if (!fields.ok() || !ToOps(fields.Get("ops"), visit.netns.own(), &visit.ops, error)) return false;
  }
  return true;
}

bool ToQuery(Napi::Value value, Query* query, std::string* error) {
  Fields fields(value, "query", error);
  const auto flag = [&](const char* key, bool* out) {
    if (fields.Has(key)) fields.Read(key, out);
  };
  flag("links", &query->links);
  flag("addrs", &query->addrs);
  flag("routes", &query->routes);
  flag("rules", &query->rules);
  flag("neighs", &query->neighs);
  flag("fdb", &query->fdb);
  flag("sas", &query->sas);
  flag("policies", &query->policies);
  flag("xfrmStat", &query->xfrm_stat);
  flag("ipvs", &query->ipvs);
  const auto list = [&](const char* key, const auto& each) {
    if (!fields.Has(key)) return;
    const Napi::Value items = fields.Get(key);
    if (!items.IsArray()) return fields.Fail(key, "an array");
    for (uint32_t i = 0; i < items.As<Napi::Array>().Length() && fields.ok(); ++i) each(items.As<Napi::Array>().Get(i));
  };
  list("sysctls", [&](Napi::Value item) {
    if (!item.IsString()) return fields.Fail("sysctls", "an array of strings");
    query->sysctls.push_back(item.As<Napi::String>().Utf8Value());
    if (!ops::ValidSysctlKey(query->sysctls.back())) fields.Fail("sysctls", "paths below net/");
  });
  list("ipvsDestsOf", [&](Napi::Value item) {
    query->ipvs_dests_of.push_back(ReadIpvsKey(item, "query.ipvsDestsOf[]", error));
  });
  list("nft", [&](Napi::Value item) {
    Fields table(item, "query.nft[]", error);
    query->nft.push_back(ReadTableId(&table, "name"));
  });
  return error->empty();
}

bool ToNouns(Napi::Value value, Nouns* nouns, std::string* error) {
  if (!value.IsArray()) {
    *error = "nouns must be an array";
    return false;
  }
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    const std::string noun = item.IsString() ? item.As<Napi::String>().Utf8Value() : "";
    if (noun == "links")
      nouns->links = true;
    else if (noun == "addrs")
      nouns->addrs = true;
    else if (noun == "routes")
      nouns->routes = true;
    else if (noun == "rules")
      nouns->rules = true;
    else if (noun == "neighs")
      nouns->neighs = true;
    else if (noun == "fdb")
      nouns->fdb = true;
    else if (noun == "nft")
      nouns->nft = true;
    else if (noun == "sas")
      nouns->sas = true;
    else if (noun == "policies")
      nouns->policies = true;
    else if (noun != "sysctls" && noun != "xfrmStat" && noun != "ipvs" && noun != "ipvsDests" && noun != "ipvsTimeouts")
      *error = "nouns[] must be one of src/kernel/state.ts";  // of those the kernel tells nothing
  }
  return error->empty();
}

Napi::Object FromState(Napi::Env env, const State& state) {
  Napi::Object object = Napi::Object::New(env);
  using O = Napi::Object;
  object.Set("links", List(env, state.links, [&](O o, const ops::Link& link) { FromLink(env, o, link); }));
  object.Set("addrs", List(env, state.addrs, FromAddr));
  object.Set("routes", List(env, state.routes, FromRoute));
  object.Set("rules", List(env, state.rules, FromRule));
  object.Set("neighs", List(env, state.neighs, FromNeigh));
  object.Set("fdb", List(env, state.fdb, FromFdb));
  object.Set("sas", List(env, state.sas, [&](O o, const ops::SaInfo& info) { FromSa(env, o, info); }));
  object.Set("policies", List(env, state.policies, [&](O o, const ops::PolicyInfo& i) { FromPolicy(env, o, i); }));
  object.Set("xfrmStat", List(env, state.xfrm_stat, [](O o, const ops::XfrmStat& stat) {
               o.Set("name", stat.name);
               o.Set("count", static_cast<double>(stat.count));
             }));
  object.Set("ipvs", List(env, state.ipvs, [&](O o, const ops::IpvsServiceInfo& i) { FromIpvsService(env, o, i); }));
  object.Set("ipvsDests",
             List(env, state.ipvs_dests, [&](O o, const ops::IpvsDestInfo& i) { FromIpvsDest(env, o, i); }));
  object.Set("ipvsTimeouts", List(env, state.ipvs_timeouts, FromIpvsTimeouts));
  object.Set("sysctls", List(env, state.sysctls, [](O o, const ops::Sysctl& sysctl) {
               o.Set("key", sysctl.key);
               o.Set("value", sysctl.value);
             }));
  object.Set("nft", List(env, state.nft, [](O o, const ops::NftTable& table) {
               o.Set("family", table.id.family);
               o.Set("name", table.id.name);
               o.Set("text", table.text);
             }));
  return object;
}

Napi::Value FromStatus(Napi::Env env, const nl::Status& status) {
  const char* code = ::strerrorname_np(status.error);
  const std::string name = code != nullptr ? code : "E" + std::to_string(status.error);
  Napi::Object error = Napi::Error::New(env, name).Value();
  error.Set("errno", status.error);
  error.Set("code", name);
  if (!status.extack.empty()) error.Set("extack", status.extack);
  if (!status.attr.empty()) error.Set("attr", status.attr);
  return error;
}

}  // namespace warren::addon
