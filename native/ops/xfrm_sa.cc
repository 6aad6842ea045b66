#include "ops/xfrm_sa.h"

#include <arpa/inet.h>
#include <linux/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ops/xfrm.h"

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

// What fits into a state without REPLAY_ESN_VAL.
constexpr uint32_t kSmallWindow = 32;

void PutAead(const Aead& aead, const nl::Secret& key, Message* message) {
  xfrm_algo_aead algo;
  std::memset(&algo, 0, sizeof algo);
  aead.name.copy(algo.alg_name, sizeof algo.alg_name - 1);
  algo.alg_key_len = static_cast<uint32_t>(key.size() * 8);
  algo.alg_icv_len = aead.icv;
  nl::Secret payload(sizeof algo + key.size());
  std::memcpy(payload.data(), &algo, sizeof algo);
  std::copy(key.begin(), key.end(), payload.begin() + sizeof algo);
  message->Put(XFRMA_ALG_AEAD, "ALG_AEAD", payload.data(), payload.size());
}

void PutReplay(uint32_t window, Message* message) {
  xfrm_replay_state_esn replay{};
  replay.replay_window = window;
  replay.bmp_len = (window + 31) / 32;
  std::vector<uint8_t> payload(sizeof replay + replay.bmp_len * sizeof(uint32_t));
  std::memcpy(payload.data(), &replay, sizeof replay);
  message->Put(XFRMA_REPLAY_ESN_VAL, "REPLAY_ESN_VAL", payload.data(), payload.size());
}

void PutEncap(const Encap& encap, Message* message) {
  xfrm_encap_tmpl tmpl;
  std::memset(&tmpl, 0, sizeof tmpl);
  tmpl.encap_type = UDP_ENCAP_ESPINUDP;
  tmpl.encap_sport = htons(encap.sport);
  tmpl.encap_dport = htons(encap.dport);
  message->Put(XFRMA_ENCAP, "ENCAP", &tmpl, sizeof tmpl);
}

void FillLimits(const SaLimit& soft, const SaLimit& hard, xfrm_lifetime_cfg* limits) {
  limits->soft_byte_limit = soft.bytes.value_or(XFRM_INF);
  limits->hard_byte_limit = hard.bytes.value_or(XFRM_INF);
  limits->soft_packet_limit = soft.packets.value_or(XFRM_INF);
  limits->hard_packet_limit = hard.packets.value_or(XFRM_INF);
  limits->soft_add_expires_seconds = soft.seconds.value_or(0);
  limits->hard_add_expires_seconds = hard.seconds.value_or(0);
  limits->soft_use_expires_seconds = soft.use_seconds.value_or(0);
  limits->hard_use_expires_seconds = hard.use_seconds.value_or(0);
}

Status Encode(const Sa& sa, const nl::Secret& key, Message* message) {
  if (!sa.aead) return Status::Errno(EINVAL);
  // As iproute2: a small window without ESN is part of the header.
  const bool own_replay = sa.esn || sa.replay_window > kSmallWindow;
  xfrm_usersa_info info;
  std::memset(&info, 0, sizeof info);
  ToXfrm(sa.id.dst, &info.id.daddr);
  info.id.spi = htonl(sa.id.spi);
  info.id.proto = IPPROTO_ESP;
  ToXfrm(sa.src, &info.saddr);
  FillLimits(sa.soft, sa.hard, &info.lft);
  info.reqid = sa.reqid;
  info.family = sa.id.dst.family;
  info.mode = sa.mode;
  info.replay_window = own_replay ? 0 : static_cast<uint8_t>(sa.replay_window);
  info.flags = sa.esn ? XFRM_STATE_ESN : 0;
  message->Header(info);
  PutAead(*sa.aead, key, message);
  if (own_replay) PutReplay(sa.replay_window, message);
  if (sa.encap) PutEncap(*sa.encap, message);
  if (sa.out) message->PutU8(kSaDir, "SA_DIR", *sa.out ? kSaDirOut : kSaDirIn);
  if (sa.keepalive) message->PutU32(kSaKeepalive, "NAT_KEEPALIVE_INTERVAL", *sa.keepalive);
  return Status::Ok();
}

}  // namespace

Status EncodeSaAdd(const Sa& sa, const nl::Secret& key, Message* message) {
  *message = Message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
  return Encode(sa, key, message);
}

Status EncodeSaUpdate(const Sa& sa, const nl::Secret& key, Message* message) {
  *message = Message(XFRM_MSG_UPDSA, NLM_F_REPLACE);
  return Encode(sa, key, message);
}

Status EncodeSaDel(const SaId& id, Message* message) {
  *message = Message(XFRM_MSG_DELSA, 0);
  xfrm_usersa_id header;
  std::memset(&header, 0, sizeof header);
  ToXfrm(id.dst, &header.daddr);
  header.spi = htonl(id.spi);
  header.family = id.dst.family;
  header.proto = IPPROTO_ESP;
  message->Header(header);
  return Status::Ok();
}

Status SaList(Session* session, std::vector<SaInfo>* sas) {
  nl::Socket* xfrm = nullptr;
  if (Status status = session->Xfrm(&xfrm); !status.ok()) return status;
  Message message(XFRM_MSG_GETSA, 0);
  message.PutU8(XFRMA_PROTO, "PROTO", IPPROTO_ESP);
  return xfrm->Dump(
      &message, [&] { sas->clear(); },
      [&](uint16_t type, nl::Bytes payload) {
        SaInfo info;
        if (type != XFRM_MSG_NEWSA) return Status::Ok();
        if (!DecodeSa(payload, &info)) return Status::Errno(EBADMSG);
        if (info.esp) sas->push_back(std::move(info));
        return Status::Ok();
      });
}

}  // namespace warren::ops
