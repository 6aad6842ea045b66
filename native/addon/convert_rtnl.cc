#include "addon/convert_rtnl.h"

#include <sys/socket.h>

#include "addon/list.h"

namespace warren::addon {

using ops::Ip;

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

namespace {

// "" is a link whose name is not known.
void SetDev(Napi::Object object, const std::string& dev) {
  if (!dev.empty()) object.Set("dev", dev);
}

}  // namespace

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

}  // namespace warren::addon
