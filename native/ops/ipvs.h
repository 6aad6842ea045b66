#pragma once

// Virtual services and their destinations.
//
//   new  := nlmsghdr(family) genlmsghdr(NEW_SERVICE|SET_SERVICE) SERVICE
//         | nlmsghdr(family) genlmsghdr(NEW_DEST|SET_DEST) SERVICE DEST
//   del  := nlmsghdr(family) genlmsghdr(DEL_SERVICE) SERVICE | nlmsghdr(family) genlmsghdr(DEL_DEST) SERVICE DEST
//   dump := nlmsghdr(family) genlmsghdr(GET_SERVICE) | nlmsghdr(family) genlmsghdr(GET_DEST) SERVICE
//   set  := nlmsghdr(family) genlmsghdr(SET_CONFIG) TIMEOUT_TCP TIMEOUT_TCP_FIN TIMEOUT_UDP
//   get  := nlmsghdr(family) genlmsghdr(GET_CONFIG), answered by a `set`
//   SERVICE := AF key [SCHED_NAME FLAGS TIMEOUT NETMASK] [PE_NAME] [STATS64 …]
//   key     := FWMARK | PROTOCOL ADDR PORT
//   DEST    := ADDR_FAMILY ADDR PORT [FWD_METHOD WEIGHT U_THRESH L_THRESH] [TUN_TYPE …] [ACTIVE_CONNS …] [STATS64 …]
//
// Addresses are 16 bytes whatever their family, which is told beside them. NETMASK is a mask in network order with IPv4,
// and a length in host order with IPv6.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

// Packets to an address and port, or of a family with a mark.
struct IpvsKey {
  uint8_t family = 0;   // AF_INET, AF_INET6
  uint32_t fwmark = 0;  // 0: it is an address and port
  uint16_t proto = 0;   // IPPROTO_TCP, IPPROTO_UDP
  Ip address;
  uint16_t port = 0;
};

struct IpvsService {
  IpvsKey key;
  std::string scheduler;
  std::optional<uint32_t> persistent;  // seconds that a client keeps its destination
  std::optional<uint8_t> netmask;      // how many bits of its address make a client; absent in requests is all
  bool one_packet = false;
  uint32_t sched_flags = 0;  // IP_VS_SVC_F_SCHED1 …
};

struct IpvsDestId {
  IpvsKey service;
  Ip address;
  uint16_t port = 0;
};

struct IpvsDest {
  IpvsDestId id;
  uint32_t method = 0;  // IP_VS_CONN_F_MASQ, _TUNNEL, _DROUTE
  uint32_t weight = 0;
  uint32_t upper = 0, lower = 0;  // connections; 0 is no limit
};

// Seconds after which a connection without packets is forgotten, of the whole namespace.
struct IpvsTimeouts {
  uint32_t tcp = 0, tcp_fin = 0, udp = 0;  // read: 0 when the kernel does not balance the protocol
};

struct IpvsStats {
  uint64_t connections = 0;
  uint64_t in_packets = 0, out_packets = 0;
  uint64_t in_bytes = 0, out_bytes = 0;
};

struct IpvsServiceInfo {
  IpvsService service;
  IpvsStats stats;
  bool partial = false;  // it has what an IpvsService cannot express: a persistence engine, a mask with holes
};

struct IpvsDestInfo {
  IpvsDest dest;
  uint32_t active = 0, inactive = 0, persistent = 0;  // connections now
  IpvsStats stats;
  bool partial = false;  // another way of forwarding, a tunnel that is not IP in IP
};

// Encoders fail with EPROTONOSUPPORT when the kernel has no IPVS.

// EEXIST when there is one. ENOENT: no such scheduler. Equivalent to:
// `ipvsadm -A {-t|-u} ADDRESS:PORT|-f MARK [-6] -s SCHEDULER [-b FLAGS] [-p SECONDS [-M NETMASK]] [-o]`
nl::Status EncodeIpvsAdd(Resolver* resolver, const IpvsService& service, nl::Message* message);
// In place: destinations and connections stay. ESRCH when there is none. Equivalent to: `ipvsadm -E …`
nl::Status EncodeIpvsChange(Resolver* resolver, const IpvsService& service, nl::Message* message);
// With its destinations. ESRCH when there is none. Equivalent to: `ipvsadm -D {-t|-u} ADDRESS:PORT|-f MARK [-6]`
nl::Status EncodeIpvsDel(Resolver* resolver, const IpvsKey& key, nl::Message* message);

// EEXIST when there is one, ESRCH when there is no such service. Equivalent to:
// `ipvsadm -a {-t|-u|-f} SERVICE -r ADDRESS:PORT {-g|-m|-i} -w WEIGHT [-x UPPER] [-y LOWER]`
nl::Status EncodeIpvsDestAdd(Resolver* resolver, const IpvsDest& dest, nl::Message* message);
// In place: connections stay. ENOENT when there is none. Equivalent to: `ipvsadm -e …`
nl::Status EncodeIpvsDestChange(Resolver* resolver, const IpvsDest& dest, nl::Message* message);
// ENOENT when there is none, ESRCH when there is no such service. Equivalent to:
// `ipvsadm -d {-t|-u|-f} SERVICE -r ADDRESS:PORT`
nl::Status EncodeIpvsDestDel(Resolver* resolver, const IpvsDestId& id, nl::Message* message);

// A timeout of 0 stays what it is. Equivalent to: `ipvsadm --set TCP TCPFIN UDP`
nl::Status EncodeIpvsTimeoutsSet(Resolver* resolver, const IpvsTimeouts& timeouts, nl::Message* message);

// REQUIRES: payload of an IPVS_CMD_NEW_SERVICE. False when malformed.
bool DecodeIpvsService(nl::Bytes payload, IpvsServiceInfo* info);
// REQUIRES: payload of an IPVS_CMD_NEW_DEST of a dump of `service`'s, which it does not name. False when malformed.
bool DecodeIpvsDest(nl::Bytes payload, const IpvsKey& service, IpvsDestInfo* info);

// REQUIRES: payload of an IPVS_CMD_SET_CONFIG. False when malformed.
bool DecodeIpvsTimeouts(nl::Bytes payload, IpvsTimeouts* timeouts);

// All services, and the destinations of each in turn: the kernel has no dump of both that is of one moment.
// EPROTONOSUPPORT: the kernel has no IPVS. Equivalent to: `ipvsadm -Ln --stats`
nl::Status IpvsList(Session* session, std::vector<IpvsServiceInfo>* services, std::vector<IpvsDestInfo>* dests);
// The destinations of one service, none where there is no such service: what it costs does not grow with the others.
// EPROTONOSUPPORT: the kernel has no IPVS. Equivalent to: `ipvsadm -Ln {-t|-u} ADDRESS:PORT`
nl::Status IpvsDestsOf(Session* session, const IpvsKey& key, std::vector<IpvsDestInfo>* dests);
// EPROTONOSUPPORT: the kernel has no IPVS. Equivalent to: `ipvsadm -L --timeout`
nl::Status IpvsTimeoutsGet(Session* session, IpvsTimeouts* timeouts);

}  // namespace warren::ops
