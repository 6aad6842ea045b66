#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "nl/fd.h"
#include "nl/message.h"
#include "nl/reader.h"
#include "nl/status.h"

namespace warren::nl {

// A netlink socket for requests. Belongs to the namespace of the thread that opens it, and to one thread at a time.
// send() is the kernel doing the work: with the rtnl lock taken elsewhere it has been seen to last 21 s.
class Socket {
 public:
  // Extended and capped ACKs, strict checking, large buffers.
  Status Open(int protocol);
  bool is_open() const { return fd_.valid(); }
  void Close() { fd_.Reset(); }
  // For ioctls that any socket takes.
  int fd() const { return fd_.get(); }

  // One change, acknowledged.
  Status Request(Message* message);

  // Many changes in one sendmsg per chunk, an ACK asked for the last only: errors are always reported. The kernel goes
  // on after a failed message. `tolerated` tells which errors are none (deleting something absent).
  // On failure `failed` is the smallest index that failed and the status is its.
  using Tolerated = std::function<bool(size_t index, int error)>;
  Status Batch(std::vector<Message>* messages, const Tolerated& tolerated, size_t* failed);

  // One question, one answer: `each` sees the reply.
  using Each = std::function<Status(uint16_t type, Bytes payload)>;
  Status Get(Message* message, const Each& each);

  // A whole table. When the kernel says that it changed meanwhile (NLM_F_DUMP_INTR), `restart` is called and the dump
  // is done again, up to ten times. An error of `each` ends the dump, once the kernel has finished it.
  Status Dump(Message* message, const std::function<void()>& restart, const Each& each);

 private:
  // The one receive loop. Handles messages whose sequence number is in [first, last] until `finished`.
  struct Exchange;
  Status Receive(Exchange* exchange);
  Status Send(Message* messages, size_t count);
  // Until there is something to receive.
  Status Wait(std::chrono::steady_clock::time_point deadline);

  Fd fd_;
  bool keys_ = false;  // answers carry key material: NETLINK_XFRM
  uint32_t port_ = 0;
  uint32_t seq_ = 0;
  std::unique_ptr<uint8_t[]> buffer_;
};

// The Status in an NLMSG_ERROR's payload; good for an ACK. `flags` are those of its nlmsghdr.
Status DecodeError(Bytes payload, uint16_t flags);

}  // namespace warren::nl
