#include "ops/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace warren::ops {

size_t Ip::size() const { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

bool ParseIp(const std::string& text, Ip* ip) {
  for (uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    Ip parsed;
    parsed.family = family;
    if (::inet_pton(family, text.c_str(), parsed.bytes.data()) == 1) {
      *ip = parsed;
      return true;
    }
  }
  return false;
}

bool ParsePrefix(const std::string& text, Prefix* prefix) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || !ParseIp(text.substr(0, slash), &prefix->ip)) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, prefix->length);
  return error == std::errc() && stop == end && prefix->length <= prefix->ip.size() * 8;
}

bool ParseMac(const std::string& text, Mac* mac) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < 6; ++i) {
    const char* digits = text.data() + i * 3;
    const auto [stop, error] = std::from_chars(digits, digits + 2, (*mac)[i], 16);
    if (error != std::errc() || stop != digits + 2 || (i < 5 && digits[2] != ':')) return false;
  }
  return true;
}

bool DecodeIp(nl::Bytes data, uint8_t family, Ip* ip) {
  Ip decoded;
  decoded.family = family != 0 ? family : data.size() == 4 ? AF_INET : AF_INET6;
  if (decoded.size() == 0 || decoded.size() != data.size()) return false;
  std::copy(data.begin(), data.end(), decoded.bytes.begin());
  *ip = decoded;
  return true;
}

bool DecodeMac(nl::Bytes data, Mac* mac) {
  if (data.size() != mac->size()) return false;
  std::copy(data.begin(), data.end(), mac->begin());
  return true;
}

std::string ToText(const Ip& ip) {
  char text[INET6_ADDRSTRLEN] = "";
  if (ip.size() > 0) ::inet_ntop(ip.family, ip.bytes.data(), text, sizeof text);
  return text;
}

std::string ToText(const Prefix& prefix) { return ToText(prefix.ip) + "/" + std::to_string(prefix.length); }

std::string ToText(const Mac& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  return text;
}

void PutIp(nl::Message* message, uint16_t type, const char* name, const Ip& ip) {
  message->Put(type, name, ip.bytes.data(), ip.size());
}

}  // namespace warren::ops
