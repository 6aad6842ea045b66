#include "nl/message.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>

namespace warren::nl {

namespace {
// The length of an attribute is a u16.
constexpr size_t kMaxAttr = 0xffff;
}  // namespace

Message::Message(uint16_t type, uint16_t flags) {
  bytes_.reserve(192);
  bytes_.resize(NLMSG_HDRLEN);
  header()->nlmsg_type = type;
  header()->nlmsg_flags = flags | NLM_F_REQUEST;
}

nlmsghdr* Message::header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }

void Message::SetFlags(uint16_t flags) { header()->nlmsg_flags |= flags; }

void Message::SetSeq(uint32_t seq) { header()->nlmsg_seq = seq; }

void Message::Append(const void* data, size_t size) {
  const size_t at = bytes_.size();
  bytes_.resize(at + NLMSG_ALIGN(size));
  if (size > 0) std::memcpy(bytes_.data() + at, data, size);
}

void Message::Put(uint16_t type, const char* name, const void* data, size_t size) {
  if (size + NLA_HDRLEN > kMaxAttr) {
    if (error_ == 0) error_ = EMSGSIZE;
    return;
  }
  marks_.push_back({static_cast<uint32_t>(bytes_.size()), depth_, name});
  const nlattr attr{static_cast<uint16_t>(NLA_HDRLEN + size), type};
  Append(&attr, sizeof attr);
  Append(data, size);
}

void Message::PutBe16(uint16_t type, const char* name, uint16_t value) { PutU16(type, name, htons(value)); }

void Message::PutString(uint16_t type, const char* name, std::string_view value) {
  const std::string zero_terminated(value);
  Put(type, name, zero_terminated.c_str(), zero_terminated.size() + 1);
}

size_t Message::Nest(uint16_t type, const char* name) {
  const size_t at = bytes_.size();
  marks_.push_back({static_cast<uint32_t>(at), depth_, name});
  const nlattr attr{0, type};
  Append(&attr, sizeof attr);
  ++depth_;
  return at;
}

void Message::End(size_t nest) {
  const size_t size = bytes_.size() - nest;
  --depth_;
  if (size > kMaxAttr) {
    if (error_ == 0) error_ = EMSGSIZE;
    return;
  }
  reinterpret_cast<nlattr*>(bytes_.data() + nest)->nla_len = static_cast<uint16_t>(size);
}

std::span<const uint8_t> Message::bytes() {
  header()->nlmsg_len = static_cast<uint32_t>(bytes_.size());
  return bytes_;
}

std::string Message::AttrAt(uint32_t offset) const {
  if (offset >= bytes_.size()) return {};
  size_t found = marks_.size();
  for (size_t i = 0; i < marks_.size() && marks_[i].offset <= offset; ++i) found = i;
  if (found == marks_.size()) return {};
  std::string path = marks_[found].name;
  uint16_t depth = marks_[found].depth;
  for (size_t i = found; i-- > 0 && depth > 0;) {
    if (marks_[i].depth < depth) {
      depth = marks_[i].depth;
      path = std::string(marks_[i].name) + "/" + path;
    }
  }
  return path;
}

}  // namespace warren::nl
