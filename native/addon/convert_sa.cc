#include "addon/convert_xfrm.h"
#include "addon/words.h"

namespace warren::addon {

namespace {

// Smaller ones are reserved (RFC 4303).
constexpr uint32_t kFirstSpi = 256;
// The kernel's own limits: XFRMA_REPLAY_ESN_MAX, and the size of alg_name.
constexpr uint32_t kMaxWindow = 4096;
constexpr size_t kMaxAlgName = 63;
constexpr size_t kMaxKey = 512;

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
  const size_t length = sa.aead->name.size();
  if (aead.ok() && (length == 0 || length > kMaxAlgName)) aead.Fail("name", "1 to 63 characters");
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
  fields.Read("keepalive", &sa.keepalive);
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
  if (sa.keepalive) object.Set("keepalive", *sa.keepalive);
  SetLimit(env, object, "soft", sa.soft);
  SetLimit(env, object, "hard", sa.hard);
  if (info.partial) object.Set("partial", true);
  object.Set("counters", FromCounters(env, info.counters));
}

}  // namespace warren::addon
