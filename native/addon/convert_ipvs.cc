#include "addon/convert_ipvs.h"

#include <linux/ip_vs.h>
#include <netinet/in.h>

#include "addon/fields.h"
#include "addon/words.h"

namespace warren::addon {

namespace {

constexpr Word kTransports[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}};
constexpr Word kMethods[] = {
    {"route", IP_VS_CONN_F_DROUTE}, {"masq", IP_VS_CONN_F_MASQ}, {"tunnel", IP_VS_CONN_F_TUNNEL}};

// What the three flags are called depends on whose they are; those of other schedulers have but numbers.
struct SchedFlag {
  const char* scheduler;
  uint32_t flag;
  const char* name;
};
constexpr SchedFlag kSchedFlags[] = {
    {"sh", IP_VS_SVC_F_SCHED1, "sh-fallback"}, {"sh", IP_VS_SVC_F_SCHED2, "sh-port"},
    {"mh", IP_VS_SVC_F_SCHED1, "mh-fallback"}, {"mh", IP_VS_SVC_F_SCHED2, "mh-port"},
    {"", IP_VS_SVC_F_SCHED1, "flag-1"},        {"", IP_VS_SVC_F_SCHED2, "flag-2"},
    {"", IP_VS_SVC_F_SCHED3, "flag-3"},
};

// As ipvsadm: a month, with which the kernel's ticks still fit.
constexpr uint32_t kMaxSeconds = 31 * 86400;
constexpr uint32_t kMaxWeight = 0x7fffffff;

void ReadKeyFields(Fields* fields, ops::IpvsKey* key) {
  if (fields->Has("fwmark")) {
    uint32_t family = 0;
    fields->Read("fwmark", &key->fwmark);
    if (fields->ok() && key->fwmark == 0) fields->Fail("fwmark", "1 or more");
    fields->Read("family", &family);
    if (fields->ok() && family != 4 && family != 6) fields->Fail("family", "4 or 6");
    key->family = family == 6 ? AF_INET6 : AF_INET;
  } else {
    key->proto = ReadWord(fields, "proto", kTransports);
    fields->Read("address", &key->address);
    fields->Read("port", &key->port);
    key->family = key->address.family;
  }
}

uint32_t ReadSchedFlags(Fields* fields, const std::string& scheduler) {
  uint32_t flags = 0;
  if (!fields->Has("schedFlags")) return flags;
  const Napi::Value value = fields->Get("schedFlags");
  if (!value.IsArray()) {
    fields->Fail("schedFlags", "an array of strings");
    return flags;
  }
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length() && fields->ok(); ++i) {
    const Napi::Value item = array.Get(i);
    const std::string word = item.IsString() ? item.As<Napi::String>().Utf8Value() : "";
    uint32_t flag = 0;
    for (const SchedFlag& known : kSchedFlags) {
      if (word == known.name && (*known.scheduler == '\0' || scheduler == known.scheduler)) flag = known.flag;
    }
    if (flag == 0) fields->Fail("schedFlags", "words ipvsadm has for this scheduler");
    flags |= flag;
  }
  return flags;
}

Napi::Array FromSchedFlags(Napi::Env env, const ops::IpvsService& service) {
  Napi::Array array = Napi::Array::New(env);
  uint32_t rest = service.sched_flags;
  for (const SchedFlag& known : kSchedFlags) {
    if (!(rest & known.flag) || (*known.scheduler != '\0' && service.scheduler != known.scheduler)) continue;
    array.Set(array.Length(), known.name);
    rest &= ~known.flag;
  }
  return array;
}

void SetKey(Napi::Object object, const ops::IpvsKey& key) {
  if (key.fwmark != 0) {
    object.Set("fwmark", key.fwmark);
    object.Set("family", key.family == AF_INET6 ? 6 : 4);
  } else {
    object.Set("proto", key.proto <= 0xff ? ToWord(kTransports, static_cast<uint8_t>(key.proto)) : "other");
    object.Set("address", ops::ToText(key.address));
    object.Set("port", key.port);
  }
}

void SetStats(Napi::Object object, const ops::IpvsStats& stats) {
  object.Set("connections", static_cast<double>(stats.connections));
  object.Set("inPackets", static_cast<double>(stats.in_packets));
  object.Set("outPackets", static_cast<double>(stats.out_packets));
  object.Set("inBytes", static_cast<double>(stats.in_bytes));
  object.Set("outBytes", static_cast<double>(stats.out_bytes));
}

void RefusePartial(Fields* fields) {
  if (fields->ok() && fields->Has("partial")) fields->Fail("partial", "absent: it was read only in part");
}

}  // namespace

ops::IpvsKey ReadIpvsKey(Napi::Value value, const std::string& where, std::string* error) {
  ops::IpvsKey key;
  Fields fields(value, where, error);
  ReadKeyFields(&fields, &key);
  return key;
}

