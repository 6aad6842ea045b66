#pragma once

#include <string.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace warren::nl {

// Memory that is wiped before it is given back, also by a vector that grows.
template <typename T>
struct Wiping : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = Wiping<U>;
  };
  Wiping() = default;
  template <typename U>
  Wiping(const Wiping<U>&) {}
  void deallocate(T* memory, size_t count) {
    ::explicit_bzero(memory, count * sizeof(T));
    std::allocator<T>::deallocate(memory, count);
  }
};

// Key material. Its copies are wiped too.
using Secret = std::vector<uint8_t, Wiping<uint8_t>>;

}  // namespace warren::nl
