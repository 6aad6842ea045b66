#include "addon/worker.h"

#include <linux/netlink.h>
#include <signal.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
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
  if (!netns.own() || away_) {
    if (!relieved_) return nl::Status::Errno(EAGAIN, "cannot start a thread");
    if (nl::Status status = nl::Enter(netns); !status.ok()) return status;
    away_ = true;
  }
  if (netns.own()) return begin(&sockets_);
  ops::Sockets sockets;
  return begin(&sockets);
}

namespace {

struct Turn {
  std::optional<pthread_t> before;
  std::function<void()> work;
};

// Null when no thread can be had. Signals are for node's main thread.
std::optional<pthread_t> Begin(std::unique_ptr<Turn> turn) {
  sigset_t all, mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  pthread_t thread;
  const int error = pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        const std::unique_ptr<Turn> mine(static_cast<Turn*>(argument));
        if (mine->before) pthread_join(*mine->before, nullptr);
        mine->work();
        return nullptr;
      },
      turn.get());
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  if (error != 0) return std::nullopt;
  turn.release();
  return thread;
}

}  // namespace

Worker::Worker(std::function<void(std::unique_ptr<Job>)> done) : done_(std::move(done)) {
  std::lock_guard lock(mutex_);
  const auto thread = Begin(std::make_unique<Turn>(Turn{std::nullopt, [this] { Work(); }}));
  if (!thread) std::abort();  // as std::thread would
  newest_ = *thread;
}

Worker::~Worker() {
  pthread_t newest;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    newest = newest_;
  }
  changed_.notify_one();
  pthread_join(newest, nullptr);
}

void Worker::Post(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

bool Worker::Relieve() {
  std::lock_guard lock(mutex_);
  if (stop_) return false;
  const auto thread = Begin(std::make_unique<Turn>(Turn{newest_, [this] { Work(); }}));
  if (thread) newest_ = *thread;
  return thread.has_value();
}

void Worker::Work() {
  workshop_.away_ = false;
  workshop_.relieved_ = Relieve();
  std::unique_lock lock(mutex_);
  while (!workshop_.away_) {
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    std::unique_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (!workshop_.relieved_) workshop_.relieved_ = Relieve();
    job->Run(&workshop_);
    done_(std::move(job));
    lock.lock();
  }
}

}  // namespace warren::addon
