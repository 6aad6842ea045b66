#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cerrno>

#include "ops/link.h"
#include "ops/offload.h"

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

// With SKIP_STATS a dump has no counters, on newer kernels (seen on 7.3; 6.12 spares only those of IPv6).
Status ReadCounters(Session* session, Link* link) {
  if (link->tx_dropped) return Status::Ok();
  Message message(RTM_GETLINK, 0);
  message.Header(ifinfomsg{});
  message.PutString(IFLA_IFNAME, "IFNAME", link->name);
  Status status = session->rtnl()->Get(&message, [&](uint16_t type, nl::Bytes payload) {
    LinkInfo info;
    if (type != RTM_NEWLINK || !DecodeLink(payload, &info)) return Status::Errno(EBADMSG);
    link->tx_dropped = info.link.tx_dropped;
    return Status::Ok();
  });
  return status.error == ENODEV ? Status::Ok() : status;
}

// System calls of their own, so of the few links they are wanted for; a network can have a thousand veths.
Status ReadOffload(Session* session, Link* link) {
  if (!link->vxlan) return Status::Ok();
  if (Status counters = ReadCounters(session, link); !counters.ok()) return counters;
  bool on = false;
  Status status = TsoGet(*session->rtnl(), link->name, &on);
  if (status.error == ENODEV) return Status::Ok();  // gone, or renamed, since it was listed
  if (status.ok()) link->tso = on;
  return status;
}

}  // namespace

Status LinkList(Session* session, std::vector<Link>* links) {
  std::vector<LinkInfo> infos;
  Message message(RTM_GETLINK, 0);
  message.Header(ifinfomsg{});
  message.PutU32(IFLA_EXT_MASK, "EXT_MASK", RTEXT_FILTER_SKIP_STATS);
  Status status = session->rtnl()->Dump(
      &message, [&] { infos.clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        LinkInfo info;
        if (type != RTM_NEWLINK) return Status::Ok();
        if (!DecodeLink(payload, &info)) return Status::Errno(EBADMSG);
        infos.push_back(std::move(info));
        return Status::Ok();
      });
  if (!status.ok()) return status;
  for (const LinkInfo& info : infos) session->Learn(info.index, info.link.name);
  for (LinkInfo& info : infos) {
    std::string master;
    if (info.master != 0 && !session->Name(info.master, &master).ok()) master.clear();
    info.link.master = master;
    if (status = ReadOffload(session, &info.link); !status.ok()) return status;
    links->push_back(std::move(info.link));
  }
  return Status::Ok();
}

}  // namespace warren::ops
