#pragma once

#include <cstdint>
#include <string>

#include "nl/reader.h"
#include "nl/socket.h"
#include "nl/status.h"

namespace warren::ops {

// Families of generic netlink have names; the kernel numbers them as they come, and anew when a module is loaded again.

// Asking loads the family's module, where there is one. EPROTONOSUPPORT: the kernel has no such family.
nl::Status FindFamily(nl::Socket* genl, const std::string& name, uint16_t* id);
// REQUIRES: payload of a CTRL_CMD_NEWFAMILY. False when malformed.
bool DecodeFamily(nl::Bytes payload, uint16_t* id);

}  // namespace warren::ops
