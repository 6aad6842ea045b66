#include "addon/convert_xfrm.h"

#include <linux/xfrm.h>
#include <netinet/in.h>

#include "addon/list.h"

namespace warren::addon {

namespace {

// Smaller ones are reserved (RFC 4303).
constexpr uint32_t kFirstSpi = 256;
// The kernel's own limits: XFRMA_REPLAY_ESN_MAX, and the size of alg_name.
constexpr uint32_t kMaxWindow = 4096;
constexpr size_t kMaxAlgName = 63;
constexpr size_t kMaxKey = 512;
constexpr uint32_t kMaxTmpls = 6;  // XFRM_MAX_DEPTH

struct Word {
  const char* name;
  uint8_t value;
};
constexpr Word kModes[] = {{"transport", XFRM_MODE_TRANSPORT}, {"tunnel", XFRM_MODE_TUNNEL}};
constexpr Word kProtos[] = {{"esp", IPPROTO_ESP}, {"ah", IPPROTO_AH}, {"comp", IPPROTO_COMP}};
constexpr Word kDirs[] = {{"in", XFRM_POLICY_IN}, {"out", XFRM_POLICY_OUT}, {"fwd", XFRM_POLICY_FWD}};

template <size_t N>
const char* ToWord(const Word (&words)[N], uint8_t value) {
  for (const Word& word : words) {
    if (word.value == value) return word.name;
  }
  return "other";
}

// One of the first `count` words.
template <size_t N>
uint8_t ReadWord(Fields* fields, const char* key, const Word (&words)[N], size_t count = N) {
  std::string text, all;
  fields->Read(key, &text);
  for (size_t i = 0; i < count; ++i) {
    if (text == words[i].name) return words[i].value;
    all += std::string(i > 0 ? " or " : "") + words[i].name;
  }
  if (fields->ok()) fields->Fail(key, all);
  return 0;
}

void ReadSaIdFields(Fields* fields, ops::SaId* id) {
  fields->Read("dst", &id->dst);
  fields->Read("spi", &id->spi);
  if (fields->ok() && id->spi < kFirstSpi) fields->Fail("spi", "256 or more");
}

ops::SaLimit ReadLimit(Napi::Value value, const std::string& where, std::string* error) {
  ops::SaLimit limit;
  Fields fields(value, where, error);
  fields.Read("bytes", &limit.bytes);
  fields.Read("packets", &limit.packets);
  fields.Read("seconds", &limit.seconds);
  fields.Read("useSeconds", &limit.use_seconds);
  return limit;
}

ops::PortMatch ReadPort(Fields* fields, const char* key, const char* mask_key) {
  std::optional<uint16_t> port, mask;
  fields->Read(key, &port);
  fields->Read(mask_key, &mask);
  if (fields->ok() && mask && !port) fields->Fail(mask_key, std::string("given only with ") + key);
  if (fields->ok() && mask == 0) fields->Fail(mask_key, "1 or more");
  if (!port) return {};
  return {*port, mask.value_or(0xffff)};
}

ops::Selector ReadSelector(Napi::Value value, const std::string& where, std::string* error) {
  ops::Selector selector;
  Fields fields(value, where, error);
  fields.Read("src", &selector.src);
  fields.Read("dst", &selector.dst);
  if (fields.ok() && selector.src.ip.family != selector.dst.ip.family) fields.Fail("src", "of dst's family");
  std::optional<uint8_t> proto;
  fields.Read("proto", &proto);
  selector.proto = proto.value_or(0);
  selector.sport = ReadPort(&fields, "sport", "sportMask");
  selector.dport = ReadPort(&fields, "dport", "dportMask");
  return selector;
}

ops::Tmpl ReadTmpl(Napi::Value value, const std::string& where, std::string* error) {
  ops::Tmpl tmpl;
  Fields fields(value, where, error);
  fields.Read("src", &tmpl.src);
  fields.Read("dst", &tmpl.dst);
  if (fields.ok() && tmpl.src.family != tmpl.dst.family) fields.Fail("src", "of dst's family");
  tmpl.proto = ReadWord(&fields, "proto", kProtos, 1);
  tmpl.mode = ReadWord(&fields, "mode", kModes, 1);
  fields.Read("reqid", &tmpl.reqid);
  std::optional<uint32_t> spi;
  fields.Read("spi", &spi);
  tmpl.spi = spi.value_or(0);
  if (fields.ok() && fields.Has("optional")) fields.Fail("optional", "absent: what may be left out protects nothing");
  return tmpl;
}

void SetLimit(Napi::Env env, Napi::Object object, const char* key, const ops::SaLimit& limit) {
  if (!limit.bytes && !limit.packets && !limit.seconds && !limit.use_seconds) return;
  Napi::Object inner = Napi::Object::New(env);
  const auto set = [&inner](const char* name, const std::optional<uint64_t>& value) {
    if (value) inner.Set(name, static_cast<double>(*value));
  };
  set("bytes", limit.bytes);
  set("packets", limit.packets);
  set("seconds", limit.seconds);
  set("useSeconds", limit.use_seconds);
  object.Set(key, inner);
}

Napi::Object FromCounters(Napi::Env env, const ops::SaCounters& counters) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", static_cast<double>(counters.bytes));
  object.Set("packets", static_cast<double>(counters.packets));
  object.Set("addTime", static_cast<double>(counters.add_time));
  if (counters.use_time != 0) object.Set("useTime", static_cast<double>(counters.use_time));
  object.Set("oseq", static_cast<double>(counters.oseq));
  object.Set("seq", static_cast<double>(counters.seq));
  object.Set("replayWindow", counters.replay_window);
  object.Set("replay", counters.replay);
  object.Set("integrityFailed", counters.integrity_failed);
  return object;
}

void SetPort(Napi::Object object, const char* key, const char* mask_key, const ops::PortMatch& match) {
  if (match.mask == 0) return;
  object.Set(key, match.port);
  if (match.mask != 0xffff) object.Set(mask_key, match.mask);
}

Napi::Object FromSelector(Napi::Env env, const ops::Selector& selector) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("src", ops::ToText(selector.src));
  object.Set("dst", ops::ToText(selector.dst));
  if (selector.proto != 0) object.Set("proto", selector.proto);
  SetPort(object, "sport", "sportMask", selector.sport);
  SetPort(object, "dport", "dportMask", selector.dport);
  return object;
}

