// For machines without libFuzzer: inputs that look like attributes, with lengths that lie now and then, and messages of
// long headers, which chance would not hit upon, with a few bytes wrong. Prints its seed.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "ops/ipvs.h"
#include "ops/xfrm_policy.h"
#include "ops/xfrm_sa.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using namespace warren;

// Numbers no family, as none is asked.
class NoKernel : public ops::Resolver {
 public:
  nl::Status Index(const std::string&, uint32_t*) override { return {}; }
  nl::Status NetnsFd(const nl::Netns&, int*) override { return {}; }
  nl::Status Family(const std::string&, uint16_t*) override { return {}; }
};

using Random = std::mt19937_64;
using Input = std::vector<uint8_t>;

// The payload of a request, for the decoder with that number in decode.cc: the kernel's answers have the same form.
Input Sample(uint8_t decoder, nl::Message message) {
  const nl::Bytes bytes = message.bytes().subspan(NLMSG_HDRLEN);
  Input input{decoder};
  input.insert(input.end(), bytes.begin(), bytes.end());
  return input;
}

std::vector<Input> Samples() {
  std::vector<Input> samples;
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    nl::Message message(0, 0);
    ops::Sa sa;
    ops::ParseIp(address, &sa.id.dst);
    sa.src = sa.id.dst;
    sa.id.spi = 0x1001;
    sa.aead = {"rfc4106(gcm(aes))", 128};
    sa.esn = true;
    sa.replay_window = 128;
    sa.out = false;
    sa.encap = {4500, 4500};
    ops::EncodeSaAdd(sa, nl::Secret(36), &message);
    samples.push_back(Sample(9, message));
    samples.push_back(Sample(10, message));
    samples.back().resize(1 + 232);  // xfrm_user_expire: an SA without attributes, and one byte
    ops::Policy policy;
    policy.id.selector.src = policy.id.selector.dst = {sa.src, 32};
    policy.tmpls.resize(3);
    for (ops::Tmpl& tmpl : policy.tmpls) tmpl.src = tmpl.dst = sa.src;
    ops::EncodePolicyAdd(policy, &message);
    samples.push_back(Sample(11, message));
    NoKernel nobody;
    ops::IpvsDest dest;
    ops::IpvsService service;
    service.key = {sa.src.family, 0, 6, sa.src, 80};
    service.scheduler = "mh";
    service.persistent = 300;
    ops::EncodeIpvsAdd(&nobody, service, &message);
    samples.push_back(Sample(14, message));
    dest.id = {service.key, sa.src, 8080};
    ops::EncodeIpvsDestAdd(&nobody, dest, &message);
    samples.push_back(Sample(15, message));
    ops::EncodeIpvsTimeoutsSet(&nobody, {7440, 120, 300}, &message);
    samples.push_back(Sample(18, message));
  }
  const std::string words = "/proc/self/fd/9:2:3-5: Error: Could not process rule: File exists\n";
  samples.emplace_back(1, 8);
  samples.back().insert(samples.back().end(), words.begin(), words.end());
  const std::string stat = "XfrmInError             \t0\nXfrmInNoStates          \t18446744073709551615\n";
  samples.emplace_back(1, 12);
  samples.back().insert(samples.back().end(), stat.begin(), stat.end());
  return samples;
}

void Spoil(Random* random, Input* input) {
  for (uint64_t count = (*random)() % 4; count > 0; --count) {
    const uint64_t byte = (*random)() % 2 ? (*random)() : (*random)() % 70;
    (*input)[1 + (*random)() % (input->size() - 1)] = static_cast<uint8_t>(byte);
  }
  if ((*random)() % 4 == 0) input->resize(1 + (*random)() % (input->size() - 1));
}

void Attributes(Random* random, int depth, Input* out) {
  for (uint64_t count = (*random)() % 5; count > 0; --count) {
    Input payload;
    if (depth < 4 && (*random)() % 3 == 0) {
      Attributes(random, depth + 1, &payload);
    } else {
      const size_t sizes[] = {0, 1, 2, 4, 6, 8, 16, 24, 64, 72, (*random)() % 160};
      payload.resize(sizes[(*random)() % 11]);
      for (uint8_t& byte : payload) byte = static_cast<uint8_t>((*random)());
    }
    uint16_t length = static_cast<uint16_t>(payload.size() + 4);
    if ((*random)() % 50 == 0) length = static_cast<uint16_t>((*random)());
    const uint16_t type = static_cast<uint16_t>((*random)() % 70);
    for (uint16_t half : {length, type}) {
      out->push_back(static_cast<uint8_t>(half));
      out->push_back(static_cast<uint8_t>(half >> 8));
    }
    out->insert(out->end(), payload.begin(), payload.end());
    out->resize((out->size() + 3) / 4 * 4);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 10);
  const std::vector<Input> samples = Samples();
  uint64_t runs = 0;
  for (; (runs & 1023) != 0 || std::chrono::steady_clock::now() < end; ++runs) {
    Input input{static_cast<uint8_t>(random())};
    const size_t headers[] = {0, 8, 12, 16, random() % 32};
    input.resize(1 + headers[random() % 5]);
    for (size_t i = 1; i < input.size(); ++i) input[i] = static_cast<uint8_t>(random() % 4 ? random() % 12 : random());
    Attributes(&random, 0, &input);
    if (random() % 2 == 0) {
      input = samples[random() % samples.size()];
      Spoil(&random, &input);
    }
    // A heap copy of just this size, so that the sanitizer sees the first byte too far.
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[input.size()]);
    std::copy(input.begin(), input.end(), exact.get());
    LLVMFuzzerTestOneInput(exact.get(), input.size());
  }
  std::printf("%llu runs\n", static_cast<unsigned long long>(runs));
}
