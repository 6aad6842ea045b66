#include "addon/convert.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#include <cstring>

#include "addon/convert_ipvs.h"
#include "addon/convert_xfrm.h"
#include "addon/fields.h"
#include "addon/list.h"

namespace warren::addon {

using ops::Ip;

namespace {

// Every list in a call; more is a mistake of the caller.
constexpr uint32_t kMaxOps = 1 << 20;

nl::Netns ReadNetns(Napi::Value value, const std::string& where, std::string* error) {
  nl::Netns netns;
  Fields fields(value, where, error);
  fields.Read("path", &netns.path);
  fields.Read("dev", &netns.dev);
  fields.Read("inode", &netns.inode);
  return netns;
}

ops::Link ReadLink(Napi::Value value, const std::string& where, std::string* error) {
  ops::Link link;
  Fields fields(value, where, error);
  fields.Read("name", &link.name);
  if (fields.ok() && (link.name.empty() || link.name.size() > 15)) fields.Fail("name", "1 to 15 characters");
  fields.Read("kind", &link.kind);
  fields.Read("mtu", &link.mtu);
  fields.Read("address", &link.address);
  ops::Mac mac;
  if (fields.ok() && link.address && !ops::ParseMac(*link.address, &mac)) fields.Fail("address", "a MAC address");
  fields.Read("up", &link.up);
  if (fields.Has("master")) {
    if (fields.Get("master").IsNull()) {
      link.master = "";
    } else {
      fields.Read("master", &link.master);
    }
  }
  fields.Read("group", &link.group);
  std::optional<std::string> mode;
  fields.Read("addrGenMode", &mode);
  if (mode && *mode != "eui64" && *mode != "none") fields.Fail("addrGenMode", "eui64 or none");
  if (mode) link.addr_gen_mode = *mode == "none" ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64;
  fields.Read("tso", &link.tso);
  if (fields.Has("vxlan")) {
    ops::Vxlan& vxlan = link.vxlan.emplace();
    Fields data(fields.Get("vxlan"), fields.Where("vxlan"), error);
    data.Read("vni", &vxlan.vni);
    data.Read("local", &vxlan.local);
    data.Read("port", &vxlan.port);
    data.Read("learning", &vxlan.learning);
    data.Read("proxy", &vxlan.proxy);
  }
  if (fields.Has("bridge")) {
    ops::Bridge& bridge = link.bridge.emplace();
    Fields data(fields.Get("bridge"), fields.Where("bridge"), error);
    data.Read("stp", &bridge.stp);
    data.Read("mcastSnooping", &bridge.mcast_snooping);
    data.Read("ageingSeconds", &bridge.ageing_seconds);
    if (bridge.ageing_seconds.value_or(0) > 1000000) data.Fail("ageingSeconds", "at most 1000000");
  }
  if (fields.Has("veth")) {
    ops::VethPeer& peer = link.veth.emplace();
    Fields data(fields.Get("veth"), fields.Where("veth"), error);
    Fields inner(data.Get("peer"), data.Where("peer"), error);
    inner.Read("name", &peer.name);
    if (inner.ok() && (peer.name.empty() || peer.name.size() > 15)) inner.Fail("name", "1 to 15 characters");
    if (inner.ok()) peer.netns = ReadNetns(inner.Get("netns"), inner.Where("netns"), error);
    inner.Read("mtu", &peer.mtu);
    inner.Read("address", &peer.address);
  }
  if (fields.Has("port")) {
    ops::PortFlags& port = link.port.emplace();
    Fields data(fields.Get("port"), fields.Where("port"), error);
    data.Read("learning", &port.learning);
    data.Read("flood", &port.flood);
    data.Read("mcastFlood", &port.mcast_flood);
    data.Read("bcastFlood", &port.bcast_flood);
    data.Read("neighSuppress", &port.neigh_suppress);
    data.Read("isolated", &port.isolated);
  }
  if (fields.Has("netns")) link.netns = ReadNetns(fields.Get("netns"), fields.Where("netns"), error);
  if (fields.ok() && (link.vxlan.has_value() + link.bridge.has_value() + link.veth.has_value()) > 1) {
    fields.Fail("", "of one kind");
  }
  return link;
}

ops::Addr ReadAddr(Napi::Value value, const std::string& where, std::string* error) {
  ops::Addr addr;
  Fields fields(value, where, error);
  fields.Read("dev", &addr.dev);
  fields.Read("address", &addr.address);
  std::optional<bool> nodad;
  std::optional<uint8_t> scope;
  fields.Read("nodad", &nodad);
  fields.Read("scope", &scope);
  addr.nodad = nodad.value_or(false);
  addr.scope = scope.value_or(0);
  return addr;
}

ops::Route ReadRoute(Napi::Value value, const std::string& where, std::string* error) {
  ops::Route route;
  Fields fields(value, where, error);
  fields.Read("dst", &route.dst);
  if (fields.Has("type")) {
    std::string type;
    fields.Read("type", &type);
    if (fields.ok() && type != "local") fields.Fail("type", "local, or absent");
    route.local = true;
  }
  std::optional<Ip> via, src;
  fields.Read("via", &via);
  fields.Read("src", &src);
  route.via = via.value_or(Ip{});
  route.src = src.value_or(Ip{});
  if (fields.ok() && src && src->family != route.dst.ip.family) fields.Fail("src", "of dst's family");
  fields.Read("dev", &route.dev);
  fields.Read("table", &route.table);
  fields.Read("protocol", &route.protocol);
  std::optional<bool> onlink;
  fields.Read("onlink", &onlink);
  route.onlink = onlink.value_or(false);
  fields.Read("metric", &route.metric);
  return route;
}

ops::Rule ReadRule(Napi::Value value, const std::string& where, std::string* error) {
  ops::Rule rule;
  Fields fields(value, where, error);
  uint32_t family = 0;
  fields.Read("family", &family);
  if (fields.ok() && family != 4 && family != 6) fields.Fail("family", "4 or 6");
  rule.family = family == 6 ? AF_INET6 : AF_INET;
  fields.Read("priority", &rule.priority);
  fields.Read("table", &rule.table);
  fields.Read("fwmark", &rule.fwmark);
  fields.Read("from", &rule.from);
  if (fields.ok() && rule.from && rule.from->ip.family != rule.family) fields.Fail("from", "of the rule's family");
  fields.Read("protocol", &rule.protocol);
  return rule;
}

ops::Neigh ReadNeigh(Napi::Value value, const std::string& where, std::string* error) {
  ops::Neigh neigh;
  Fields fields(value, where, error);
  fields.Read("dev", &neigh.dev);
  fields.Read("dst", &neigh.dst);
  fields.Read("lladdr", &neigh.lladdr);
  fields.Read("protocol", &neigh.protocol);
  return neigh;
}

ops::Fdb ReadFdb(Napi::Value value, const std::string& where, std::string* error) {
  ops::Fdb fdb;
  Fields fields(value, where, error);
  fields.Read("dev", &fdb.dev);
  fields.Read("lladdr", &fdb.lladdr);
  std::string via;
  fields.Read("via", &via);
  if (fields.ok() && via != "self" && via != "master") fields.Fail("via", "self or master");
  fdb.self = via == "self";
  std::optional<Ip> dst;
  fields.Read("dst", &dst);
  fdb.dst = dst.value_or(Ip{});
  if (fields.ok() && dst && !fdb.self) fields.Fail("dst", "given only with via self");
  std::optional<bool> extern_learn;
  fields.Read("externLearn", &extern_learn);
  fdb.extern_learn = extern_learn.value_or(false);
  return fdb;
}

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

Napi::Object FromPort(Napi::Env env, const ops::PortFlags& port) {
  Napi::Object object = Napi::Object::New(env);
  SetIf(object, "learning", port.learning);
  SetIf(object, "flood", port.flood);
  SetIf(object, "mcastFlood", port.mcast_flood);
  SetIf(object, "bcastFlood", port.bcast_flood);
  SetIf(object, "neighSuppress", port.neigh_suppress);
  SetIf(object, "isolated", port.isolated);
  return object;
}

void FromLink(Napi::Env env, Napi::Object object, const ops::Link& link) {
  object.Set("name", link.name);
  SetIf(object, "kind", link.kind);
  SetIf(object, "mtu", link.mtu);
  SetIf(object, "address", link.address);
  SetIf(object, "up", link.up);
  const std::string master = link.master.value_or("");
  object.Set("master", master.empty() ? env.Null() : Napi::Value(Napi::String::New(env, master)));
  SetIf(object, "group", link.group);
  if (link.addr_gen_mode == IN6_ADDR_GEN_MODE_EUI64) object.Set("addrGenMode", "eui64");
  if (link.addr_gen_mode == IN6_ADDR_GEN_MODE_NONE) object.Set("addrGenMode", "none");
  SetIf(object, "tso", link.tso);
  if (link.tx_dropped) object.Set("txDropped", static_cast<double>(*link.tx_dropped));
  if (link.vxlan) {
    Napi::Object vxlan = Napi::Object::New(env);
    vxlan.Set("vni", link.vxlan->vni);
    vxlan.Set("local", ops::ToText(link.vxlan->local));
    vxlan.Set("port", link.vxlan->port);
    vxlan.Set("learning", link.vxlan->learning);
    vxlan.Set("proxy", link.vxlan->proxy);
    object.Set("vxlan", vxlan);
  }
  if (link.bridge) {
    Napi::Object bridge = Napi::Object::New(env);
    bridge.Set("stp", link.bridge->stp);
    bridge.Set("mcastSnooping", link.bridge->mcast_snooping);
    SetIf(bridge, "ageingSeconds", link.bridge->ageing_seconds);
    object.Set("bridge", bridge);
  }
  if (link.port) object.Set("port", FromPort(env, *link.port));
  SetIf(object, "linkNetnsid", link.link_netnsid);
}

// "" is a link whose name is not known.
void SetDev(Napi::Object object, const std::string& dev) {
  if (!dev.empty()) object.Set("dev", dev);
}

void FromAddr(Napi::Object object, const ops::Addr& addr) {
  SetDev(object, addr.dev);
  object.Set("address", ops::ToText(addr.address));
  object.Set("scope", addr.scope);
  if (addr.nodad) object.Set("nodad", true);
}

void FromRule(Napi::Object object, const ops::Rule& rule) {
  object.Set("family", rule.family == AF_INET6 ? 6 : 4);
  object.Set("priority", rule.priority);
  object.Set("table", rule.table);
  SetIf(object, "fwmark", rule.fwmark);
  if (rule.from) object.Set("from", ops::ToText(*rule.from));
  SetIf(object, "protocol", rule.protocol);
}

void FromNeigh(Napi::Object object, const ops::Neigh& neigh) {
  SetDev(object, neigh.dev);
  object.Set("dst", ops::ToText(neigh.dst));
  object.Set("lladdr", ops::ToText(neigh.lladdr));
  SetIf(object, "protocol", neigh.protocol);
}

void FromFdb(Napi::Object object, const ops::Fdb& fdb) {
  SetDev(object, fdb.dev);
  object.Set("lladdr", ops::ToText(fdb.lladdr));
  object.Set("via", fdb.self ? "self" : "master");
  if (fdb.dst.family != 0) object.Set("dst", ops::ToText(fdb.dst));
  if (fdb.extern_learn) object.Set("externLearn", true);
}

void FromRoute(Napi::Object object, const ops::Route& route) {
  object.Set("dst", ops::ToText(route.dst));
  if (route.local) object.Set("type", "local");
  if (route.via.family != 0) object.Set("via", ops::ToText(route.via));
  SetIf(object, "dev", route.dev);
  SetIf(object, "table", route.table);
  SetIf(object, "protocol", route.protocol);
  if (route.onlink) object.Set("onlink", true);
  if (route.src.family != 0) object.Set("src", ops::ToText(route.src));
  SetIf(object, "metric", route.metric);
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

namespace {

Napi::Array FromNews(Napi::Env env, const std::vector<News>& news) {
  return List(env, news, [&](Napi::Object object, const News& each) {
    Napi::Object item = Napi::Object::New(env);
    const char* const nouns[] = {"links", "addrs", "routes", "rules", "neighs", "fdb"};
    object.Set("noun", nouns[each.item.index()]);
    object.Set("gone", each.gone);
    SetIf(object, "nsid", each.nsid);
    if (!each.renamed.empty()) object.Set("renamed", each.renamed);
    struct {
      Napi::Env env;
      Napi::Object item;
      void operator()(const ops::Link& link) { FromLink(env, item, link); }
      void operator()(const ops::Addr& addr) { FromAddr(item, addr); }
      void operator()(const ops::Route& route) { FromRoute(item, route); }
      void operator()(const ops::Rule& rule) { FromRule(item, rule); }
      void operator()(const ops::Neigh& neigh) { FromNeigh(item, neigh); }
      void operator()(const ops::Fdb& fdb) { FromFdb(item, fdb); }
    } convert{env, item};
    std::visit(convert, each.item);
    object.Set("item", item);
  });
}

Napi::Array FromExpired(Napi::Env env, const std::vector<ops::SaExpire>& expired) {
  return List(env, expired, [](Napi::Object object, const ops::SaExpire& expire) {
    object.Set("dst", ops::ToText(expire.id.dst));
    object.Set("spi", expire.id.spi);
    object.Set("reqid", expire.reqid);
    object.Set("hard", expire.hard);
  });
}

Napi::Array FromMapped(Napi::Env env, const std::vector<ops::SaMapping>& mapped) {
  return List(env, mapped, [](Napi::Object object, const ops::SaMapping& mapping) {
    object.Set("dst", ops::ToText(mapping.id.dst));
    object.Set("spi", mapping.id.spi);
    object.Set("reqid", mapping.reqid);
    object.Set("src", ops::ToText(mapping.src));
    object.Set("sport", mapping.sport);
  });
}

}  // namespace

Napi::Object FromHint(Napi::Env env, const Hint& hint) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("news", FromNews(env, hint.news));
  object.Set("expired", FromExpired(env, hint.expired));
  object.Set("mapped", FromMapped(env, hint.mapped));
  object.Set("vague", hint.vague);
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
