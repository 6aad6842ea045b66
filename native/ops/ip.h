#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "nl/message.h"
#include "nl/reader.h"

namespace warren::ops {

// An IPv4 or IPv6 address as the wire has it.
struct Ip {
  uint8_t family = 0;  // AF_INET, AF_INET6; 0 is no address
  std::array<uint8_t, 16> bytes{};

  size_t size() const;  // 4, 16, or 0
  nl::Bytes span() const { return {bytes.data(), size()}; }
};

struct Prefix {
  Ip ip;
  uint8_t length = 0;
};

using Mac = std::array<uint8_t, 6>;

// Text to address; false when it is none. A prefix must have its /length.
bool ParseIp(const std::string& text, Ip* ip);
bool ParsePrefix(const std::string& text, Prefix* prefix);
bool ParseMac(const std::string& text, Mac* mac);

// Wire to address; false when the size does not fit the family (0: the size decides).
bool DecodeIp(nl::Bytes data, uint8_t family, Ip* ip);
bool DecodeMac(nl::Bytes data, Mac* mac);

// Canonical text (RFC 5952 for IPv6). "" for no address.
std::string ToText(const Ip& ip);
std::string ToText(const Prefix& prefix);
std::string ToText(const Mac& mac);

void PutIp(nl::Message* message, uint16_t type, const char* name, const Ip& ip);

}  // namespace warren::ops
