#include "addon/worker.h"

#include <linux/netlink.h>
#include <signal.h>

#include <utility>

namespace warren::addon {

nl::Status Workshop::Inside(const nl::Netns& netns, const std::function<nl::Status(ops::Session*)>& work) {
  const auto begin = [&work](ops::Sockets* sockets) {
    if (!sockets->rtnl.is_open()) {
      if (nl::Status status = sockets->rtnl.Open(NETLINK_ROUTE); !status.ok()) return status;
    }
    ops::Session session(sockets);
    return work(&session);
  };
  if (netns.own()) return begin(&sockets_);
  return nl::RunInside(netns, [&begin] {
    ops::Sockets sockets;
    return begin(&sockets);
  });
}

Worker::Worker(std::function<void(std::unique_ptr<Job>)> done) : done_(std::move(done)) {
  // Signals are for node's main thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread(&Worker::Loop, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Worker::~Worker() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Worker::Post(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void Worker::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    std::unique_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job->Run(&workshop_);
    done_(std::move(job));
    lock.lock();
  }
}

}  // namespace warren::addon
