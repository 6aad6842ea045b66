#include "ops/link.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <cstdio>
#include <unordered_map>

#include "ops/offload.h"

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

// IFLA_BR_AGEING_TIME counts in clock ticks as user space sees them (USER_HZ), 100 on every architecture we know.
constexpr uint32_t kUserHz = 100;

void Header(Message* message, uint32_t index, std::optional<bool> up) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  if (up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *up ? IFF_UP : 0;
  }
  message->Header(header);
}

void PutMac(Message* message, const std::string& text) {
  Mac mac{};
  ParseMac(text, &mac);  // checked where the op came in
  message->Put(IFLA_ADDRESS, "ADDRESS", mac.data(), mac.size());
}

void PutFlag(Message* message, uint16_t type, const char* name, std::optional<bool> flag) {
  if (flag) message->PutU8(type, name, *flag ? 1 : 0);
}

void PutVxlan(Message* message, const Vxlan& vxlan) {
  message->PutU32(IFLA_VXLAN_ID, "VXLAN_ID", vxlan.vni);
  if (vxlan.local.family == AF_INET) PutIp(message, IFLA_VXLAN_LOCAL, "VXLAN_LOCAL", vxlan.local);
  if (vxlan.local.family == AF_INET6) PutIp(message, IFLA_VXLAN_LOCAL6, "VXLAN_LOCAL6", vxlan.local);
  message->PutBe16(IFLA_VXLAN_PORT, "VXLAN_PORT", vxlan.port);
  message->PutU8(IFLA_VXLAN_LEARNING, "VXLAN_LEARNING", vxlan.learning ? 1 : 0);
  message->PutU8(IFLA_VXLAN_PROXY, "VXLAN_PROXY", vxlan.proxy ? 1 : 0);
}

void PutBridge(Message* message, const Bridge& bridge) {
  message->PutU32(IFLA_BR_STP_STATE, "BR_STP_STATE", bridge.stp ? 1 : 0);
  message->PutU8(IFLA_BR_MCAST_SNOOPING, "BR_MCAST_SNOOPING", bridge.mcast_snooping ? 1 : 0);
  if (bridge.ageing_seconds) {
    message->PutU32(IFLA_BR_AGEING_TIME, "BR_AGEING_TIME", *bridge.ageing_seconds * kUserHz);
  }
}

Status PutVeth(Resolver* resolver, Message* message, const VethPeer& peer) {
  int fd = -1;
  if (Status status = resolver->NetnsFd(peer.netns, &fd); !status.ok()) return status;
  const size_t nest = message->Nest(VETH_INFO_PEER, "VETH_INFO_PEER");
  const ifinfomsg header{};  // IFF_UP here is refused: ENOTCONN
  message->Append(&header, sizeof header);
  message->PutString(IFLA_IFNAME, "IFNAME", peer.name);
  message->PutU32(IFLA_NET_NS_FD, "NET_NS_FD", static_cast<uint32_t>(fd));
  if (peer.mtu) message->PutU32(IFLA_MTU, "MTU", *peer.mtu);
  if (peer.address) message->Put(IFLA_ADDRESS, "ADDRESS", peer.address->data(), peer.address->size());
  message->End(nest);
  return Status::Ok();
}

Status PutKind(Resolver* resolver, Message* message, const Link& link) {
  const size_t info = message->Nest(IFLA_LINKINFO, "LINKINFO");
  // Data without its kind is refused; a caller that names only what differs may leave the kind out.
  const std::string implied = link.vxlan ? "vxlan" : link.bridge ? "bridge" : "";
  const std::string kind = link.kind.value_or(implied);
  if (!kind.empty()) message->PutString(IFLA_INFO_KIND, "KIND", kind);
  Status status;
  if (link.vxlan || link.bridge || link.veth) {
    const size_t data = message->Nest(IFLA_INFO_DATA, "DATA");
    if (link.vxlan) PutVxlan(message, *link.vxlan);
    if (link.bridge) PutBridge(message, *link.bridge);
    if (link.veth) status = PutVeth(resolver, message, *link.veth);
    message->End(data);
  }
  message->End(info);
  return status;
}

Status PutMaster(Resolver* resolver, Message* message, const std::string& master) {
  uint32_t index = 0;
  if (!master.empty()) {
    if (Status status = resolver->Index(master, &index); !status.ok()) {
      status.attr = "MASTER";
      if (status.extack.empty()) status.extack = "no link " + master;
      return status;
    }
  }
  message->PutU32(IFLA_MASTER, "MASTER", index);
  return Status::Ok();
}