ops::IpvsService ReadIpvsService(Napi::Value value, const std::string& where, std::string* error) {
  ops::IpvsService service;
  Fields fields(value, where, error);
  ReadKeyFields(&fields, &service.key);
  fields.Read("scheduler", &service.scheduler);
  const size_t length = service.scheduler.size();
  if (fields.ok() && (length == 0 || length >= IP_VS_SCHEDNAME_MAXLEN)) {
    fields.Fail("scheduler", "1 to 15 characters");
  }
  service.sched_flags = ReadSchedFlags(&fields, service.scheduler);
  std::optional<uint32_t> persistent;
  fields.Read("persistent", &persistent);
  if (fields.ok() && persistent.value_or(0) > kMaxSeconds) fields.Fail("persistent", "at most 2678400");
  if (persistent.value_or(0) > 0) service.persistent = persistent;
  fields.Read("netmask", &service.netmask);
  if (fields.ok() && service.netmask) {
    const bool six = service.key.family == AF_INET6;
    if (*service.netmask < 1 || *service.netmask > (six ? 128 : 32)) fields.Fail("netmask", "a prefix length");
  }
  std::optional<bool> one_packet;
  fields.Read("ops", &one_packet);
  service.one_packet = one_packet.value_or(false);
  if (fields.ok() && service.key.fwmark == 0 && service.key.port == 0 && !service.persistent) {
    fields.Fail("port", "1 or more, unless the service is persistent");
  }
  RefusePartial(&fields);
  return service;
}

ops::IpvsDestId ReadIpvsDestId(Napi::Value value, const std::string& where, std::string* error) {
  ops::IpvsDestId id;
  Fields fields(value, where, error);
  if (fields.ok()) id.service = ReadIpvsKey(fields.Get("service"), fields.Where("service"), error);
  fields.Read("address", &id.address);
  fields.Read("port", &id.port);
  return id;
}

ops::IpvsDest ReadIpvsDest(Napi::Value value, const std::string& where, std::string* error) {
  ops::IpvsDest dest;
  dest.id = ReadIpvsDestId(value, where, error);
  Fields fields(value, where, error);
  dest.method = ReadWord(&fields, "method", kMethods);
  if (fields.ok() && dest.id.address.family != dest.id.service.family && dest.method != IP_VS_CONN_F_TUNNEL) {
    fields.Fail("address", "of the service's family");
  }
  fields.Read("weight", &dest.weight);
  std::optional<uint32_t> upper, lower;
  fields.Read("upper", &upper);
  fields.Read("lower", &lower);
  dest.upper = upper.value_or(0);
  dest.lower = lower.value_or(0);
  if (fields.ok() && dest.weight > kMaxWeight) fields.Fail("weight", "at most 2147483647");
  if (fields.ok() && dest.upper > kMaxWeight) fields.Fail("upper", "at most 2147483647");
  if (fields.ok() && dest.lower > dest.upper) fields.Fail("lower", "at most upper");
  RefusePartial(&fields);
  return dest;
}

ops::IpvsTimeouts ReadIpvsTimeouts(Napi::Value value, const std::string& where, std::string* error) {
  ops::IpvsTimeouts timeouts;
  Fields fields(value, where, error);
  const auto read = [&](const char* key, uint32_t* out) {
    fields.Read(key, out);
    // To the kernel 0 is to leave it as it is.
    if (fields.ok() && (*out == 0 || *out > kMaxSeconds)) fields.Fail(key, "from 1 to 2678400");
  };
  read("tcp", &timeouts.tcp);
  read("tcpFin", &timeouts.tcp_fin);
  read("udp", &timeouts.udp);
  return timeouts;
}

void FromIpvsService(Napi::Env env, Napi::Object object, const ops::IpvsServiceInfo& info) {
  const ops::IpvsService& service = info.service;
  SetKey(object, service.key);
  object.Set("scheduler", service.scheduler);
  object.Set("schedFlags", FromSchedFlags(env, service));
  object.Set("persistent", service.persistent.value_or(0));
  object.Set("netmask", *service.netmask);
  object.Set("ops", service.one_packet);
  if (info.partial) object.Set("partial", true);
  Napi::Object counters = Napi::Object::New(env);
  SetStats(counters, info.stats);
  object.Set("counters", counters);
}

void FromIpvsDest(Napi::Env env, Napi::Object object, const ops::IpvsDestInfo& info) {
  const ops::IpvsDest& dest = info.dest;
  Napi::Object service = Napi::Object::New(env);
  SetKey(service, dest.id.service);
  object.Set("service", service);
  object.Set("address", ops::ToText(dest.id.address));
  object.Set("port", dest.id.port);
  object.Set("method", ToWord(kMethods, static_cast<uint8_t>(dest.method)));
  object.Set("weight", dest.weight);
  object.Set("upper", dest.upper);
  object.Set("lower", dest.lower);
  if (info.partial) object.Set("partial", true);
  Napi::Object counters = Napi::Object::New(env);
  counters.Set("activeConnections", info.active);
  counters.Set("inactiveConnections", info.inactive);
  counters.Set("persistentConnections", info.persistent);
  SetStats(counters, info.stats);
  object.Set("counters", counters);
}

void FromIpvsTimeouts(Napi::Object object, const ops::IpvsTimeouts& timeouts) {
  object.Set("tcp", timeouts.tcp);
  object.Set("tcpFin", timeouts.tcp_fin);
  object.Set("udp", timeouts.udp);
}

}  // namespace warren::addon
