#include "ops/xfrm.h"

#include <cstring>

namespace warren::ops {

void ToXfrm(const Ip& ip, xfrm_address_t* address) {
  std::memset(address, 0, sizeof *address);
  std::memcpy(address, ip.bytes.data(), ip.size());
}

bool FromXfrm(const xfrm_address_t& address, uint16_t family, Ip* ip) {
  Ip known;
  known.family = static_cast<uint8_t>(family);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&address);
  return (family == AF_INET || family == AF_INET6) && DecodeIp({bytes, known.size()}, known.family, ip);
}

void ClearLimits(xfrm_lifetime_cfg* limits) {
  std::memset(limits, 0, sizeof *limits);
  limits->soft_byte_limit = limits->hard_byte_limit = XFRM_INF;
  limits->soft_packet_limit = limits->hard_packet_limit = XFRM_INF;
}

bool Unlimited(const xfrm_lifetime_cfg& limits) {
  xfrm_lifetime_cfg none;
  ClearLimits(&none);
  return std::memcmp(&limits, &none, sizeof none) == 0;
}

}  // namespace warren::ops
