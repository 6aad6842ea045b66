#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "nl/fd.h"
#include "nl/status.h"

namespace warren::nl {

// A network namespace by path; "" is the one the process was started in. With dev and inode it must be that very one.
struct Netns {
  std::string path;
  std::optional<uint64_t> dev;
  std::optional<uint64_t> inode;

  bool own() const { return path.empty(); }
};

struct NetnsId {
  uint64_t dev = 0;
  uint64_t inode = 0;
};

// Opens the namespace. ENOENT: nothing there. EINVAL: there is something, but no namespace.
// ESTALE: a namespace, but another one than dev and inode say.
Status OpenNetns(const Netns& netns, Fd* fd);

// Whether the path leads to a namespace, and to which. `found` is false (and the status good) when there is none.
Status IdentifyNetns(const std::string& path, NetnsId* id, bool* found);

// Takes the calling thread into the namespace, for good.
// REQUIRES: it is not node's, and nobody counts on where it is.
Status Enter(const Netns& netns);

// Runs `work` on a thread of its own that lives inside the namespace, and waits for it. The thread never switches
// back: it ends. The caller's namespace is untouched. Sockets opened by `work` belong to the namespace and pin it.
Status RunInside(const Netns& netns, const std::function<Status()>& work);

// Runs `work` on a thread of its own that has just entered a fresh network namespace.
Status RunInFresh(const std::function<Status()>& work);

}  // namespace warren::nl
