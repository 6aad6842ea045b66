#include "ops/ipvs.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>

#include <cerrno>
#include <utility>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

Status Begin(Resolver* resolver, uint8_t command, Message* message) {
  uint16_t family = 0;
  if (Status status = resolver->Family(IPVS_GENL_NAME, &family); !status.ok()) return status;
  *message = Message(family, 0);
  message->Header(genlmsghdr{command, IPVS_GENL_VERSION, 0});
  return Status::Ok();
}

void PutKey(const IpvsKey& key, Message* message) {
  message->PutU16(IPVS_SVC_ATTR_AF, "AF", key.family);
  if (key.fwmark != 0) {
    message->PutU32(IPVS_SVC_ATTR_FWMARK, "FWMARK", key.fwmark);
  } else {
    message->PutU16(IPVS_SVC_ATTR_PROTOCOL, "PROTOCOL", key.proto);
    message->Put(IPVS_SVC_ATTR_ADDR, "ADDR", key.address.bytes.data(), key.address.bytes.size());
    message->PutBe16(IPVS_SVC_ATTR_PORT, "PORT", key.port);
  }
}

void PutKeyNest(const IpvsKey& key, Message* message) {
  const size_t nest = message->Nest(IPVS_CMD_ATTR_SERVICE, "SERVICE");
  PutKey(key, message);
  message->End(nest);
}

uint32_t Netmask(const IpvsService& service) {
  if (service.key.family == AF_INET6) return service.netmask.value_or(128);
  const uint8_t length = service.netmask.value_or(32);
  return length == 0 ? 0 : htonl(0xffffffff << (32 - length));
}

Status EncodeService(Resolver* resolver, uint8_t command, const IpvsService& service, Message* message) {
  if (Status status = Begin(resolver, command, message); !status.ok()) return status;
  ip_vs_flags flags{service.sched_flags, 0xffffffff};
  if (service.persistent) flags.flags |= IP_VS_SVC_F_PERSISTENT;
  if (service.one_packet) flags.flags |= IP_VS_SVC_F_ONEPACKET;
  const size_t nest = message->Nest(IPVS_CMD_ATTR_SERVICE, "SERVICE");
  PutKey(service.key, message);
  message->PutString(IPVS_SVC_ATTR_SCHED_NAME, "SCHED_NAME", service.scheduler);
  message->Put(IPVS_SVC_ATTR_FLAGS, "FLAGS", &flags, sizeof flags);
  message->PutU32(IPVS_SVC_ATTR_TIMEOUT, "TIMEOUT", service.persistent.value_or(0));
  message->PutU32(IPVS_SVC_ATTR_NETMASK, "NETMASK", Netmask(service));
  message->End(nest);
  return Status::Ok();
}

void PutDestId(const IpvsDestId& id, Message* message) {
  message->PutU16(IPVS_DEST_ATTR_ADDR_FAMILY, "ADDR_FAMILY", id.address.family);
  message->Put(IPVS_DEST_ATTR_ADDR, "ADDR", id.address.bytes.data(), id.address.bytes.size());
  message->PutBe16(IPVS_DEST_ATTR_PORT, "PORT", id.port);
}

Status EncodeDest(Resolver* resolver, uint8_t command, const IpvsDest& dest, Message* message) {
  if (Status status = Begin(resolver, command, message); !status.ok()) return status;
  PutKeyNest(dest.id.service, message);
  const size_t nest = message->Nest(IPVS_CMD_ATTR_DEST, "DEST");
  PutDestId(dest.id, message);
  message->PutU32(IPVS_DEST_ATTR_FWD_METHOD, "FWD_METHOD", dest.method);
  message->PutU32(IPVS_DEST_ATTR_WEIGHT, "WEIGHT", dest.weight);
  message->PutU32(IPVS_DEST_ATTR_U_THRESH, "U_THRESH", dest.upper);
  message->PutU32(IPVS_DEST_ATTR_L_THRESH, "L_THRESH", dest.lower);
  message->End(nest);
  return Status::Ok();
}

Status ServiceList(Session* session, nl::Socket* genl, std::vector<IpvsServiceInfo>* services) {
  Message message(0, 0);
  if (Status status = Begin(session, IPVS_CMD_GET_SERVICE, &message); !status.ok()) return status;
  return genl->Dump(
      &message, [&] { services->clear(); },
      [&](uint16_t, nl::Bytes payload) {
        IpvsServiceInfo info;
        if (!DecodeIpvsService(payload, &info)) return Status::Errno(EBADMSG);
        services->push_back(std::move(info));
        return Status::Ok();
      });
}

