#pragma once

// ESP security associations.
//
//   new  := nlmsghdr(NEWSA|UPDSA) xfrm_usersa_info ALG_AEAD [REPLAY_ESN_VAL] [ENCAP] [SA_DIR] [NAT_KEEPALIVE_INTERVAL]
//   del  := nlmsghdr(DELSA) xfrm_usersa_id
//   dump := nlmsghdr(GETSA) PROTO                          no header: the attributes follow at once
//   ALG_AEAD       := xfrm_algo_aead key
//   REPLAY_ESN_VAL := xfrm_replay_state_esn bitmap         bitmap: bmp_len words of 32 bits

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nl/message.h"
#include "nl/reader.h"
#include "nl/secret.h"
#include "ops/ip.h"
#include "ops/session.h"

namespace warren::ops {

struct SaId {
  Ip dst;
  uint32_t spi = 0;
};

struct Aead {
  std::string name;  // `rfc4106(gcm(aes))`
  uint32_t icv = 0;  // bits
};

// ESP in UDP.
struct Encap {
  uint16_t sport = 0;
  uint16_t dport = 0;
};

// Absent is endless.
struct SaLimit {
  std::optional<uint64_t> bytes, packets;
  std::optional<uint64_t> seconds;      // since it was added
  std::optional<uint64_t> use_seconds;  // since it was first used
};

struct Sa {
  SaId id;
  Ip src;
  uint32_t reqid = 0;
  uint8_t mode = 0;          // XFRM_MODE_*
  std::optional<Aead> aead;  // requests must have one
  bool esn = false;          // 64-bit sequence numbers
  uint32_t replay_window = 0;
  std::optional<bool> out;  // the one direction it is for (XFRMA_SA_DIR)
  std::optional<Encap> encap;
  std::optional<uint32_t> keepalive;  // seconds (XFRMA_NAT_KEEPALIVE_INTERVAL)
  SaLimit soft, hard;
};

struct SaCounters {
  uint64_t bytes = 0, packets = 0;
  uint64_t add_time = 0, use_time = 0;  // Unix seconds; 0 is never
  uint64_t oseq = 0, seq = 0;           // last sent, highest received; with ESN's high word
  uint32_t replay_window = 0, replay = 0, integrity_failed = 0;  // packets refused, as xfrm_stats counts them
};

struct SaInfo {
  Sa sa;
  SaCounters counters;
  bool esp = false;
  bool partial = false;  // it has what an Sa cannot express: marks, selectors, other algorithms, …
};

struct SaExpire {
  SaId id;
  uint32_t reqid = 0;
  bool hard = false;
};

// A packet came in from another address or port than the SA has: a NAT between has moved its mapping.
struct SaMapping {
  SaId id;
  uint32_t reqid = 0;
  Ip src;
  uint16_t sport = 0;
};

// Equivalent to: `ip xfrm state add src SRC dst DST proto esp spi SPI reqid N mode MODE aead NAME KEY ICV
// [replay-window N] [flag esn] [dir in|out] [encap espinudp SPORT DPORT 0.0.0.0] [limit …]`
nl::Status EncodeSaAdd(const Sa& sa, const nl::Secret& key, nl::Message* message);
// The kernel takes over limits and encap's ports (encap comes and goes only with the SA), and begins its lifetime
// anew; everything else it checks and forgets, the key too.
// Equivalent to: `ip xfrm state update …`
nl::Status EncodeSaUpdate(const Sa& sa, const nl::Secret& key, nl::Message* message);
// Equivalent to: `ip xfrm state del dst DST proto esp spi SPI`
nl::Status EncodeSaDel(const SaId& id, nl::Message* message);

// REQUIRES: payload of an XFRM_MSG_NEWSA. False when malformed. Looks at no key.
bool DecodeSa(nl::Bytes payload, SaInfo* info);
// REQUIRES: payload of an XFRM_MSG_EXPIRE. False when malformed, or not of ESP.
bool DecodeSaExpire(nl::Bytes payload, SaExpire* expire);
// REQUIRES: payload of an XFRM_MSG_MAPPING. False when malformed, or not of ESP.
bool DecodeSaMapping(nl::Bytes payload, SaMapping* mapping);

// Those of ESP. Equivalent to: `ip -s xfrm state list proto esp`
nl::Status SaList(Session* session, std::vector<SaInfo>* sas);

}  // namespace warren::ops
