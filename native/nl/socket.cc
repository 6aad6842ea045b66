#include "nl/socket.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

namespace warren::nl {

namespace {

using Clock = std::chrono::steady_clock;

// The answer is there when send() returns; this is for a kernel that has gone wrong.
constexpr std::chrono::seconds kDeadline{30};
constexpr int kBuffer = 4 << 20;
// Dump answers are at most 32 KiB.
constexpr size_t kReceive = 64 << 10;
constexpr size_t kChunkBytes = 128 << 10;
constexpr size_t kChunkMessages = 512;
constexpr int kDumpAttempts = 10;

template <typename T>
bool SetOption(int fd, int level, int option, T value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

Status DecodeError(Bytes payload, uint16_t flags) {
  int32_t code = 0;
  if (payload.size() < sizeof code) return Status::Errno(EBADMSG, "short error message");
  std::memcpy(&code, payload.data(), sizeof code);
  Status status = Status::Errno(code < 0 && code > INT32_MIN ? -code : 0);
  if (!(flags & NLM_F_ACK_TLVS) || payload.size() < sizeof(nlmsgerr)) return status;
  nlmsgerr error;
  std::memcpy(&error, payload.data(), sizeof error);
  // Uncapped errors carry our whole request before the attributes.
  size_t skip = sizeof error;
  if (!(flags & NLM_F_CAPPED) && error.msg.nlmsg_len > NLMSG_HDRLEN) {
    skip += NLMSG_ALIGN(static_cast<size_t>(error.msg.nlmsg_len) - NLMSG_HDRLEN);
  }
  if (skip > payload.size()) return status;
  Reader reader(payload.subspan(skip));
  for (Attr attr; reader.Next(&attr);) {
    if (attr.type == NLMSGERR_ATTR_MSG) attr.String(&status.extack);
    if (attr.type == NLMSGERR_ATTR_OFFS) attr.U32(&status.offset);
  }
  return status;
}

// REQUIRES: before Receive the caller has sent messages numbered first … last.
struct Socket::Exchange {
  uint32_t first;
  uint32_t last;
  Each each;                                              // data messages
  std::function<void(uint32_t seq, Status error)> error;  // an NLMSG_ERROR that is not an ACK
  bool interrupted = false;                               // out: NLM_F_DUMP_INTR was seen
};

Status Socket::Open(int protocol) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return Status::Errno(errno);
  // Forced sizes need CAP_NET_ADMIN over the first user namespace; without, what we are allowed must do.
  if (!SetOption(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, kBuffer)) SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kBuffer);
  if (!SetOption(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, kBuffer)) SetOption(fd.get(), SOL_SOCKET, SO_SNDBUF, kBuffer);
  for (int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
    if (!SetOption(fd.get(), SOL_NETLINK, option, 1)) return Status::Errno(errno, "kernel too old: netlink option");
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Status::Errno(errno);
  }
  port_ = address.nl_pid;
  keys_ = protocol == NETLINK_XFRM;
  if (!buffer_) buffer_.reset(new uint8_t[kReceive]);  // not zeroed
  fd_ = std::move(fd);
  return Status::Ok();
}

Status Socket::Send(Message* messages, size_t count) {
  std::vector<iovec> parts(count);
  for (size_t i = 0; i < count; ++i) {
    if (messages[i].error() != 0) return Status::Errno(messages[i].error());
    messages[i].SetSeq(++seq_);
    const Bytes bytes = messages[i].bytes();
    parts[i] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr header{};
  header.msg_name = &kernel;
  header.msg_namelen = sizeof kernel;
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  while (::sendmsg(fd_.get(), &header, 0) < 0) {
    if (errno != EINTR) return Status::Errno(errno);
  }
  return Status::Ok();
}

Status Socket::Wait(std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{fd_.get(), POLLIN, 0};
    const int ready = left > 0 ? ::poll(&waiting, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return Status::Ok();
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return Status::Errno(errno);
    Close();  // a late answer must not be taken for the next one's
    return Status::Errno(ETIMEDOUT, "no answer from the kernel");
  }
}

Status Socket::Receive(Exchange* exchange) {
  struct Wipe {
    Socket* socket;
    ~Wipe() {
      if (socket->keys_) ::explicit_bzero(socket->buffer_.get(), kReceive);
    }
  } wipe{this};
  const auto deadline = Clock::now() + kDeadline;
  Status failure;  // of `each`; kept until the kernel has finished
  for (;;) {
    sockaddr_nl from{};
    iovec part{buffer_.get(), kReceive};
    msghdr header{};
    header.msg_name = &from;
    header.msg_namelen = sizeof from;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
      if (Status status = Wait(deadline); !status.ok()) return status;
      continue;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Status::Errno(errno);
    if (header.msg_flags & MSG_TRUNC) return Status::Errno(EMSGSIZE, "answer longer than the buffer");
    if (from.nl_pid != 0) continue;  // not from the kernel

    Messages messages(Bytes(buffer_.get(), static_cast<size_t>(size)));
    nlmsghdr head;
    for (Bytes payload; messages.Next(&head, &payload);) {
      const bool ours = head.nlmsg_pid == port_ && head.nlmsg_seq - exchange->first <= exchange->last - exchange->first;
      if (!ours || head.nlmsg_type == NLMSG_NOOP) continue;
      if (head.nlmsg_flags & NLM_F_DUMP_INTR) exchange->interrupted = true;
      if (head.nlmsg_type == NLMSG_OVERRUN) return Status::Errno(ENOBUFS);
      if (head.nlmsg_type == NLMSG_ERROR) {
        Status status = DecodeError(payload, head.nlmsg_flags);
        if (!status.ok() && exchange->error)
          exchange->error(head.nlmsg_seq, std::move(status));
        else if (!status.ok())
          return status;
        if (head.nlmsg_seq == exchange->last) return failure;
      } else if (head.nlmsg_type == NLMSG_DONE) {
        int32_t code = 0;
        if (payload.size() >= sizeof code) std::memcpy(&code, payload.data(), sizeof code);
        if (code < 0) {
          Status status = Status::Errno(-code);
          if (head.nlmsg_flags & NLM_F_ACK_TLVS) {
            Reader reader(payload.subspan(sizeof code));
            for (Attr attr; reader.Next(&attr);) {
              if (attr.type == NLMSGERR_ATTR_MSG) attr.String(&status.extack);
            }
          }
          return status;
        }
        return failure;
      } else if (exchange->each && failure.ok()) {
        failure = exchange->each(head.nlmsg_type, payload);
      }
    }
    if (messages.bad()) return Status::Errno(EBADMSG, "malformed answer from the kernel");
  }
}

Status Socket::Request(Message* message) { return Get(message, nullptr); }

Status Socket::Get(Message* message, const Each& each) {
  message->SetFlags(NLM_F_ACK);
  if (Status status = Send(message, 1); !status.ok()) return status;
  Exchange exchange{seq_, seq_, each, nullptr, false};
  Status status = Receive(&exchange);
  if (status.offset != 0) status.attr = message->AttrAt(status.offset);
  return status;
}

Status Socket::Batch(std::vector<Message>* messages, const Tolerated& tolerated, size_t* failed) {
  for (size_t begin = 0; begin < messages->size();) {
    size_t end = begin;
    for (size_t bytes = 0; end < messages->size() && end - begin < kChunkMessages && bytes < kChunkBytes; ++end) {
      bytes += (*messages)[end].bytes().size();
    }
    (*messages)[end - 1].SetFlags(NLM_F_ACK);
    *failed = begin;
    if (Status status = Send(&(*messages)[begin], end - begin); !status.ok()) return status;
    const uint32_t first = seq_ - static_cast<uint32_t>(end - begin) + 1;
    Status failure;
    size_t smallest = messages->size();
    Exchange exchange{first, seq_, nullptr,
                      [&](uint32_t seq, Status error) {
                        const size_t index = begin + (seq - first);
                        if (index >= smallest || (tolerated && tolerated(index, error.error))) return;
                        smallest = index;
                        failure = std::move(error);
                      },
                      false};
    if (Status status = Receive(&exchange); !status.ok()) return status;
    if (!failure.ok()) {
      *failed = smallest;
      if (failure.offset != 0) failure.attr = (*messages)[smallest].AttrAt(failure.offset);
      return failure;
    }
    begin = end;
  }
  return Status::Ok();
}

Status Socket::Dump(Message* message, const std::function<void()>& restart, const Each& each) {
  message->SetFlags(NLM_F_DUMP);
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    restart();
    if (Status status = Send(message, 1); !status.ok()) return status;
    Exchange exchange{seq_, seq_, each, nullptr, false};
    Status status = Receive(&exchange);
    if (!status.ok()) {
      if (status.offset != 0) status.attr = message->AttrAt(status.offset);
      return status;
    }
    if (!exchange.interrupted) return Status::Ok();
  }
  return Status::Errno(EINTR, "the table kept changing while it was read");
}

}  // namespace warren::nl
