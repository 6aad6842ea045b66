#pragma once

#include <napi.h>

#include <string>

#include "addon/fields.h"
#include "ops/xfrm_policy.h"
#include "ops/xfrm_sa.h"

namespace warren::addon {

// The part of convert.h that knows IPsec.

ops::Sa ReadSa(Napi::Value value, const std::string& where, std::string* error);
ops::SaId ReadSaId(Napi::Value value, const std::string& where, std::string* error);
// The field `key`.
nl::Secret ReadKey(Fields* fields);
ops::Policy ReadPolicy(Napi::Value value, const std::string& where, std::string* error);
ops::PolicyId ReadPolicyId(Napi::Value value, const std::string& where, std::string* error);

void FromSa(Napi::Env env, Napi::Object object, const ops::SaInfo& info);
void FromPolicy(Napi::Env env, Napi::Object object, const ops::PolicyInfo& info);

}  // namespace warren::addon
