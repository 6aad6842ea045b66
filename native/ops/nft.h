#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nl/status.h"

namespace warren::ops {

// A table of family inet; `text` is its body as `nft -s list table` prints it, one tab less indented.
struct NftTableId {
  std::string family = "inet";  // or "netdev"
  std::string name;

  std::string Words() const { return family + " " + name; }
};

struct NftTable {
  NftTableId id;
  std::string text;
};

// Some of what a set or map of such a table holds, each as nft writes it: `10.9.0.11 . 80`, in a map with its value,
// `10.9.0.11 . 80 : 8080`. Single ones, no intervals.
struct NftElements {
  NftTableId table;
  std::string set;
  std::vector<std::string> elements;
};

// libnftables, found when it is first needed: a node without it must still be able to say what is missing.
class Nft {
 public:
  Nft();
  ~Nft();
  Nft(const Nft&) = delete;
  Nft& operator=(const Nft&) = delete;

  // REQUIRES for all: the calling thread is inside the namespace, and no other is in here.
  // ENOPKG when libnftables1 is not installed. extack is libnftables' own error text, and which line it means.

  // The whole table in one transaction.
  // Equivalent to: `nft 'add table FAMILY N; delete table FAMILY N; table FAMILY N { TEXT }'`
  nl::Status Set(const NftTable& table);
  // Equivalent to: `nft 'add table FAMILY N; delete table FAMILY N'`
  nl::Status Del(const NftTableId& table);
  // In one transaction; a key that has another value gets this one. ENOENT: no such table or set.
  // Equivalent to: `nft 'delete element FAMILY TABLE SET { THOSE THERE }; add element FAMILY TABLE SET { ELEMENTS }'`
  nl::Status SetElements(const NftElements& elements);
  // In one transaction; those absent are absent, and what value one has is not looked at.
  // Equivalent to: `nft 'delete element FAMILY TABLE SET { ELEMENTS }'`
  nl::Status DelElements(const NftElements& elements);
  // Those of `ids` that exist. Equivalent to: `nft -s list table FAMILY N`
  nl::Status List(const std::vector<NftTableId>& ids, std::vector<NftTable>* tables);

 private:
  nl::Status Load();
  // `before` lines of the command are not the caller's (NftFailure).
  nl::Status Run(const std::string& command, size_t before, std::string* output);
  // Those that are there, whatever their value.
  nl::Status Existing(const NftElements& elements, NftElements* existing);

  struct Calls;
  std::unique_ptr<Calls> calls_;  // null until loaded
};

// A word nft takes for a table's name, or a set's.
bool ValidNftName(const std::string& name);
// Something nft could take for one element, and for nothing else.
bool ValidNftElement(const std::string& element);
// The body of what `list table` printed.
std::string NftBody(const std::string& listing);
// What libnftables said of a command, as one line: MESSAGE[, line LINE]: TEXT. Lines are counted after the first `before`;
// when there are none, or the line is very long, TEXT is just the part that is meant.
nl::Status NftFailure(const std::string& command, size_t before, const std::string& words);

}  // namespace warren::ops
