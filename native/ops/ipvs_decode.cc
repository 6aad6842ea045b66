#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>

#include <algorithm>
#include <bit>

#include "ops/ipvs.h"

namespace warren::ops {

namespace {

constexpr uint32_t kSchedFlags = IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2 | IP_VS_SVC_F_SCHED3;
constexpr uint32_t kKnownFlags = kSchedFlags | IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_HASHED | IP_VS_SVC_F_ONEPACKET;

// The one nest of a message that has the type.
bool FindNest(nl::Bytes payload, uint16_t type, nl::Bytes* nest) {
  genlmsghdr header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  bool found = false;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    if (attr.type != type) continue;
    *nest = attr.data;
    found = true;
  }
  return found && !reader.bad();
}

bool DecodeUnion(nl::Bytes data, uint16_t family, Ip* ip) {
  const size_t size = family == AF_INET ? 4 : 16;
  return data.size() >= size && DecodeIp(data.first(size), static_cast<uint8_t>(family), ip);
}

void DecodeStats(nl::Bytes nest, IpvsStats* stats) {
  nl::Reader reader(nest);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IPVS_STATS_ATTR_CONNS:
        attr.U64(&stats->connections);
        break;
      case IPVS_STATS_ATTR_INPKTS:
        attr.U64(&stats->in_packets);
        break;
      case IPVS_STATS_ATTR_OUTPKTS:
        attr.U64(&stats->out_packets);
        break;
      case IPVS_STATS_ATTR_INBYTES:
        attr.U64(&stats->in_bytes);
        break;
      case IPVS_STATS_ATTR_OUTBYTES:
        attr.U64(&stats->out_bytes);
        break;
    }
  }
}

// False when it has holes, or is of no such length.
bool DecodeNetmask(uint32_t wire, uint8_t family, std::optional<uint8_t>* netmask) {
  if (family == AF_INET6) {
    *netmask = static_cast<uint8_t>(std::min(wire, uint32_t{128}));
    return wire <= 128;
  }
  const uint32_t mask = ntohl(wire);
  *netmask = static_cast<uint8_t>(std::countl_one(mask));
  return std::popcount(mask) == std::countl_one(mask);
}

void DecodeFlags(nl::Bytes data, uint32_t timeout, IpvsServiceInfo* info) {
  ip_vs_flags flags{};
  if (data.size() != sizeof flags) {
    info->partial = true;
    return;
  }
  std::memcpy(&flags, data.data(), sizeof flags);
  IpvsService& service = info->service;
  service.one_packet = (flags.flags & IP_VS_SVC_F_ONEPACKET) != 0;
  service.sched_flags = flags.flags & kSchedFlags;
  const bool persistent = (flags.flags & IP_VS_SVC_F_PERSISTENT) != 0;
  if (persistent) service.persistent = timeout;
  if ((flags.flags & ~kKnownFlags) || (persistent && timeout == 0)) info->partial = true;
}

}  // namespace

bool DecodeIpvsService(nl::Bytes payload, IpvsServiceInfo* info) {
  nl::Bytes nest, address, flags;
  if (!FindNest(payload, IPVS_CMD_ATTR_SERVICE, &nest)) return false;
  IpvsService& service = info->service;
  uint16_t family = 0;
  uint32_t timeout = 0, netmask = 0;
  std::string engine;
  nl::Reader reader(nest);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IPVS_SVC_ATTR_AF:
        attr.U16(&family);
        break;
      case IPVS_SVC_ATTR_PROTOCOL:
        attr.U16(&service.key.proto);
        break;
      case IPVS_SVC_ATTR_ADDR:
        address = attr.data;
        break;
      case IPVS_SVC_ATTR_PORT:
        attr.Be16(&service.key.port);
        break;
      case IPVS_SVC_ATTR_FWMARK:
        attr.U32(&service.key.fwmark);
        break;
      case IPVS_SVC_ATTR_SCHED_NAME:
        attr.String(&service.scheduler);
        break;
      case IPVS_SVC_ATTR_PE_NAME:
        attr.String(&engine);
        break;
      case IPVS_SVC_ATTR_FLAGS:
        flags = attr.data;
        break;
      case IPVS_SVC_ATTR_TIMEOUT:
        attr.U32(&timeout);
        break;
      case IPVS_SVC_ATTR_NETMASK:
        attr.U32(&netmask);
        break;
      case IPVS_SVC_ATTR_STATS64:
        DecodeStats(attr.data, &info->stats);
        break;
    }
  }
  if (reader.bad() || (family != AF_INET && family != AF_INET6)) return false;
  service.key.family = static_cast<uint8_t>(family);
  if (service.key.fwmark == 0 && !DecodeUnion(address, family, &service.key.address)) return false;
  DecodeFlags(flags, timeout, info);
  if (!DecodeNetmask(netmask, service.key.family, &service.netmask) || !engine.empty()) info->partial = true;
  return true;
}

bool DecodeIpvsDest(nl::Bytes payload, const IpvsKey& service, IpvsDestInfo* info) {
  nl::Bytes nest, address;
  if (!FindNest(payload, IPVS_CMD_ATTR_DEST, &nest)) return false;
  IpvsDest& dest = info->dest;
  dest.id.service = service;
  uint16_t family = service.family;  // old kernels know no other
  uint8_t tunnel = 0;
  nl::Reader reader(nest);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case IPVS_DEST_ATTR_ADDR_FAMILY:
        attr.U16(&family);
        break;
      case IPVS_DEST_ATTR_ADDR:
        address = attr.data;
        break;
      case IPVS_DEST_ATTR_PORT:
        attr.Be16(&dest.id.port);
        break;
      case IPVS_DEST_ATTR_FWD_METHOD:
        attr.U32(&dest.method);
        break;
      case IPVS_DEST_ATTR_WEIGHT:
        attr.U32(&dest.weight);
        break;
      case IPVS_DEST_ATTR_U_THRESH:
        attr.U32(&dest.upper);
        break;
      case IPVS_DEST_ATTR_L_THRESH:
        attr.U32(&dest.lower);
        break;
      case IPVS_DEST_ATTR_ACTIVE_CONNS:
        attr.U32(&info->active);
        break;
      case IPVS_DEST_ATTR_INACT_CONNS:
        attr.U32(&info->inactive);
        break;
      case IPVS_DEST_ATTR_PERSIST_CONNS:
        attr.U32(&info->persistent);
        break;
      case IPVS_DEST_ATTR_TUN_TYPE:
        attr.U8(&tunnel);
        break;
      case IPVS_DEST_ATTR_STATS64:
        DecodeStats(attr.data, &info->stats);
        break;
    }
  }
  if (reader.bad() || (family != AF_INET && family != AF_INET6)) return false;
  dest.method &= IP_VS_CONN_F_FWD_MASK;
  const bool known =
      dest.method == IP_VS_CONN_F_MASQ || dest.method == IP_VS_CONN_F_TUNNEL || dest.method == IP_VS_CONN_F_DROUTE;
  info->partial = !known || tunnel != IP_VS_CONN_F_TUNNEL_TYPE_IPIP;
  return DecodeUnion(address, family, &dest.id.address);
}

}  // namespace warren::ops
