#pragma once

#include <napi.h>

#include <string>

#include "addon/fields.h"
#include "nl/netns.h"
#include "ops/addr.h"
#include "ops/fdb.h"
#include "ops/link.h"
#include "ops/neigh.h"
#include "ops/route.h"
#include "ops/rule.h"

namespace warren::addon {

// The part of convert.h that knows links (convert_link.cc), and what lies on them (convert_rtnl.cc).

nl::Netns ReadNetns(Napi::Value value, const std::string& where, std::string* error);
ops::Link ReadLink(Napi::Value value, const std::string& where, std::string* error);
ops::Addr ReadAddr(Napi::Value value, const std::string& where, std::string* error);
ops::Route ReadRoute(Napi::Value value, const std::string& where, std::string* error);
ops::Rule ReadRule(Napi::Value value, const std::string& where, std::string* error);
ops::Neigh ReadNeigh(Napi::Value value, const std::string& where, std::string* error);
ops::Fdb ReadFdb(Napi::Value value, const std::string& where, std::string* error);

void FromLink(Napi::Env env, Napi::Object object, const ops::Link& link);
void FromAddr(Napi::Object object, const ops::Addr& addr);
void FromRule(Napi::Object object, const ops::Rule& rule);
void FromNeigh(Napi::Object object, const ops::Neigh& neigh);
void FromFdb(Napi::Object object, const ops::Fdb& fdb);
void FromRoute(Napi::Object object, const ops::Route& route);

}  // namespace warren::addon
