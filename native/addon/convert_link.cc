#include <linux/if_link.h>

#include "addon/convert_rtnl.h"
#include "addon/list.h"

namespace warren::addon {

using ops::Ip;

nl::Netns ReadNetns(Napi::Value value, const std::string& where, std::string* error) {
  nl::Netns netns;
  Fields fields(value, where, error);
  fields.Read("path", &netns.path);
  fields.Read("dev", &netns.dev);
  fields.Read("inode", &netns.inode);
  return netns;
}

ops::Link ReadLink(Napi::Value value, const std::string& where, std::string* error) {
  ops::Link link;
  Fields fields(value, where, error);
  fields.Read("name", &link.name);
  if (fields.ok() && (link.name.empty() || link.name.size() > 15)) fields.Fail("name", "1 to 15 characters");
  fields.Read("kind", &link.kind);
  fields.Read("mtu", &link.mtu);
  fields.Read("address", &link.address);
  ops::Mac mac;
  if (fields.ok() && link.address && !ops::ParseMac(*link.address, &mac)) fields.Fail("address", "a MAC address");
  fields.Read("up", &link.up);
  if (fields.Has("master")) {
    if (fields.Get("master").IsNull()) {
      link.master = "";
    } else {
      fields.Read("master", &link.master);
    }
  }
  fields.Read("group", &link.group);
  std::optional<std::string> mode;
  fields.Read("addrGenMode", &mode);
  if (mode && *mode != "eui64" && *mode != "none") fields.Fail("addrGenMode", "eui64 or none");
  if (mode) link.addr_gen_mode = *mode == "none" ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64;
  fields.Read("tso", &link.tso);
  if (fields.Has("vxlan")) {
    ops::Vxlan& vxlan = link.vxlan.emplace();
    Fields data(fields.Get("vxlan"), fields.Where("vxlan"), error);
    data.Read("vni", &vxlan.vni);
    data.Read("local", &vxlan.local);
    data.Read("port", &vxlan.port);
    data.Read("learning", &vxlan.learning);
    data.Read("proxy", &vxlan.proxy);
  }
  if (fields.Has("bridge")) {
    ops::Bridge& bridge = link.bridge.emplace();
    Fields data(fields.Get("bridge"), fields.Where("bridge"), error);
    data.Read("stp", &bridge.stp);
    data.Read("mcastSnooping", &bridge.mcast_snooping);
    data.Read("ageingSeconds", &bridge.ageing_seconds);
    if (bridge.ageing_seconds.value_or(0) > 1000000) data.Fail("ageingSeconds", "at most 1000000");
  }
  if (fields.Has("veth")) {
    ops::VethPeer& peer = link.veth.emplace();
    Fields data(fields.Get("veth"), fields.Where("veth"), error);
    Fields inner(data.Get("peer"), data.Where("peer"), error);
    inner.Read("name", &peer.name);
    if (inner.ok() && (peer.name.empty() || peer.name.size() > 15)) inner.Fail("name", "1 to 15 characters");
    if (inner.ok()) peer.netns = ReadNetns(inner.Get("netns"), inner.Where("netns"), error);
    inner.Read("mtu", &peer.mtu);
    inner.Read("address", &peer.address);
  }
  if (fields.Has("port")) {
    ops::PortFlags& port = link.port.emplace();
    Fields data(fields.Get("port"), fields.Where("port"), error);
    data.Read("learning", &port.learning);
    data.Read("flood", &port.flood);
    data.Read("mcastFlood", &port.mcast_flood);
    data.Read("bcastFlood", &port.bcast_flood);
    data.Read("neighSuppress", &port.neigh_suppress);
    data.Read("isolated", &port.isolated);
  }
  if (fields.Has("netns")) link.netns = ReadNetns(fields.Get("netns"), fields.Where("netns"), error);
  if (fields.ok() && (link.vxlan.has_value() + link.bridge.has_value() + link.veth.has_value()) > 1) {
    fields.Fail("", "of one kind");
  }
  return link;
}

namespace {

Napi::Object FromPort(Napi::Env env, const ops::PortFlags& port) {
  Napi::Object object = Napi::Object::New(env);
  SetIf(object, "learning", port.learning);
  SetIf(object, "flood", port.flood);
  SetIf(object, "mcastFlood", port.mcast_flood);
  SetIf(object, "bcastFlood", port.bcast_flood);
  SetIf(object, "neighSuppress", port.neigh_suppress);
  SetIf(object, "isolated", port.isolated);
  return object;
}

}  // namespace

void FromLink(Napi::Env env, Napi::Object object, const ops::Link& link) {
  object.Set("name", link.name);
  SetIf(object, "kind", link.kind);
  SetIf(object, "mtu", link.mtu);
  SetIf(object, "address", link.address);
  SetIf(object, "up", link.up);
  const std::string master = link.master.value_or("");
  object.Set("master", master.empty() ? env.Null() : Napi::Value(Napi::String::New(env, master)));
  SetIf(object, "group", link.group);
  if (link.addr_gen_mode == IN6_ADDR_GEN_MODE_EUI64) object.Set("addrGenMode", "eui64");
  if (link.addr_gen_mode == IN6_ADDR_GEN_MODE_NONE) object.Set("addrGenMode", "none");
  SetIf(object, "tso", link.tso);
  if (link.tx_dropped) object.Set("txDropped", static_cast<double>(*link.tx_dropped));
  if (link.vxlan) {
    Napi::Object vxlan = Napi::Object::New(env);
    vxlan.Set("vni", link.vxlan->vni);
    vxlan.Set("local", ops::ToText(link.vxlan->local));
    vxlan.Set("port", link.vxlan->port);
    vxlan.Set("learning", link.vxlan->learning);
    vxlan.Set("proxy", link.vxlan->proxy);
    object.Set("vxlan", vxlan);
  }
  if (link.bridge) {
    Napi::Object bridge = Napi::Object::New(env);
    bridge.Set("stp", link.bridge->stp);
    bridge.Set("mcastSnooping", link.bridge->mcast_snooping);
    SetIf(bridge, "ageingSeconds", link.bridge->ageing_seconds);
    object.Set("bridge", bridge);
  }
  if (link.port) object.Set("port", FromPort(env, *link.port));
  SetIf(object, "linkNetnsid", link.link_netnsid);
}

}  // namespace warren::addon
