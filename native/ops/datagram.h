#pragma once

#include <string>

#include "nl/status.h"

namespace warren::ops {

// One datagram to a Unix socket: at `path`, or in the abstract name space where that begins with '@' (as in sd_notify(3)).
// Never waits: a receiver that is full is an error (EAGAIN).
nl::Status SendDatagram(const std::string& path, const std::string& text);

}  // namespace warren::ops