void FromTmpl(Napi::Object object, const ops::Tmpl& tmpl) {
  object.Set("src", ops::ToText(tmpl.src));
  object.Set("dst", ops::ToText(tmpl.dst));
  object.Set("proto", ToWord(kProtos, tmpl.proto));
  object.Set("mode", ToWord(kModes, tmpl.mode));
  object.Set("reqid", tmpl.reqid);
  if (tmpl.spi != 0) object.Set("spi", tmpl.spi);
  if (tmpl.optional) object.Set("optional", true);
}

}  // namespace

ops::SaId ReadSaId(Napi::Value value, const std::string& where, std::string* error) {
  ops::SaId id;
  Fields fields(value, where, error);
  ReadSaIdFields(&fields, &id);
  return id;
}

ops::Sa ReadSa(Napi::Value value, const std::string& where, std::string* error) {
  ops::Sa sa;
  Fields fields(value, where, error);
  ReadSaIdFields(&fields, &sa.id);
  fields.Read("src", &sa.src);
  if (fields.ok() && sa.src.family != sa.id.dst.family) fields.Fail("src", "of dst's family");
  fields.Read("reqid", &sa.reqid);
  sa.mode = ReadWord(&fields, "mode", kModes, 1);
  Fields aead(fields.Get("aead"), fields.Where("aead"), error);
  sa.aead.emplace();
  aead.Read("name", &sa.aead->name);
  if (aead.ok() && (sa.aead->name.empty() || sa.aead->name.size() > kMaxAlgName)) aead.Fail("name", "1 to 63 characters");
  aead.Read("icv", &sa.aead->icv);
  std::optional<bool> esn;
  fields.Read("esn", &esn);
  sa.esn = esn.value_or(false);
  std::optional<uint32_t> window;
  fields.Read("replayWindow", &window);
  sa.replay_window = window.value_or(0);
  if (fields.ok() && sa.replay_window > kMaxWindow) fields.Fail("replayWindow", "at most 4096");
  if (fields.Has("dir")) sa.out = ReadWord(&fields, "dir", kDirs, 2) == XFRM_POLICY_OUT;
  if (fields.Has("encap")) {
    ops::Encap& encap = sa.encap.emplace();
    Fields data(fields.Get("encap"), fields.Where("encap"), error);
    data.Read("sport", &encap.sport);
    data.Read("dport", &encap.dport);
  }
  if (fields.Has("soft")) sa.soft = ReadLimit(fields.Get("soft"), fields.Where("soft"), error);
  if (fields.Has("hard")) sa.hard = ReadLimit(fields.Get("hard"), fields.Where("hard"), error);
  if (fields.ok() && fields.Has("partial")) fields.Fail("partial", "absent: it was read only in part");
  return sa;
}

