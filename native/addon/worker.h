#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "nl/netns.h"
#include "ops/nft.h"
#include "ops/session.h"

namespace warren::addon {

// What the request thread works with: all of it is that thread's alone.
class Workshop {
 public:
  // Calls `work` with a session inside the namespace. To another than our own it takes the calling thread, which is away from
  // then on, whatever comes after.
  nl::Status Inside(const nl::Netns& netns, const std::function<nl::Status(ops::Session*)>& work);
  ops::Nft* nft() { return &nft_; }
  void CloseSockets() {
    sockets_.rtnl.Close();
    sockets_.xfrm.Close();
    sockets_.genl.Close();
  }

 private:
  friend class Worker;
  ops::Sockets sockets_;  // of our own namespace; an open socket pins its namespace, so no other is kept
  ops::Nft nft_;
  bool relieved_ = false;  // another thread is standing by: this one may go away
  bool away_ = false;
};

class Job {
 public:
  virtual ~Job() = default;
  // On the request thread. Sees structs only.
  virtual void Run(Workshop* workshop) = 0;
};

// The one request thread of an addon instance: send() is the kernel doing the work, sometimes for seconds, which is
// neither the event loop's business nor libuv's pool's. First in, first out.
//
// A thread that has entered another namespace never comes back: with the job it ends, and the next one takes over. That one
// has been standing by, waiting for this one's end, so that a job in another namespace needs no more handing over between
// threads, each of which costs as much as a small request, than one in our own.
class Worker {
 public:
  // `done` is called on the request thread with each job that has run.
  explicit Worker(std::function<void(std::unique_ptr<Job>)> done);
  // Joins. Jobs not begun are dropped.
  ~Worker();

  void Post(std::unique_ptr<Job> job);

 private:
  // What one thread does from its predecessor's end on.
  void Work();
  // Has the next one stand by; false when no thread can be had, or we are stopping.
  bool Relieve();

  const std::function<void(std::unique_ptr<Job>)> done_;
  std::mutex mutex_;  // guards stop_, jobs_ and newest_
  std::condition_variable changed_;
  bool stop_ = false;
  std::deque<std::unique_ptr<Job>> jobs_;
  pthread_t newest_{};  // who joins it has waited for all
  Workshop workshop_;   // the working thread's
};

}  // namespace warren::addon