void PutAddrGenMode(Message* message, uint8_t mode) {
  const size_t spec = message->Nest(IFLA_AF_SPEC, "AF_SPEC");
  const size_t inet6 = message->Nest(AF_INET6, "INET6");
  message->PutU8(IFLA_INET6_ADDR_GEN_MODE, "ADDR_GEN_MODE", mode);
  message->End(inet6);
  message->End(spec);
}

void PutPort(Message* message, const PortFlags& port) {
  const size_t info = message->Nest(IFLA_LINKINFO, "LINKINFO");
  message->PutString(IFLA_INFO_SLAVE_KIND, "SLAVE_KIND", "bridge");
  const size_t data = message->Nest(IFLA_INFO_SLAVE_DATA, "SLAVE_DATA");
  PutFlag(message, IFLA_BRPORT_LEARNING, "BRPORT_LEARNING", port.learning);
  PutFlag(message, IFLA_BRPORT_UNICAST_FLOOD, "BRPORT_UNICAST_FLOOD", port.flood);
  PutFlag(message, IFLA_BRPORT_MCAST_FLOOD, "BRPORT_MCAST_FLOOD", port.mcast_flood);
  PutFlag(message, IFLA_BRPORT_BCAST_FLOOD, "BRPORT_BCAST_FLOOD", port.bcast_flood);
  PutFlag(message, IFLA_BRPORT_NEIGH_SUPPRESS, "BRPORT_NEIGH_SUPPRESS", port.neigh_suppress);
  PutFlag(message, IFLA_BRPORT_ISOLATED, "BRPORT_ISOLATED", port.isolated);
  message->End(data);
  message->End(info);
}

// The kernel makes IPv6 link-local addresses when a link goes up, and puts a port to work: both must be settled before.
// So must what its first packets are like.
bool UpComesLast(const Link& link) { return link.addr_gen_mode || link.port || link.tso; }

// A message about an existing link, found by name. EXCL and CREATE absent: ENODEV when there is none.
Message About(const std::string& name, std::optional<bool> up) {
  Message message(RTM_NEWLINK, 0);
  Header(&message, 0, up);
  message.PutString(IFLA_IFNAME, "IFNAME", name);
  return message;
}

Status SendInOrder(nl::Socket* rtnl, std::vector<Message>* messages) {
  for (Message& message : *messages) {
    if (Status status = rtnl->Request(&message); !status.ok()) return status;
  }
  return Status::Ok();
}

Status SetOffload(Session* session, const Link& link) {
  return link.tso ? TsoSet(*session->rtnl(), link.name, *link.tso) : Status::Ok();
}

}  // namespace

bool FollowsBirth(const Link& link) {
  // IFLA_MASTER would be an index of the other namespace; the rest is not looked at when a link is made.
  return UpComesLast(link) || (link.netns && link.master && !link.master->empty());
}

Status EncodeLinkBirth(Resolver* resolver, const Link& link, Message* message) {
  *message = Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  Header(message, 0, link.up.value_or(false) && !FollowsBirth(link) ? link.up : std::nullopt);
  message->PutString(IFLA_IFNAME, "IFNAME", link.name);
  if (link.netns) {
    int fd = -1;
    if (Status status = resolver->NetnsFd(*link.netns, &fd); !status.ok()) return status;
    message->PutU32(IFLA_NET_NS_FD, "NET_NS_FD", static_cast<uint32_t>(fd));
  }
  if (link.mtu) message->PutU32(IFLA_MTU, "MTU", *link.mtu);
  if (link.address) PutMac(message, *link.address);
  if (link.group) message->PutU32(IFLA_GROUP, "GROUP", *link.group);
  if (!link.netns && link.master && !link.master->empty()) {
    if (Status status = PutMaster(resolver, message, *link.master); !status.ok()) return status;
  }
  return PutKind(resolver, message, link);
}

Status EncodeLinkFollow(Resolver* resolver, const Link& link, std::vector<Message>* messages) {
  const bool enslave = link.netns && link.master && !link.master->empty();
  if (enslave || link.addr_gen_mode) {
    Message message = About(link.name, std::nullopt);
    if (enslave) {
      if (Status status = PutMaster(resolver, &message, *link.master); !status.ok()) return status;
    }
    if (link.addr_gen_mode) PutAddrGenMode(&message, *link.addr_gen_mode);
    messages->push_back(std::move(message));
  }
  if (link.port) {
    Message message = About(link.name, std::nullopt);
    PutPort(&message, *link.port);
    messages->push_back(std::move(message));
  }
  if (link.up.value_or(false)) messages->push_back(About(link.name, true));
  return Status::Ok();
}

