#pragma once

#include <napi.h>

#include <cmath>
#include <optional>
#include <string>

#include "nl/secret.h"
#include "ops/ip.h"

namespace warren::addon {

// Reads the fields of one JS object. Keeps the first thing that was wrong; call sites need not look before the end.
class Fields {
 public:
  Fields(Napi::Value value, std::string where, std::string* error) : where_(std::move(where)), error_(error) {
    if (!error_->empty()) return;
    if (value.IsEmpty() || !value.IsObject()) {
      Fail("", "an object");
    } else {
      object_ = value.As<Napi::Object>();
    }
  }

  bool ok() const { return error_->empty(); }
  std::string Where(const char* key) const { return *key ? where_ + "." + key : where_; }
  void Fail(const char* key, const std::string& what) {
    if (error_->empty()) *error_ = Where(key) + " must be " + what;
  }
  // Undefined when absent.
  Napi::Value Get(const char* key) {
    if (!ok()) return {};
    Napi::Value value = object_.Get(key);
    if (object_.Env().IsExceptionPending()) {
      object_.Env().GetAndClearPendingException();
      Fail(key, "readable");
      return {};
    }
    return value;
  }
  bool Has(const char* key) {
    const Napi::Value value = Get(key);
    return ok() && !value.IsUndefined();
  }

  // Required fields.
  void Read(const char* key, std::string* out) {
    const Napi::Value value = Get(key);
    if (!ok()) return;
    if (!value.IsString()) return Fail(key, "a string");
    *out = value.As<Napi::String>().Utf8Value();
    if (out->find('\0') != std::string::npos) Fail(key, "a string without zero bytes");
  }
  void Read(const char* key, bool* out) {
    const Napi::Value value = Get(key);
    if (!ok()) return;
    if (!value.IsBoolean()) return Fail(key, "a boolean");
    *out = value.As<Napi::Boolean>().Value();
  }
  void Read(const char* key, uint32_t* out) { Integer(key, 0xffffffff, out); }
  void Read(const char* key, uint16_t* out) { Integer(key, 0xffff, out); }
  void Read(const char* key, uint8_t* out) { Integer(key, 0xff, out); }
  void Read(const char* key, uint64_t* out) { Integer(key, 9007199254740991.0, out); }
  void Read(const char* key, ops::Ip* out) {
    std::string text;
    Read(key, &text);
    if (ok() && !ops::ParseIp(text, out)) Fail(key, "an IP address");
  }
  void Read(const char* key, ops::Prefix* out) {
    std::string text;
    Read(key, &text);
    if (ok() && !ops::ParsePrefix(text, out)) Fail(key, "an IP address with /length");
  }
  void Read(const char* key, ops::Mac* out) {
    std::string text;
    Read(key, &text);
    if (ok() && !ops::ParseMac(text, out)) Fail(key, "a MAC address");
  }
  // Copied: the bytes stay the caller's to wipe.
  void Read(const char* key, nl::Secret* out) {
    const Napi::Value value = Get(key);
    if (!ok()) return;
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      return Fail(key, "a Uint8Array");
    }
    const auto bytes = value.As<Napi::Uint8Array>();
    out->assign(bytes.Data(), bytes.Data() + bytes.ByteLength());
  }
  // Optional fields.
  template <typename T>
  void Read(const char* key, std::optional<T>* out) {
    if (Has(key)) Read(key, &out->emplace());
  }

 private:
  template <typename T>
  void Integer(const char* key, double most, T* out) {
    const Napi::Value value = Get(key);
    if (!ok()) return;
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= most) || number != std::floor(number)) {
      char words[64];
      std::snprintf(words, sizeof words, "an integer from 0 to %.0f", most);
      return Fail(key, words);
    }
    *out = static_cast<T>(number);
  }

  Napi::Object object_;
  const std::string where_;
  std::string* const error_;
};

}  // namespace warren::addon
