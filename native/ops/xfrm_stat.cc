#include "ops/xfrm_stat.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>

#include "nl/fd.h"

namespace warren::ops {

using nl::Status;

Status XfrmStatList(std::vector<XfrmStat>* stats) {
  // /proc/net would be that of the process's first thread.
  nl::Fd fd(::open("/proc/thread-self/net/xfrm_stat", O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? Status::Ok() : Status::Errno(errno);
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t size = ::read(fd.get(), part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Status::Errno(errno);
    if (size == 0) break;
    text.append(part, static_cast<size_t>(size));
  }
  return ParseXfrmStat(text, stats) ? Status::Ok() : Status::Errno(EBADMSG);
}

bool ParseXfrmStat(const std::string& text, std::vector<XfrmStat>* stats) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t blank = line.find_first_of(" \t");
    const size_t number = line.find_first_not_of(" \t", blank);
    if (blank == 0 || number == std::string::npos) return false;
    XfrmStat stat{line.substr(0, blank), 0};
    const char* last = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + number, last, stat.count);
    if (error != std::errc() || stop != last) return false;
    stats->push_back(std::move(stat));
  }
  return true;
}

}  // namespace warren::ops
