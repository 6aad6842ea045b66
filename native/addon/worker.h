#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "nl/netns.h"
#include "ops/nft.h"
#include "ops/session.h"

namespace warren::addon {

// What the request thread works with: all of it is that thread's alone.
class Workshop {
 public:
  // Calls `work` with a session inside the namespace: here for our own, on a thread of its own for another.
  nl::Status Inside(const nl::Netns& netns, const std::function<nl::Status(ops::Session*)>& work);
  ops::Nft* nft() { return &nft_; }
  void CloseSockets() {
    sockets_.rtnl.Close();
    sockets_.xfrm.Close();
  }

 private:
  ops::Sockets sockets_;  // of our own namespace; an open socket pins its namespace, so no other is kept
  ops::Nft nft_;
};

class Job {
 public:
  virtual ~Job() = default;
  // On the request thread. Sees structs only.
  virtual void Run(Workshop* workshop) = 0;
};

// The one request thread of an addon instance: send() is the kernel doing the work, sometimes for seconds, which is
// neither the event loop's business nor libuv's pool's. First in, first out.
class Worker {
 public:
  // `done` is called on the request thread with each job that has run.
  explicit Worker(std::function<void(std::unique_ptr<Job>)> done);
  // Joins. Jobs not begun are dropped.
  ~Worker();

  void Post(std::unique_ptr<Job> job);

 private:
  void Loop();

  const std::function<void(std::unique_ptr<Job>)> done_;
  std::mutex mutex_;  // guards stop_ and jobs_
  std::condition_variable changed_;
  bool stop_ = false;
  std::deque<std::unique_ptr<Job>> jobs_;
  Workshop workshop_;  // the thread's
  std::thread thread_;
};

}  // namespace warren::addon
