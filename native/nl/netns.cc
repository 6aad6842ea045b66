#include "nl/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <thread>

namespace warren::nl {

namespace {

bool IsNamespace(int fd) {
  struct statfs fs;
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

// std::thread would die of an exception when the system is out of threads; signals belong to node's main thread.
Status RunOnThread(const std::function<Status()>& work) {
  struct Call {
    const std::function<Status()>* work;
    Status status;
  } call{&work, {}};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        auto* c = static_cast<Call*>(argument);
        c->status = (*c->work)();
        return nullptr;
      },
      &call);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return Status::Errno(error, "cannot start a thread");
  pthread_join(thread, nullptr);
  return call.status;
}

}  // namespace

Status OpenNetns(const Netns& netns, Fd* fd) {
  // /proc/self is the thread group leader, which never changes namespace; /proc/thread-self may be anywhere.
  const char* path = netns.own() ? "/proc/self/ns/net" : netns.path.c_str();
  // O_NONBLOCK: a fifo in the place of a namespace must not hang the thread.
  Fd opened(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened.valid()) return Status::Errno(errno);
  if (!IsNamespace(opened.get())) return Status::Errno(EINVAL, "not a network namespace");
  struct stat st;
  if (::fstat(opened.get(), &st) != 0) return Status::Errno(errno);
  if ((netns.dev && *netns.dev != st.st_dev) || (netns.inode && *netns.inode != st.st_ino)) {
    return Status::Errno(ESTALE, "another network namespace has taken this path");
  }
  *fd = std::move(opened);
  return Status::Ok();
}

Status IdentifyNetns(const std::string& path, NetnsId* id, bool* found) {
  *found = false;
  Fd fd;
  const Status status = OpenNetns({path, {}, {}}, &fd);
  if (status.error == ENOENT || status.error == ENOTDIR || status.error == EINVAL || status.error == ENXIO ||
      status.error == ESRCH) {
    return Status::Ok();
  }
  if (!status.ok()) return status;
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return Status::Errno(errno);
  *id = {st.st_dev, st.st_ino};
  *found = true;
  return Status::Ok();
}

Status Enter(const Netns& netns) {
  Fd fd;
  if (Status status = OpenNetns(netns, &fd); !status.ok()) return status;
  const bool entered = ::setns(fd.get(), CLONE_NEWNET) == 0;
  return entered ? Status::Ok() : Status::Errno(errno, "cannot enter the network namespace");
}

Status RunInside(const Netns& netns, const std::function<Status()>& work) {
  return RunOnThread([&]() -> Status {
    Status status = Enter(netns);
    return status.ok() ? work() : status;
  });
}

Status RunInFresh(const std::function<Status()>& work) {
  return RunOnThread([&]() -> Status {
    if (::unshare(CLONE_NEWNET) != 0) return Status::Errno(errno, "cannot make a network namespace");
    return work();
  });
}

}  // namespace warren::nl
