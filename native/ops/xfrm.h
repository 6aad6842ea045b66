#pragma once

// What SAs and policies have in common on the wire.

#include <linux/xfrm.h>

#include <cstdint>

#include "ops/ip.h"

namespace warren::ops {

// The direction an SA is for. Since Linux 6.10, and not in older headers; older kernels ignore it.
constexpr uint16_t kSaDir = XFRMA_MTIMER_THRESH + 1;  // XFRMA_SA_DIR
constexpr uint8_t kSaDirIn = 1, kSaDirOut = 2;        // XFRM_SA_DIR_*

// Seconds without a packet after which the kernel sends one to keep a NAT's mapping (RFC 3948, 2.3). Since Linux 6.11.
constexpr uint16_t kSaKeepalive = kSaDir + 1;  // XFRMA_NAT_KEEPALIVE_INTERVAL

// Addresses are 16 bytes whatever their family, which is told elsewhere in the same struct.
void ToXfrm(const Ip& ip, xfrm_address_t* address);
// False for a family that is neither IPv4 nor IPv6.
bool FromXfrm(const xfrm_address_t& address, uint16_t family, Ip* ip);

// No limit at all: all zero would be one that is reached at once.
void ClearLimits(xfrm_lifetime_cfg* limits);
bool Unlimited(const xfrm_lifetime_cfg& limits);

}  // namespace warren::ops
