#pragma once

#include <linux/xfrm.h>
#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "addon/fields.h"

namespace warren::addon {

// What IPsec's numbers are called. Requests may say the first of each list, or the first few.
struct Word {
  const char* name;
  uint8_t value;
};
inline constexpr Word kModes[] = {{"transport", XFRM_MODE_TRANSPORT}, {"tunnel", XFRM_MODE_TUNNEL}};
inline constexpr Word kProtos[] = {{"esp", IPPROTO_ESP}, {"ah", IPPROTO_AH}, {"comp", IPPROTO_COMP}};
inline constexpr Word kDirs[] = {{"in", XFRM_POLICY_IN}, {"out", XFRM_POLICY_OUT}, {"fwd", XFRM_POLICY_FWD}};

template <size_t N>
const char* ToWord(const Word (&words)[N], uint8_t value) {
  for (const Word& word : words) {
    if (word.value == value) return word.name;
  }
  return "other";
}

// One of the first `count` words.
template <size_t N>
uint8_t ReadWord(Fields* fields, const char* key, const Word (&words)[N], size_t count = N) {
  std::string text, all;
  fields->Read(key, &text);
  for (size_t i = 0; i < count; ++i) {
    if (text == words[i].name) return words[i].value;
    all += std::string(i > 0 ? " or " : "") + words[i].name;
  }
  if (fields->ok()) fields->Fail(key, all);
  return 0;
}

}  // namespace warren::addon
