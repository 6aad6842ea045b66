#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/netns.h"
#include "nl/reader.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct Vxlan {
  uint32_t vni = 0;
  Ip local;
  uint16_t port = 0;
  bool learning = false;
  bool proxy = false;
};

struct Bridge {
  bool stp = false;
  bool mcast_snooping = false;
  std::optional<uint32_t> ageing_seconds;
};

struct VethPeer {
  std::string name;
  nl::Netns netns;
  std::optional<uint32_t> mtu;
  std::optional<Mac> address;
};

struct PortFlags {
  std::optional<bool> learning, flood, mcast_flood, bcast_flood, neigh_suppress, isolated;
};

// In requests an absent field is left alone; in answers it means that there is none.
struct Link {
  std::string name;
  std::optional<std::string> kind;
  std::optional<uint32_t> mtu;
  std::optional<std::string> address;  // parsed by the encoder's caller; text as hardware comes in many lengths
  std::optional<bool> up;
  std::optional<std::string> master;  // "" is none
  std::optional<uint32_t> group;
  std::optional<uint8_t> addr_gen_mode;  // IN6_ADDR_GEN_MODE_*
  std::optional<bool> tso;               // not in any message: offload.h. Read of kind vxlan only
  std::optional<Vxlan> vxlan;
  std::optional<Bridge> bridge;
  std::optional<VethPeer> veth;
  std::optional<PortFlags> port;
  std::optional<nl::Netns> netns;
  std::optional<uint64_t> tx_dropped;   // only in answers, and of kind vxlan only
  std::optional<int32_t> link_netnsid;  // only in answers: where the peer is, by this namespace's number for it
};

// A link as the kernel lists it: its master is an index yet.
struct LinkInfo {
  Link link;
  uint32_t index = 0;
  uint32_t master = 0;
};

// The message that makes the link. What does not fit into it (`FollowsBirth`) is left to EncodeLinkFollow.
// Equivalent to: `ip link add NAME [netns NS] type KIND …`
nl::Status EncodeLinkBirth(Resolver* resolver, const Link& link, nl::Message* message);
bool FollowsBirth(const Link& link);
// REQUIRES: `resolver` speaks of the namespace the link now lives in; the messages are sent one after the other.
// Equivalent to: `ip link set dev NAME addrgenmode … type bridge_slave …; ip link set dev NAME up`
nl::Status EncodeLinkFollow(Resolver* resolver, const Link& link, std::vector<nl::Message>* messages);
// Equivalent to: `ip link set dev NAME [name RENAME] …`
nl::Status EncodeLinkSet(Resolver* resolver, const Link& link, const std::optional<std::string>& rename,
                         std::vector<nl::Message>* messages);
// Equivalent to: `ip link del NAME`, `ip link del group N`
void EncodeLinkDel(const std::string& name, nl::Message* message);
void EncodeLinkDelGroup(uint32_t group, nl::Message* message);

// REQUIRES: payload of an RTM_NEWLINK. False when malformed.
bool DecodeLink(nl::Bytes payload, LinkInfo* info);

nl::Status LinkAdd(Session* session, const Link& link);
nl::Status LinkSet(Session* session, const Link& link, const std::optional<std::string>& rename);
nl::Status LinkDel(Session* session, const std::string& name);
nl::Status LinkDelGroup(Session* session, uint32_t group);
// Equivalent to: `ip -d link`
nl::Status LinkList(Session* session, std::vector<Link>* links);

}  // namespace warren::ops
