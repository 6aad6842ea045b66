#pragma once

#include <napi.h>

#include <string>

#include "ops/ipvs.h"

namespace warren::addon {

// The part of convert.h that knows virtual services.

ops::IpvsKey ReadIpvsKey(Napi::Value value, const std::string& where, std::string* error);
ops::IpvsService ReadIpvsService(Napi::Value value, const std::string& where, std::string* error);
ops::IpvsDestId ReadIpvsDestId(Napi::Value value, const std::string& where, std::string* error);
ops::IpvsDest ReadIpvsDest(Napi::Value value, const std::string& where, std::string* error);
ops::IpvsTimeouts ReadIpvsTimeouts(Napi::Value value, const std::string& where, std::string* error);

void FromIpvsService(Napi::Env env, Napi::Object object, const ops::IpvsServiceInfo& info);
void FromIpvsDest(Napi::Env env, Napi::Object object, const ops::IpvsDestInfo& info);
void FromIpvsTimeouts(Napi::Object object, const ops::IpvsTimeouts& timeouts);

}  // namespace warren::addon
