#include <arpa/inet.h>
#include <linux/udp.h>

#include <cstring>

#include "ops/xfrm.h"
#include "ops/xfrm_sa.h"

namespace warren::ops {

namespace {

template <typename T>
std::optional<T> Unless(T value, T none) {
  return value == none ? std::nullopt : std::optional<T>(value);
}

bool Wild(const xfrm_selector& selector) {
  return selector.prefixlen_d == 0 && selector.prefixlen_s == 0 && selector.proto == 0 && selector.dport_mask == 0 &&
         selector.sport_mask == 0 && selector.ifindex == 0 && selector.user == 0;
}

bool DecodeInfo(const xfrm_usersa_info& header, SaInfo* info) {
  Sa& sa = info->sa;
  if (!FromXfrm(header.id.daddr, header.family, &sa.id.dst) || !FromXfrm(header.saddr, header.family, &sa.src)) {
    return false;
  }
  sa.id.spi = ntohl(header.id.spi);
  sa.reqid = header.reqid;
  sa.mode = header.mode;
  sa.esn = (header.flags & XFRM_STATE_ESN) != 0;
  sa.replay_window = header.replay_window;
  const xfrm_lifetime_cfg& limits = header.lft;
  const uint64_t inf = XFRM_INF, none = 0;
  sa.soft = {Unless(uint64_t{limits.soft_byte_limit}, inf), Unless(uint64_t{limits.soft_packet_limit}, inf),
             Unless(uint64_t{limits.soft_add_expires_seconds}, none),
             Unless(uint64_t{limits.soft_use_expires_seconds}, none)};
  sa.hard = {Unless(uint64_t{limits.hard_byte_limit}, inf), Unless(uint64_t{limits.hard_packet_limit}, inf),
             Unless(uint64_t{limits.hard_add_expires_seconds}, none),
             Unless(uint64_t{limits.hard_use_expires_seconds}, none)};
  SaCounters& counters = info->counters;
  counters.bytes = header.curlft.bytes;
  counters.packets = header.curlft.packets;
  counters.add_time = header.curlft.add_time;
  counters.use_time = header.curlft.use_time;
  counters.replay_window = header.stats.replay_window;
  counters.replay = header.stats.replay;
  counters.integrity_failed = header.stats.integrity_failed;
  info->esp = header.id.proto == IPPROTO_ESP;
  info->partial = !Wild(header.sel) || (header.flags & ~XFRM_STATE_ESN) != 0;
  return true;
}

bool DecodeAead(nl::Bytes data, Aead* aead) {
  xfrm_algo_aead algo;
  if (data.size() < sizeof algo) return false;
  std::memcpy(&algo, data.data(), sizeof algo);
  aead->name.assign(algo.alg_name, ::strnlen(algo.alg_name, sizeof algo.alg_name));
  aead->icv = algo.alg_icv_len;
  return true;
}

bool DecodeReplay(nl::Bytes data, SaInfo* info) {
  xfrm_replay_state_esn replay;
  if (data.size() < sizeof replay) return false;
  std::memcpy(&replay, data.data(), sizeof replay);
  info->sa.replay_window = replay.replay_window;
  info->counters.oseq = uint64_t{replay.oseq_hi} << 32 | replay.oseq;
  info->counters.seq = uint64_t{replay.seq_hi} << 32 | replay.seq;
  return true;
}

bool DecodeSmallReplay(nl::Bytes data, SaInfo* info) {
  xfrm_replay_state replay;
  if (data.size() < sizeof replay) return false;
  std::memcpy(&replay, data.data(), sizeof replay);
  info->counters.oseq = replay.oseq;
  info->counters.seq = replay.seq;
  return true;
}

// False when it is an encapsulation we have no word for.
bool DecodeEncap(nl::Bytes data, Encap* encap) {
  xfrm_encap_tmpl tmpl;
  if (data.size() < sizeof tmpl) return false;
  std::memcpy(&tmpl, data.data(), sizeof tmpl);
  encap->sport = ntohs(tmpl.encap_sport);
  encap->dport = ntohs(tmpl.encap_dport);
  return tmpl.encap_type == UDP_ENCAP_ESPINUDP;
}

}  // namespace

bool DecodeSa(nl::Bytes payload, SaInfo* info) {
  xfrm_usersa_info header;
  if (!nl::TakeHeader(&payload, &header) || !DecodeInfo(header, info)) return false;
  bool whole = true;  // everything that claims to be of a kind has its size
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    uint8_t dir = 0;
    switch (attr.type) {
      case XFRMA_ALG_AEAD:
        whole = DecodeAead(attr.data, &info->sa.aead.emplace()) && whole;
        break;
      case XFRMA_REPLAY_ESN_VAL:
        whole = DecodeReplay(attr.data, info) && whole;
        break;
      case XFRMA_REPLAY_VAL:
        whole = DecodeSmallReplay(attr.data, info) && whole;
        break;
      case XFRMA_ENCAP:
        if (!DecodeEncap(attr.data, &info->sa.encap.emplace())) info->partial = true;
        break;
      case kSaDir:
        if (attr.U8(&dir)) info->sa.out = dir == kSaDirOut;
        break;
      case kSaKeepalive:
        if (uint32_t seconds = 0; attr.U32(&seconds)) info->sa.keepalive = seconds;
        break;
      case XFRMA_LASTUSED:
      case XFRMA_PAD:
        break;
      default:
        info->partial = true;
    }
  }
  return whole && !reader.bad();
}

bool DecodeSaExpire(nl::Bytes payload, SaExpire* expire) {
  xfrm_user_expire header;
  SaInfo info;
  if (!nl::TakeHeader(&payload, &header) || !DecodeInfo(header.state, &info)) return false;
  *expire = {info.sa.id, info.sa.reqid, header.hard != 0};
  return info.esp;
}

bool DecodeSaMapping(nl::Bytes payload, SaMapping* mapping) {
  xfrm_user_mapping header;
  if (!nl::TakeHeader(&payload, &header) || header.id.proto != IPPROTO_ESP) return false;
  mapping->id.spi = ntohl(header.id.spi);
  mapping->reqid = header.reqid;
  mapping->sport = ntohs(header.new_sport);
  return FromXfrm(header.id.daddr, header.id.family, &mapping->id.dst) &&
         FromXfrm(header.new_saddr, header.id.family, &mapping->src);
}

}  // namespace warren::ops
