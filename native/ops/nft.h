#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nl/status.h"

namespace warren::ops {

// A table of family inet; `text` is its body as `nft -s list table` prints it, one tab less indented.
struct NftTable {
  std::string name;
  std::string text;
};

// libnftables, found when it is first needed: a node without it must still be able to say what is missing.
class Nft {
 public:
  Nft();
  ~Nft();
  Nft(const Nft&) = delete;
  Nft& operator=(const Nft&) = delete;

  // REQUIRES for all: the calling thread is inside the namespace, and no other is in here.
  // ENOPKG when libnftables1 is not installed. extack is libnftables' own error text.

  // The whole table in one transaction.
  // Equivalent to: `nft 'add table inet N; delete table inet N; table inet N { TEXT }'`
  nl::Status Set(const NftTable& table);
  // Equivalent to: `nft 'add table inet N; delete table inet N'`
  nl::Status Del(const std::string& name);
  // Those of `names` that exist. Equivalent to: `nft -s list table inet N`
  nl::Status List(const std::vector<std::string>& names, std::vector<NftTable>* tables);

 private:
  nl::Status Load();
  nl::Status Run(const std::string& command, std::string* output);

  struct Calls;
  std::unique_ptr<Calls> calls_;  // null until loaded
};

// A word nft takes for a table's name.
bool ValidNftName(const std::string& name);
// The body of what `list table` printed.
std::string NftBody(const std::string& listing);

}  // namespace warren::ops
