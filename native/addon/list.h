#pragma once

#include <napi.h>

#include <optional>
#include <vector>

namespace warren::addon {

// `each` fills the object an item becomes.
template <typename T, typename Each>
Napi::Array List(Napi::Env env, const std::vector<T>& items, Each each) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); ++i) {
    Napi::HandleScope scope(env);
    Napi::Object object = Napi::Object::New(env);
    each(object, items[i]);
    array.Set(i, object);
  }
  return array;
}

// Absent is undefined.
template <typename T>
void SetIf(Napi::Object object, const char* key, const std::optional<T>& value) {
  if (value) object.Set(key, *value);
}

}  // namespace warren::addon