Status EncodeLinkSet(Resolver* resolver, const Link& link, const std::optional<std::string>& rename,
                     std::vector<Message>* messages) {
  const bool up_last = link.up.value_or(false) && (UpComesLast(link) || rename);
  Message message(RTM_NEWLINK, 0);
  if (rename) {
    uint32_t index = 0;
    if (Status status = resolver->Index(link.name, &index); !status.ok()) return status;
    Header(&message, index, up_last ? std::nullopt : link.up);
    message.PutString(IFLA_IFNAME, "IFNAME", *rename);
  } else {
    message = About(link.name, up_last ? std::nullopt : link.up);
  }
  if (link.mtu) message.PutU32(IFLA_MTU, "MTU", *link.mtu);
  if (link.address) PutMac(&message, *link.address);
  if (link.master) {
    if (Status status = PutMaster(resolver, &message, *link.master); !status.ok()) return status;
  }
  if (link.group) message.PutU32(IFLA_GROUP, "GROUP", *link.group);
  if (link.vxlan || link.bridge) {
    if (Status status = PutKind(resolver, &message, link); !status.ok()) return status;
  }
  if (link.addr_gen_mode) PutAddrGenMode(&message, *link.addr_gen_mode);
  messages->push_back(std::move(message));
  const std::string& name = rename ? *rename : link.name;
  if (link.port) {
    Message port = About(name, std::nullopt);
    PutPort(&port, *link.port);
    messages->push_back(std::move(port));
  }
  if (up_last) messages->push_back(About(name, true));
  return Status::Ok();
}

void EncodeLinkDel(const std::string& name, Message* message) {
  *message = Message(RTM_DELLINK, 0);
  Header(message, 0, std::nullopt);
  message->PutString(IFLA_IFNAME, "IFNAME", name);
}

void EncodeLinkDelGroup(uint32_t group, Message* message) {
  *message = Message(RTM_DELLINK, 0);
  Header(message, 0, std::nullopt);
  message->PutU32(IFLA_GROUP, "GROUP", group);
}

Status LinkAdd(Session* session, const Link& link) {
  Message birth(RTM_NEWLINK, 0);
  Status status = EncodeLinkBirth(session, link, &birth);
  if (status.ok()) status = session->rtnl()->Request(&birth);
  session->Forget();
  if (!status.ok() || !FollowsBirth(link)) return status;
  const auto follow = [&link](Session* inside) {
    std::vector<Message> messages;
    if (Status encoded = EncodeLinkFollow(inside, link, &messages); !encoded.ok()) return encoded;
    if (Status set = SetOffload(inside, link); !set.ok()) return set;
    return SendInOrder(inside->rtnl(), &messages);
  };
  if (!link.netns) return follow(session);
  return nl::RunInside(*link.netns, [&follow] {
    Sockets sockets;
    if (Status opened = sockets.rtnl.Open(NETLINK_ROUTE); !opened.ok()) return opened;
    Session inside(&sockets);
    return follow(&inside);
  });
}

Status LinkSet(Session* session, const Link& link, const std::optional<std::string>& rename) {
  std::vector<Message> messages;
  Status status = EncodeLinkSet(session, link, rename, &messages);
  if (status.ok()) status = SetOffload(session, link);  // while it has its old name, and may be down
  if (status.ok()) status = SendInOrder(session->rtnl(), &messages);
  if (rename) session->Forget();
  return status;
}

Status LinkDel(Session* session, const std::string& name) {
  Message message(RTM_DELLINK, 0);
  EncodeLinkDel(name, &message);
  Status status = session->rtnl()->Request(&message);
  session->Forget();
  return status.error == ENODEV ? Status::Ok() : status;
}

Status LinkDelGroup(Session* session, uint32_t group) {
  Message message(RTM_DELLINK, 0);
  EncodeLinkDelGroup(group, &message);
  Status status = session->rtnl()->Request(&message);
  session->Forget();
  return status.error == ENODEV ? Status::Ok() : status;  // an empty group
}

}  // namespace warren::ops
