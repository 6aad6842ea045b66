#include "addon/convert_xfrm.h"
#include "addon/list.h"
#include "addon/words.h"

namespace warren::addon {

namespace {

constexpr uint32_t kMaxTmpls = 6;  // XFRM_MAX_DEPTH

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
