#include "ops/session.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>

#include "ops/genl.h"

namespace warren::ops {

using nl::Status;

Status Session::Xfrm(nl::Socket** xfrm) {
  *xfrm = &sockets_->xfrm;
  return (*xfrm)->is_open() ? Status::Ok() : (*xfrm)->Open(NETLINK_XFRM);
}

Status Session::Genl(nl::Socket** genl) {
  *genl = &sockets_->genl;
  return (*genl)->is_open() ? Status::Ok() : (*genl)->Open(NETLINK_GENERIC);
}

Status Session::Family(const std::string& name, uint16_t* id) {
  const auto found = families_.find(name);
  if (found != families_.end()) {
    *id = found->second;
    return Status::Ok();
  }
  nl::Socket* genl = nullptr;
  Status status = Genl(&genl);
  if (status.ok()) status = FindFamily(genl, name, id);
  if (status.ok()) families_[name] = *id;
  return status;
}

Status Session::Ask(uint32_t index, const std::string& link) {
  nl::Message message(RTM_GETLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  message.Header(header);
  if (index == 0) message.PutString(IFLA_IFNAME, "IFNAME", link);
  message.PutU32(IFLA_EXT_MASK, "EXT_MASK", RTEXT_FILTER_SKIP_STATS);
  return rtnl()->Get(&message, [this](uint16_t type, nl::Bytes payload) {
    ifinfomsg info;
    if (type != RTM_NEWLINK || !nl::TakeHeader(&payload, &info)) return Status::Errno(EBADMSG);
    nl::Reader reader(payload);
    std::string name;
    for (nl::Attr attr; reader.Next(&attr);) {
      if (attr.type == IFLA_IFNAME) attr.String(&name);
    }
    Learn(static_cast<uint32_t>(info.ifi_index), name);
    return Status::Ok();
  });
}

Status Session::Index(const std::string& link, uint32_t* index) {
  if (link.empty() || link.size() >= IFNAMSIZ) return Status::Errno(ENODEV);
  if (!indexes_.contains(link)) {
    if (Status status = Ask(0, link); !status.ok()) return status;
  }
  const auto found = indexes_.find(link);
  if (found == indexes_.end()) return Status::Errno(ENODEV);  // an alternative name
  *index = found->second;
  return Status::Ok();
}

Status Session::Name(uint32_t index, std::string* link) {
  if (!names_.contains(index)) {
    if (Status status = Ask(index, {}); !status.ok()) return status;
  }
  *link = names_[index];
  return Status::Ok();
}

Status Session::NetnsFd(const nl::Netns& netns, int* fd) {
  nl::Fd opened;
  if (Status status = nl::OpenNetns(netns, &opened); !status.ok()) return status;
  *fd = opened.get();
  namespaces_.push_back(std::move(opened));
  return Status::Ok();
}

void Session::Learn(uint32_t index, const std::string& link) {
  indexes_[link] = index;
  names_[index] = link;
}

void Session::Forget() {
  indexes_.clear();
  names_.clear();
  namespaces_.clear();
}

}  // namespace warren::ops
