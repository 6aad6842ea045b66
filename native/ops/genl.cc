#include "ops/genl.h"

#include <linux/genetlink.h>

#include <cerrno>

namespace warren::ops {

using nl::Status;

bool DecodeFamily(nl::Bytes payload, uint16_t* id) {
  genlmsghdr header;
  if (!nl::TakeHeader(&payload, &header)) return false;
  bool found = false;
  nl::Reader reader(payload);
  for (nl::Attr attr; reader.Next(&attr);) {
    if (attr.type == CTRL_ATTR_FAMILY_ID) found = attr.U16(id);
  }
  return found && !reader.bad();
}

Status FindFamily(nl::Socket* genl, const std::string& name, uint16_t* id) {
  nl::Message message(GENL_ID_CTRL, 0);
  message.Header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0});
  message.PutString(CTRL_ATTR_FAMILY_NAME, "FAMILY_NAME", name);
  Status status = genl->Get(&message, [id](uint16_t, nl::Bytes payload) {
    return DecodeFamily(payload, id) ? Status::Ok() : Status::Errno(EBADMSG);
  });
  if (status.error == ENOENT) return Status::Errno(EPROTONOSUPPORT, "the kernel has no " + name);
  return status;
}

}  // namespace warren::ops
