#include "addon/convert.h"
#include "addon/convert_rtnl.h"
#include "addon/list.h"

namespace warren::addon {

namespace {

Napi::Array FromNews(Napi::Env env, const std::vector<News>& news) {
  return List(env, news, [&](Napi::Object object, const News& each) {
    Napi::Object item = Napi::Object::New(env);
    const char* const nouns[] = {"links", "addrs", "routes", "rules", "neighs", "fdb"};
    object.Set("noun", nouns[each.item.index()]);
    object.Set("gone", each.gone);
    SetIf(object, "nsid", each.nsid);
    if (!each.renamed.empty()) object.Set("renamed", each.renamed);
    struct {
      Napi::Env env;
      Napi::Object item;
      void operator()(const ops::Link& link) { FromLink(env, item, link); }
      void operator()(const ops::Addr& addr) { FromAddr(item, addr); }
      void operator()(const ops::Route& route) { FromRoute(item, route); }
      void operator()(const ops::Rule& rule) { FromRule(item, rule); }
      void operator()(const ops::Neigh& neigh) { FromNeigh(item, neigh); }
      void operator()(const ops::Fdb& fdb) { FromFdb(item, fdb); }
    } convert{env, item};
    std::visit(convert, each.item);
    object.Set("item", item);
  });
}

Napi::Array FromExpired(Napi::Env env, const std::vector<ops::SaExpire>& expired) {
  return List(env, expired, [](Napi::Object object, const ops::SaExpire& expire) {
    object.Set("dst", ops::ToText(expire.id.dst));
    object.Set("spi", expire.id.spi);
    object.Set("reqid", expire.reqid);
    object.Set("hard", expire.hard);
  });
}

Napi::Array FromMapped(Napi::Env env, const std::vector<ops::SaMapping>& mapped) {
  return List(env, mapped, [](Napi::Object object, const ops::SaMapping& mapping) {
    object.Set("dst", ops::ToText(mapping.id.dst));
    object.Set("spi", mapping.id.spi);
    object.Set("reqid", mapping.reqid);
    object.Set("src", ops::ToText(mapping.src));
    object.Set("sport", mapping.sport);
  });
}

}  // namespace

Napi::Object FromHint(Napi::Env env, const Hint& hint) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("news", FromNews(env, hint.news));
  object.Set("expired", FromExpired(env, hint.expired));
  object.Set("mapped", FromMapped(env, hint.mapped));
  Napi::Array ruled = Napi::Array::New(env);
  for (const int32_t nsid : hint.ruled) ruled.Set(ruled.Length(), nsid);
  object.Set("ruled", ruled);
  object.Set("vague", hint.vague);
  return object;
}

}  // namespace warren::addon
