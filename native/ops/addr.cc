#include "ops/addr.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

Status Encode(Resolver* resolver, const Addr& addr, Message* message) {
  uint32_t index = 0;
  if (Status status = resolver->Index(addr.dev, &index); !status.ok()) return status;
  ifaddrmsg header{};
  header.ifa_family = addr.address.ip.family;
  header.ifa_prefixlen = addr.address.length;
  header.ifa_scope = addr.scope;
  header.ifa_index = index;
  message->Header(header);
  PutIp(message, IFA_LOCAL, "LOCAL", addr.address.ip);
  PutIp(message, IFA_ADDRESS, "ADDRESS", addr.address.ip);
  return Status::Ok();
}

}  // namespace

Status EncodeAddrSet(Resolver* resolver, const Addr& addr, Message* message) {
  *message = Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  Status status = Encode(resolver, addr, message);
  if (addr.nodad) message->PutU32(IFA_FLAGS, "FLAGS", IFA_F_NODAD);
  return status;
}

Status EncodeAddrDel(Resolver* resolver, const Addr& addr, Message* message) {
  *message = Message(RTM_DELADDR, 0);
  return Encode(resolver, addr, message);
}

bool DecodeAddr(nl::Bytes payload, AddrInfo* info) {
  ifaddrmsg header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Addr& addr = info->addr;
  info->index = header.ifa_index;
  addr.address.length = header.ifa_prefixlen;
  addr.scope = header.ifa_scope;
  addr.nodad = (header.ifa_flags & IFA_F_NODAD) != 0;
  Ip local, address;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint32_t flags = 0;
    switch (attr.type) {
      case IFA_LOCAL:
        DecodeIp(attr.data, header.ifa_family, &local);
        break;
      case IFA_ADDRESS:
        DecodeIp(attr.data, header.ifa_family, &address);
        break;
      case IFA_FLAGS:
        if (attr.U32(&flags)) addr.nodad = (flags & IFA_F_NODAD) != 0;
        break;
    }
  }
  // On a point-to-point link ADDRESS is the peer's.
  addr.address.ip = local.family != 0 ? local : address;
  return !reader.bad() && addr.address.ip.family != 0 && addr.address.length <= addr.address.ip.size() * 8;
}

Status AddrList(Session* session, std::vector<Addr>* addrs) {
  std::vector<AddrInfo> infos;
  Message message(RTM_GETADDR, 0);
  message.Header(ifaddrmsg{});
  Status status = session->rtnl()->Dump(
      &message, [&] { infos.clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        AddrInfo info;
        if (type != RTM_NEWADDR) return Status::Ok();
        if (!DecodeAddr(payload, &info)) return Status::Errno(EBADMSG);
        infos.push_back(std::move(info));
        return Status::Ok();
      });
  if (!status.ok()) return status;
  for (AddrInfo& info : infos) {
    // A link that went away after the dump took its addresses along.
    if (session->Name(info.index, &info.addr.dev).ok()) addrs->push_back(std::move(info.addr));
  }
  return Status::Ok();
}

}  // namespace warren::ops
