#include "ops/sysctl.h"

#include <fcntl.h>

#include <cerrno>

#include "nl/fd.h"

namespace warren::ops {

using nl::Status;

bool ValidSysctlKey(const std::string& key) {
  if (!key.starts_with("net/") || key.find('\0') != std::string::npos) return false;
  // A dot is fine inside a name (eth0.5), two in a row only as the whole of a path's part are not; be strict.
  return key.find("..") == std::string::npos;
}

Status SysctlSet(const Sysctl& sysctl) {
  nl::Fd fd(::open(("/proc/sys/" + sysctl.key).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return Status::Errno(errno);
  const ssize_t written = ::write(fd.get(), sysctl.value.data(), sysctl.value.size());
  if (written < 0) return Status::Errno(errno);
  return static_cast<size_t>(written) == sysctl.value.size() ? Status::Ok() : Status::Errno(EIO);
}

Status SysctlList(const std::vector<std::string>& keys, std::vector<Sysctl>* sysctls) {
  for (const std::string& key : keys) {
    nl::Fd fd(::open(("/proc/sys/" + key).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) continue;
    if (!fd.valid()) return Status::Errno(errno, key);
    char text[4096];
    const ssize_t size = ::read(fd.get(), text, sizeof text);
    if (size < 0) return Status::Errno(errno, key);
    std::string value(text, static_cast<size_t>(size));
    while (!value.empty() && value.back() == '\n') value.pop_back();
    sysctls->push_back({key, value});
  }
  return Status::Ok();
}

}  // namespace warren::ops
