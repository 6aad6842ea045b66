#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "ops/link.h"

namespace warren::ops {

namespace {

constexpr uint32_t kUserHz = 100;  // see link.cc

bool Flag(const nl::Attr& attr) {
  uint8_t value = 0;
  attr.U8(&value);
  return value != 0;
}

// Most links have 6 bytes; tunnels have 4 or 16, and some links none.
std::string HardwareAddress(nl::Bytes data) {
  std::string text;
  for (uint8_t byte : data) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%s%02x", text.empty() ? "" : ":", byte);
    text += digits;
  }
  return text;
}

bool DecodeVxlan(nl::Bytes data, Vxlan* vxlan) {
  nl::Reader reader(data);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IFLA_VXLAN_ID:
        attr.U32(&vxlan->vni);
        break;
      case IFLA_VXLAN_LOCAL:
        DecodeIp(attr.data, AF_INET, &vxlan->local);
        break;
      case IFLA_VXLAN_LOCAL6:
        DecodeIp(attr.data, AF_INET6, &vxlan->local);
        break;
      case IFLA_VXLAN_PORT:
        attr.Be16(&vxlan->port);
        break;
      case IFLA_VXLAN_LEARNING:
        vxlan->learning = Flag(attr);
        break;
      case IFLA_VXLAN_PROXY:
        vxlan->proxy = Flag(attr);
        break;
    }
  }
  return !reader.bad();
}

bool DecodeBridge(nl::Bytes data, Bridge* bridge) {
  nl::Reader reader(data);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t value = 0;
    switch (attr.type) {
      case IFLA_BR_STP_STATE:
        bridge->stp = attr.U32(&value) && value != 0;
        break;
      case IFLA_BR_MCAST_SNOOPING:
        bridge->mcast_snooping = Flag(attr);
        break;
      case IFLA_BR_AGEING_TIME:
        if (attr.U32(&value)) bridge->ageing_seconds = value / kUserHz;
        break;
    }
  }
  return !reader.bad();
}

bool DecodePort(nl::Bytes data, PortFlags* port) {
  nl::Reader reader(data);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IFLA_BRPORT_LEARNING:
        port->learning = Flag(attr);
        break;
      case IFLA_BRPORT_UNICAST_FLOOD:
        port->flood = Flag(attr);
        break;
      case IFLA_BRPORT_MCAST_FLOOD:
        port->mcast_flood = Flag(attr);
        break;
      case IFLA_BRPORT_BCAST_FLOOD:
        port->bcast_flood = Flag(attr);
        break;
      case IFLA_BRPORT_NEIGH_SUPPRESS:
        port->neigh_suppress = Flag(attr);
        break;
      case IFLA_BRPORT_ISOLATED:
        port->isolated = Flag(attr);
        break;
    }
  }
  return !reader.bad();
}

bool DecodeKind(nl::Bytes info, Link* link) {
  std::string kind, slave_kind;
  nl::Bytes data, slave_data;
  nl::Reader reader(info);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IFLA_INFO_KIND:
        attr.String(&kind);
        break;
      case IFLA_INFO_DATA:
        data = attr.data;
        break;
      case IFLA_INFO_SLAVE_KIND:
        attr.String(&slave_kind);
        break;
      case IFLA_INFO_SLAVE_DATA:
        slave_data = attr.data;
        break;
    }
  }
  link->kind = kind;
  if (kind == "vxlan" && !DecodeVxlan(data, &link->vxlan.emplace())) return false;
  if (kind == "bridge" && !DecodeBridge(data, &link->bridge.emplace())) return false;
  if (slave_kind == "bridge" && !DecodePort(slave_data, &link->port.emplace())) return false;
  return !reader.bad();
}

// Kernels append counters; what is needed of them is where it has always been.
bool DecodeTxDropped(nl::Bytes stats, std::optional<uint64_t>* dropped) {
  constexpr size_t kAt = offsetof(rtnl_link_stats64, tx_dropped);
  uint64_t value;
  if (stats.size() < kAt + sizeof value) return false;
  std::memcpy(&value, stats.data() + kAt, sizeof value);
  *dropped = value;
  return true;
}

bool DecodeAfSpec(nl::Bytes spec, Link* link) {
  nl::Reader families(spec);
  for (nl::Attr family; families.Next(&family);) {
    if (family.type != AF_INET6) continue;
    nl::Reader reader(family.data);
    for (nl::Attr attr; reader.Next(&attr);) {
      uint8_t mode = 0;
      if (attr.type == IFLA_INET6_ADDR_GEN_MODE && attr.U8(&mode)) link->addr_gen_mode = mode;
    }
    if (reader.bad()) return false;
  }
  return !families.bad();
}

}  // namespace

bool DecodeLink(nl::Bytes payload, LinkInfo* info) {
  ifinfomsg header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Link& link = info->link;
  info->index = static_cast<uint32_t>(header.ifi_index);
  link.up = (header.ifi_flags & IFF_UP) != 0;
  // A bridge tells of its ports in a family of its own, with the port's flags and not much else.
  const bool of_bridge = header.ifi_family == AF_BRIDGE;
  if (!of_bridge) link.kind = "";
  bool good = true;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t value = 0;
    switch (attr.type) {
      case IFLA_IFNAME:
        attr.String(&link.name);
        break;
      case IFLA_MTU:
        if (attr.U32(&value)) link.mtu = value;
        break;
      case IFLA_ADDRESS:
        link.address = HardwareAddress(attr.data);
        break;
      case IFLA_MASTER:
        attr.U32(&info->master);
        break;
      case IFLA_GROUP:
        if (attr.U32(&value)) link.group = value;
        break;
      case IFLA_LINK_NETNSID:
        if (int32_t nsid = 0; attr.I32(&nsid)) link.link_netnsid = nsid;
        break;
      case IFLA_STATS64:
        good = DecodeTxDropped(attr.data, &link.tx_dropped) && good;
        break;
      case IFLA_PROTINFO:
        if (of_bridge) good = DecodePort(attr.data, &link.port.emplace()) && good;
        break;
      case IFLA_LINKINFO:
        good = DecodeKind(attr.data, &link) && good;
        break;
      case IFLA_AF_SPEC:
        if (!of_bridge) good = DecodeAfSpec(attr.data, &link) && good;
        break;
    }
  }
  if (!link.vxlan) link.tx_dropped.reset();
  return good && !reader.bad() && !link.name.empty();
}

}  // namespace warren::ops