nl::Secret ReadKey(Fields* fields) {
  nl::Secret key;
  fields->Read("key", &key);
  if (fields->ok() && (key.empty() || key.size() > kMaxKey)) fields->Fail("key", "1 to 512 bytes");
  return key;
}

ops::PolicyId ReadPolicyId(Napi::Value value, const std::string& where, std::string* error) {
  ops::PolicyId id;
  Fields fields(value, where, error);
  id.dir = ReadWord(&fields, "dir", kDirs);
  if (fields.ok()) id.selector = ReadSelector(fields.Get("selector"), fields.Where("selector"), error);
  return id;
}

ops::Policy ReadPolicy(Napi::Value value, const std::string& where, std::string* error) {
  ops::Policy policy;
  policy.id = ReadPolicyId(value, where, error);
  Fields fields(value, where, error);
  fields.Read("priority", &policy.priority);
  std::string action;
  fields.Read("action", &action);
  if (fields.ok() && action != "allow" && action != "block") fields.Fail("action", "allow or block");
  policy.block = action == "block";
  const Napi::Value tmpls = fields.Get("tmpls");
  if (!fields.ok()) return policy;
  if (!tmpls.IsArray() || tmpls.As<Napi::Array>().Length() > kMaxTmpls) {
    fields.Fail("tmpls", "an array of at most 6");
    return policy;
  }
  for (uint32_t i = 0; i < tmpls.As<Napi::Array>().Length() && fields.ok(); ++i) {
    policy.tmpls.push_back(ReadTmpl(tmpls.As<Napi::Array>().Get(i), fields.Where("tmpls[]"), error));
  }
  if (fields.ok() && fields.Has("partial")) fields.Fail("partial", "absent: it was read only in part");
  return policy;
}

void FromSa(Napi::Env env, Napi::Object object, const ops::SaInfo& info) {
  const ops::Sa& sa = info.sa;
  object.Set("dst", ops::ToText(sa.id.dst));
  object.Set("spi", sa.id.spi);
  object.Set("src", ops::ToText(sa.src));
  object.Set("reqid", sa.reqid);
  object.Set("mode", ToWord(kModes, sa.mode));
  if (sa.aead) {
    Napi::Object aead = Napi::Object::New(env);
    aead.Set("name", sa.aead->name);
    aead.Set("icv", sa.aead->icv);
    object.Set("aead", aead);
  }
  if (sa.esn) object.Set("esn", true);
  if (sa.replay_window != 0) object.Set("replayWindow", sa.replay_window);
  if (sa.out) object.Set("dir", *sa.out ? "out" : "in");
  if (sa.encap) {
    Napi::Object encap = Napi::Object::New(env);
    encap.Set("sport", sa.encap->sport);
    encap.Set("dport", sa.encap->dport);
    object.Set("encap", encap);
  }
  SetLimit(env, object, "soft", sa.soft);
  SetLimit(env, object, "hard", sa.hard);
  if (info.partial) object.Set("partial", true);
  object.Set("counters", FromCounters(env, info.counters));
}

void FromPolicy(Napi::Env env, Napi::Object object, const ops::PolicyInfo& info) {
  const ops::Policy& policy = info.policy;
  object.Set("dir", ToWord(kDirs, policy.id.dir));
  object.Set("selector", FromSelector(env, policy.id.selector));
  object.Set("priority", policy.priority);
  object.Set("action", policy.block ? "block" : "allow");
  object.Set("tmpls", List(env, policy.tmpls, FromTmpl));
  if (info.partial) object.Set("partial", true);
}

}  // namespace warren::addon
