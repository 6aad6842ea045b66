#include "ops/neigh.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

Status Encode(Resolver* resolver, const Neigh& neigh, uint16_t state, Message* message) {
  uint32_t index = 0;
  if (Status status = resolver->Index(neigh.dev, &index); !status.ok()) return status;
  ndmsg header{};
  header.ndm_family = neigh.dst.family;
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = state;
  message->Header(header);
  PutIp(message, NDA_DST, "DST", neigh.dst);
  return Status::Ok();
}

}  // namespace

Status EncodeNeighSet(Resolver* resolver, const Neigh& neigh, Message* message) {
  *message = Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  if (Status status = Encode(resolver, neigh, NUD_PERMANENT, message); !status.ok()) return status;
  message->Put(NDA_LLADDR, "LLADDR", neigh.lladdr.data(), neigh.lladdr.size());
  if (neigh.protocol) message->PutU8(NDA_PROTOCOL, "PROTOCOL", *neigh.protocol);
  return Status::Ok();
}

Status EncodeNeighDel(Resolver* resolver, const Neigh& neigh, Message* message) {
  *message = Message(RTM_DELNEIGH, 0);
  return Encode(resolver, neigh, 0, message);
}

bool DecodeNeigh(nl::Bytes payload, NeighInfo* info) {
  ndmsg header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Neigh& neigh = info->neigh;
  info->index = static_cast<uint32_t>(header.ndm_ifindex);
  bool mac = false;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint8_t protocol = 0;
    switch (attr.type) {
      case NDA_DST:
        DecodeIp(attr.data, header.ndm_family, &neigh.dst);
        break;
      case NDA_LLADDR:
        mac = DecodeMac(attr.data, &neigh.lladdr);
        break;
      case NDA_PROTOCOL:
        if (attr.U8(&protocol)) neigh.protocol = protocol;
        break;
    }
  }
  info->permanent = (header.ndm_state & NUD_PERMANENT) && mac && neigh.dst.family != 0;
  return !reader.bad();
}

Status NeighList(Session* session, std::vector<Neigh>* neighs) {
  for (uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    std::vector<NeighInfo> infos;
    Message message(RTM_GETNEIGH, 0);
    ndmsg header{};
    header.ndm_family = family;
    message.Header(header);
    Status status = session->rtnl()->Dump(
        &message, [&] { infos.clear(); },
        [&](uint16_t type, nl::Bytes payload) {
          NeighInfo info;
          if (type != RTM_NEWNEIGH) return Status::Ok();
          if (!DecodeNeigh(payload, &info)) return Status::Errno(EBADMSG);
          if (info.permanent) infos.push_back(std::move(info));
          return Status::Ok();
        });
    if (!status.ok()) return status;
    for (NeighInfo& info : infos) {
      if (session->Name(info.index, &info.neigh.dev).ok()) neighs->push_back(std::move(info.neigh));
    }
  }
  return Status::Ok();
}

}  // namespace warren::ops
