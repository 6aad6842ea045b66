#include "ops/datagram.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "nl/fd.h"

namespace warren::ops {

using nl::Status;

Status SendDatagram(const std::string& path, const std::string& text) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) return Status::Errno(EINVAL, "not a socket's path");
  std::memcpy(name.sun_path, path.data(), path.size());
  if (path[0] == '@') name.sun_path[0] = '\0';
  const nl::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::Errno(errno);
  // Of an abstract name every byte counts: the length, not a zero, is its end.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  const ssize_t sent = ::sendto(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL, address, size);
  return sent < 0 ? Status::Errno(errno) : Status::Ok();
}

}  // namespace warren::ops
