#pragma once

#include <string>
#include <vector>

#include "nl/status.h"

namespace warren::ops {

// A file name, not a path.
bool ValidNetnsName(const std::string& name);

// EEXIST when a living namespace has the name; a plain file left over by a crash is taken over.
// Equivalent to: `ip netns add NAME`
nl::Status NetnsAdd(const std::string& name);
// Takes the name away; the namespace lives on while somebody is in it. Absent is fine.
// Equivalent to: `ip netns del NAME`
nl::Status NetnsDel(const std::string& name);
// Names that lead to a namespace. Equivalent to: `ip netns list`
nl::Status NetnsList(std::vector<std::string>* names);

}  // namespace warren::ops
