#pragma once

// One netlink request being written.
//
//   message   := nlmsghdr header attribute*          header: ifinfomsg, ifaddrmsg, rtmsg, ndmsg, …
//   attribute := u16 length, u16 type, payload, padding to 4      length counts itself, not the padding
//   payload   := bytes | attribute*                  the latter is a nest (NLA_F_NESTED where families insist)
//
// The message remembers where it wrote each attribute, so that an offset in the kernel's extended ACK becomes a path.

#include <linux/netlink.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nl/secret.h"

namespace warren::nl {

class Message {
 public:
  // NLM_F_REQUEST is always set.
  Message(uint16_t type, uint16_t flags);

  // REQUIRES: called once, before any attribute. T is the family's fixed header, plain data.
  template <typename T>
  void Header(const T& header) {
    Append(&header, sizeof header);
  }

  // `name` is for people and must outlive the message: a literal.
  void Put(uint16_t type, const char* name, const void* data, size_t size);
  void PutU8(uint16_t type, const char* name, uint8_t value) { Put(type, name, &value, sizeof value); }
  void PutU16(uint16_t type, const char* name, uint16_t value) { Put(type, name, &value, sizeof value); }
  void PutU32(uint16_t type, const char* name, uint32_t value) { Put(type, name, &value, sizeof value); }
  void PutBe16(uint16_t type, const char* name, uint16_t value);
  // With its terminating zero, as the kernel's NLA_STRING and NLA_NUL_STRING both accept.
  void PutString(uint16_t type, const char* name, std::string_view value);

  // A nest lasts from Nest to End. REQUIRES: they pair up, innermost first.
  size_t Nest(uint16_t type, const char* name);
  void End(size_t nest);
  // Bytes inside a nest that are not an attribute (VETH_INFO_PEER opens with an ifinfomsg).
  void Append(const void* data, size_t size);

  void SetFlags(uint16_t flags);  // adds to those there are
  void SetSeq(uint32_t seq);
  // The first thing that went wrong while writing: EMSGSIZE, or 0. Call sites need not look before the end.
  int error() const { return error_; }
  // Whole message with its length filled in.
  std::span<const uint8_t> bytes();
  // `LINKINFO/DATA/VXLAN_ID` for an offset at or within that attribute; empty when there is none.
  std::string AttrAt(uint32_t offset) const;

  struct Mark {
    uint32_t offset;
    uint16_t depth;
    const char* name;
  };
  const std::vector<Mark>& marks() const { return marks_; }

 private:
  nlmsghdr* header();

  Secret bytes_;  // of some messages (XFRM_MSG_NEWSA) a key is part
  std::vector<Mark> marks_;
  uint16_t depth_ = 0;
  int error_ = 0;
};

}  // namespace warren::nl
