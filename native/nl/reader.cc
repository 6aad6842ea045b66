#include "nl/reader.h"

#include <arpa/inet.h>

#include <algorithm>

namespace warren::nl {

namespace {
template <typename T>
bool Exactly(Bytes data, T* value) {
  if (data.size() != sizeof(T)) return false;
  std::memcpy(value, data.data(), sizeof(T));
  return true;
}
}  // namespace

bool Attr::U8(uint8_t* value) const { return Exactly(data, value); }
bool Attr::U16(uint16_t* value) const { return Exactly(data, value); }
bool Attr::U32(uint32_t* value) const { return Exactly(data, value); }
bool Attr::U64(uint64_t* value) const { return Exactly(data, value); }
bool Attr::I32(int32_t* value) const { return Exactly(data, value); }

bool Attr::Be16(uint16_t* value) const {
  uint16_t wire = 0;
  if (!Exactly(data, &wire)) return false;
  *value = ntohs(wire);
  return true;
}

bool Attr::String(std::string* value) const {
  const auto end = std::find(data.begin(), data.end(), uint8_t{0});
  value->assign(data.begin(), end);
  return true;
}

bool Reader::Next(Attr* attr) {
  if (rest_.empty() || bad_) return false;
  nlattr header;
  if (rest_.size() < sizeof header) {
    bad_ = true;
    return false;
  }
  std::memcpy(&header, rest_.data(), sizeof header);
  if (header.nla_len < NLA_HDRLEN || header.nla_len > rest_.size()) {
    bad_ = true;
    return false;
  }
  attr->type = header.nla_type & NLA_TYPE_MASK;
  attr->data = rest_.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN);
  rest_ = rest_.subspan(std::min<size_t>(NLA_ALIGN(header.nla_len), rest_.size()));
  return true;
}

bool Messages::Next(nlmsghdr* header, Bytes* payload) {
  if (rest_.empty() || bad_) return false;
  if (rest_.size() < sizeof *header) {
    bad_ = true;
    return false;
  }
  std::memcpy(header, rest_.data(), sizeof *header);
  if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > rest_.size()) {
    bad_ = true;
    return false;
  }
  *payload = rest_.subspan(NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN);
  const size_t step = NLMSG_ALIGN(static_cast<size_t>(header->nlmsg_len));
  rest_ = rest_.subspan(std::min(step, rest_.size()));
  return true;
}

}  // namespace warren::nl