Status DestList(Session* session, nl::Socket* genl, const IpvsKey& key, std::vector<IpvsDestInfo>* dests) {
  Message message(0, 0);
  if (Status status = Begin(session, IPVS_CMD_GET_DEST, &message); !status.ok()) return status;
  PutKeyNest(key, &message);
  const size_t before = dests->size();
  return genl->Dump(
      &message, [&] { dests->resize(before); },
      [&](uint16_t, nl::Bytes payload) {
        IpvsDestInfo info;
        if (!DecodeIpvsDest(payload, key, &info)) return Status::Errno(EBADMSG);
        dests->push_back(std::move(info));
        return Status::Ok();
      });
}

}  // namespace

Status EncodeIpvsAdd(Resolver* resolver, const IpvsService& service, Message* message) {
  return EncodeService(resolver, IPVS_CMD_NEW_SERVICE, service, message);
}

Status EncodeIpvsChange(Resolver* resolver, const IpvsService& service, Message* message) {
  return EncodeService(resolver, IPVS_CMD_SET_SERVICE, service, message);
}

Status EncodeIpvsDel(Resolver* resolver, const IpvsKey& key, Message* message) {
  if (Status status = Begin(resolver, IPVS_CMD_DEL_SERVICE, message); !status.ok()) return status;
  PutKeyNest(key, message);
  return Status::Ok();
}

Status EncodeIpvsDestAdd(Resolver* resolver, const IpvsDest& dest, Message* message) {
  return EncodeDest(resolver, IPVS_CMD_NEW_DEST, dest, message);
}

Status EncodeIpvsDestChange(Resolver* resolver, const IpvsDest& dest, Message* message) {
  return EncodeDest(resolver, IPVS_CMD_SET_DEST, dest, message);
}

Status EncodeIpvsDestDel(Resolver* resolver, const IpvsDestId& id, Message* message) {
  if (Status status = Begin(resolver, IPVS_CMD_DEL_DEST, message); !status.ok()) return status;
  PutKeyNest(id.service, message);
  const size_t nest = message->Nest(IPVS_CMD_ATTR_DEST, "DEST");
  PutDestId(id, message);
  message->End(nest);
  return Status::Ok();
}

Status EncodeIpvsTimeoutsSet(Resolver* resolver, const IpvsTimeouts& timeouts, Message* message) {
  if (Status status = Begin(resolver, IPVS_CMD_SET_CONFIG, message); !status.ok()) return status;
  message->PutU32(IPVS_CMD_ATTR_TIMEOUT_TCP, "TIMEOUT_TCP", timeouts.tcp);
  message->PutU32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, "TIMEOUT_TCP_FIN", timeouts.tcp_fin);
  message->PutU32(IPVS_CMD_ATTR_TIMEOUT_UDP, "TIMEOUT_UDP", timeouts.udp);
  return Status::Ok();
}

bool DecodeIpvsTimeouts(nl::Bytes payload, IpvsTimeouts* timeouts) {
  genlmsghdr header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    if (attr.type == IPVS_CMD_ATTR_TIMEOUT_TCP) attr.U32(&timeouts->tcp);
    if (attr.type == IPVS_CMD_ATTR_TIMEOUT_TCP_FIN) attr.U32(&timeouts->tcp_fin);
    if (attr.type == IPVS_CMD_ATTR_TIMEOUT_UDP) attr.U32(&timeouts->udp);
  }
  return !reader.bad();
}

Status IpvsTimeoutsGet(Session* session, IpvsTimeouts* timeouts) {
  nl::Socket* genl = nullptr;
  if (Status status = session->Genl(&genl); !status.ok()) return status;
  Message message(0, 0);
  if (Status status = Begin(session, IPVS_CMD_GET_CONFIG, &message); !status.ok()) return status;
  return genl->Get(&message, [timeouts](uint16_t, nl::Bytes payload) {
    return DecodeIpvsTimeouts(payload, timeouts) ? Status::Ok() : Status::Errno(EBADMSG);
  });
}

Status IpvsDestsOf(Session* session, const IpvsKey& key, std::vector<IpvsDestInfo>* dests) {
  nl::Socket* genl = nullptr;
  if (Status status = session->Genl(&genl); !status.ok()) return status;
  return DestList(session, genl, key, dests);
}

Status IpvsList(Session* session, std::vector<IpvsServiceInfo>* services, std::vector<IpvsDestInfo>* dests) {
  nl::Socket* genl = nullptr;
  if (Status status = session->Genl(&genl); !status.ok()) return status;
  if (Status status = ServiceList(session, genl, services); !status.ok()) return status;
  for (const IpvsServiceInfo& info : *services) {
    if (Status status = DestList(session, genl, info.service.key, dests); !status.ok()) return status;
  }
  return Status::Ok();
}

}  // namespace warren::ops
