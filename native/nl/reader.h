#pragma once

// Reading what the kernel sent, without trusting a single length in it.
//
//   datagram := message*          message := nlmsghdr payload      both padded to 4
//   payload  := header attribute* attribute as in message.h; the type's two top bits are flags
//
// Every read is checked against the bytes there are; what does not fit ends the walk and is remembered in bad().

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace warren::nl {

using Bytes = std::span<const uint8_t>;

// Copies the fixed header off the front. False when the payload is shorter than that.
template <typename T>
bool TakeHeader(Bytes* payload, T* header) {
  if (payload->size() < sizeof(T)) return false;
  std::memcpy(header, payload->data(), sizeof(T));
  const size_t step = NLMSG_ALIGN(sizeof(T));
  *payload = payload->subspan(step < payload->size() ? step : payload->size());
  return true;
}

struct Attr {
  uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  Bytes data;

  // Each is false, and leaves `value` alone, when the payload has another size.
  bool U8(uint8_t* value) const;
  bool U16(uint16_t* value) const;
  bool Be16(uint16_t* value) const;
  bool U32(uint32_t* value) const;
  bool U64(uint64_t* value) const;
  bool I32(int32_t* value) const;
  // Up to the first zero or the end.
  bool String(std::string* value) const;
};

// Walks the attributes of a payload or of a nest.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}
  bool Next(Attr* attr);
  bool bad() const { return bad_; }

 private:
  Bytes rest_;
  bool bad_ = false;
};

// Walks the messages of a datagram.
class Messages {
 public:
  explicit Messages(Bytes datagram) : rest_(datagram) {}
  bool Next(nlmsghdr* header, Bytes* payload);
  bool bad() const { return bad_; }

 private:
  Bytes rest_;
  bool bad_ = false;
};

}  // namespace warren::nl
