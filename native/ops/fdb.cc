#include "ops/fdb.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

Status Encode(Resolver* resolver, const Fdb& fdb, uint16_t state, Message* message) {
  uint32_t index = 0;
  if (Status status = resolver->Index(fdb.dev, &index); !status.ok()) return status;
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = state;
  header.ndm_flags = fdb.self ? NTF_SELF : NTF_MASTER;
  if (fdb.extern_learn && state != 0) header.ndm_flags |= NTF_EXT_LEARNED;
  message->Header(header);
  message->Put(NDA_LLADDR, "LLADDR", fdb.lladdr.data(), fdb.lladdr.size());
  if (fdb.self && fdb.dst.family != 0) PutIp(message, NDA_DST, "DST", fdb.dst);
  return Status::Ok();
}

}  // namespace

Status EncodeFdbSet(Resolver* resolver, const Fdb& fdb, Message* message) {
  // vxlan replaces unicast entries only: the flooding list (all zeros) and multicast have many destinations.
  const bool many = fdb.self && ((fdb.lladdr[0] & 1) || fdb.lladdr == Mac{});
  *message = Message(RTM_NEWNEIGH, NLM_F_CREATE | (many ? NLM_F_APPEND : NLM_F_REPLACE));
  // vxlan insists on PERMANENT; to a bridge PERMANENT would mean "this is mine, take it in".
  return Encode(resolver, fdb, fdb.self ? NUD_NOARP | NUD_PERMANENT : NUD_NOARP, message);
}

Status EncodeFdbDel(Resolver* resolver, const Fdb& fdb, Message* message) {
  *message = Message(RTM_DELNEIGH, 0);
  return Encode(resolver, fdb, 0, message);
}

bool DecodeFdb(nl::Bytes payload, FdbInfo* info) {
  ndmsg header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  Fdb& fdb = info->fdb;
  info->index = static_cast<uint32_t>(header.ndm_ifindex);
  fdb.self = (header.ndm_flags & NTF_SELF) != 0;
  fdb.extern_learn = (header.ndm_flags & NTF_EXT_LEARNED) != 0;
  bool mac = false, master = false;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    switch (attr.type) {
      case NDA_LLADDR:
        mac = DecodeMac(attr.data, &fdb.lladdr);
        break;
      case NDA_DST:
        DecodeIp(attr.data, 0, &fdb.dst);
        break;
      case NDA_MASTER:
        master = true;
        break;
    }
  }
  const bool ages = !(header.ndm_state & (NUD_NOARP | NUD_PERMANENT)) && !fdb.extern_learn;
  const bool table = fdb.self ? fdb.dst.family != 0 : master && !(header.ndm_state & NUD_PERMANENT);
  info->kept = mac && !ages && table;
  return !reader.bad();
}

Status FdbList(Session* session, std::vector<Fdb>* fdb) {
  std::vector<FdbInfo> infos;
  Message message(RTM_GETNEIGH, 0);
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  message.Header(header);
  Status status = session->rtnl()->Dump(
      &message, [&] { infos.clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        FdbInfo info;
        if (type != RTM_NEWNEIGH) return Status::Ok();
        if (!DecodeFdb(payload, &info)) return Status::Errno(EBADMSG);
        if (info.kept) infos.push_back(std::move(info));
        return Status::Ok();
      });
  if (!status.ok()) return status;
  for (FdbInfo& info : infos) {
    if (session->Name(info.index, &info.fdb.dev).ok()) fdb->push_back(std::move(info.fdb));
  }
  return Status::Ok();
}

}  // namespace warren::ops
