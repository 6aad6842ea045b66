// For machines without libFuzzer: inputs that look like attributes, with lengths that lie now and then. Prints its
// seed.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Random = std::mt19937_64;

void Attributes(Random* random, int depth, std::vector<uint8_t>* out) {
  for (uint64_t count = (*random)() % 5; count > 0; --count) {
    std::vector<uint8_t> payload;
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
  uint64_t runs = 0;
  for (; (runs & 1023) != 0 || std::chrono::steady_clock::now() < end; ++runs) {
    std::vector<uint8_t> input{static_cast<uint8_t>(random())};
    // The long ones are xfrm_userpolicy_info, xfrm_usersa_info and xfrm_user_expire.
    const size_t headers[] = {0, 8, 12, 16, random() % 32, 168, 224, 232};
    input.resize(1 + headers[random() % 8]);
    for (size_t i = 1; i < input.size(); ++i) input[i] = static_cast<uint8_t>(random() % 4 ? random() % 12 : random());
    Attributes(&random, 0, &input);
    // A heap copy of just this size, so that the sanitizer sees the first byte too far.
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[input.size()]);
    std::copy(input.begin(), input.end(), exact.get());
    LLVMFuzzerTestOneInput(exact.get(), input.size());
  }
  std::printf("%llu runs\n", static_cast<unsigned long long>(runs));
}
