#include "ops/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "nl/fd.h"
#include "nl/netns.h"

namespace warren::ops {

using nl::Status;

namespace {

constexpr char kDirectory[] = "/run/netns";

bool IsNamespace(const std::string& path) {
  struct statfs fs;
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

// A shared mount of its own, as `ip netns` makes it: names made here appear in other mount namespaces too.
Status PrepareDirectory() {
  if (::mkdir(kDirectory, 0755) != 0 && errno != EEXIST) return Status::Errno(errno);
  if (::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) == 0) return Status::Ok();
  if (errno != EINVAL) return Status::Errno(errno);
  // Not a mount point yet.
  if (::mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      ::mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) != 0) {
    return Status::Errno(errno);
  }
  return Status::Ok();
}

}  // namespace

bool ValidNetnsName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

Status NetnsAdd(const std::string& name) {
  if (Status status = PrepareDirectory(); !status.ok()) return status;
  const std::string path = std::string(kDirectory) + "/" + name;
  nl::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0));
  if (!file.valid() && (errno != EEXIST || IsNamespace(path))) return Status::Errno(errno);
  file.Reset();
  Status status = nl::RunInFresh([&path] {
    return ::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) == 0 ? Status::Ok()
                                                                                            : Status::Errno(errno);
  });
  if (!status.ok()) ::unlink(path.c_str());
  return status;
}

Status NetnsDel(const std::string& name) {
  const std::string path = std::string(kDirectory) + "/" + name;
  // More than one when two of us were at it; EINVAL: nothing is mounted there (any more).
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return Status::Errno(errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Status::Errno(errno);
  return Status::Ok();
}

Status NetnsList(std::vector<std::string>* names) {
  DIR* directory = ::opendir(kDirectory);
  if (directory == nullptr) return errno == ENOENT ? Status::Ok() : Status::Errno(errno);
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (IsNamespace(std::string(kDirectory) + "/" + name)) names->push_back(name);
  }
  ::closedir(directory);
  std::sort(names->begin(), names->end());
  return Status::Ok();
}

}  // namespace warren::ops
