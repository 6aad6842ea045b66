#include "ops/apply.h"

#include <cerrno>

namespace warren::ops {

using nl::Message;
using nl::Status;

namespace {

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};

// Writes the one message of a small op. False when the op is none.
bool EncodeSmall(Resolver* resolver, const Op& op, Message* message, Status* status) {
  return std::visit(Overload{
                        [&](const OpAddrSet& o) { return *status = EncodeAddrSet(resolver, o.addr, message), true; },
                        [&](const OpAddrDel& o) { return *status = EncodeAddrDel(resolver, o.addr, message), true; },
                        [&](const OpRouteSet& o) { return *status = EncodeRouteSet(resolver, o.route, message), true; },
                        [&](const OpRouteDel& o) { return *status = EncodeRouteDel(resolver, o.route, message), true; },
                        [&](const OpNeighSet& o) { return *status = EncodeNeighSet(resolver, o.neigh, message), true; },
                        [&](const OpNeighDel& o) { return *status = EncodeNeighDel(resolver, o.neigh, message), true; },
                        [&](const OpFdbSet& o) { return *status = EncodeFdbSet(resolver, o.fdb, message), true; },
                        [&](const OpFdbDel& o) { return *status = EncodeFdbDel(resolver, o.fdb, message), true; },
                        [&](const OpSaAdd& o) { return *status = EncodeSaAdd(o.sa, o.key, message), true; },
                        [&](const OpSaUpdate& o) { return *status = EncodeSaUpdate(o.sa, o.key, message), true; },
                        [&](const OpSaDel& o) { return *status = EncodeSaDel(o.id, message), true; },
                        [&](const OpPolicyAdd& o) { return *status = EncodePolicyAdd(o.policy, message), true; },
                        [&](const OpPolicySet& o) { return *status = EncodePolicySet(o.policy, message), true; },
                        [&](const OpPolicyDel& o) { return *status = EncodePolicyDel(o.id, message), true; },
                        [](const auto&) { return false; },
                    },
                    op);
}

// Whether it is the kernel's answer to the deletion of something absent. Told by op: message types of NETLINK_ROUTE and
// NETLINK_XFRM are the same numbers.
bool Absent(const Op& op, int error) {
  return std::visit(
      Overload{
          [&](const OpAddrDel&) { return error == EADDRNOTAVAIL || error == ENODEV; },
          [&](const OpRouteDel&) { return error == ESRCH || error == ENODEV || error == ENOENT; },
          [&](const OpNeighDel&) { return error == ENOENT || error == ENODEV; },
          [&](const OpFdbDel&) { return error == ENOENT || error == ENODEV; },
          [&](const OpSaDel&) { return error == ESRCH; },
          [&](const OpPolicyDel&) { return error == ENOENT; },
          [](const auto&) { return false; },
      },
      op);
}

Status SocketOf(Session* session, const Op& op, nl::Socket** socket) {
  *socket = session->rtnl();
  return std::visit(Overload{
                        [&](const OpSaAdd&) { return session->Xfrm(socket); },
                        [&](const OpSaUpdate&) { return session->Xfrm(socket); },
                        [&](const OpSaDel&) { return session->Xfrm(socket); },
                        [&](const OpPolicyAdd&) { return session->Xfrm(socket); },
                        [&](const OpPolicySet&) { return session->Xfrm(socket); },
                        [&](const OpPolicyDel&) { return session->Xfrm(socket); },
                        [](const auto&) { return Status::Ok(); },
                    },
                    op);
}

Status ApplyLarge(Session* session, Nft* nft, const Op& op) {
  return std::visit(Overload{
                        [&](const OpLinkAdd& o) { return LinkAdd(session, o.link); },
                        [&](const OpLinkSet& o) { return LinkSet(session, o.link, o.rename); },
                        [&](const OpLinkDel& o) { return LinkDel(session, o.name); },
                        [&](const OpLinkDelGroup& o) { return LinkDelGroup(session, o.group); },
                        [&](const OpRuleSet& o) { return RuleSet(session, o.rule); },
                        [&](const OpRuleDel& o) { return RuleDel(session, o.rule); },
                        [&](const OpSysctlSet& o) { return SysctlSet(o.sysctl); },
                        [&](const OpNftSet& o) { return nft->Set(o.table); },
                        [&](const OpNftDel& o) { return nft->Del(o.name); },
                        [&](const OpNetnsAdd& o) { return NetnsAdd(o.name); },
                        [&](const OpNetnsDel& o) { return NetnsDel(o.name); },
                        [](const auto&) { return Status::Errno(ENOSYS); },
                    },
                    op);
}

// A run of small ops of one kind, in order; `indexes` are theirs in `ops`.
Status ApplyRun(Session* session, const std::vector<Op>& ops, const std::vector<size_t>& indexes,
                std::vector<Message>* messages, size_t* failed) {
  if (messages->empty()) return Status::Ok();
  *failed = indexes[0];
  nl::Socket* socket = nullptr;
  if (Status status = SocketOf(session, ops[indexes[0]], &socket); !status.ok()) return status;
  size_t at = 0;
  Status status =
      socket->Batch(messages, [&](size_t index, int error) { return Absent(ops[indexes[index]], error); }, &at);
  if (!status.ok()) *failed = indexes[at];
  messages->clear();
  return status;
}

}  // namespace

Status Apply(Session* session, Nft* nft, const std::vector<Op>& ops, size_t* failed) {
  std::vector<Message> run;
  std::vector<size_t> indexes;  // of the run's messages in `ops`
  for (size_t i = 0; i < ops.size(); ++i) {
    Message message(0, 0);
    Status encoded;
    if (EncodeSmall(session, ops[i], &message, &encoded)) {
      if (encoded.ok()) {
        if (!run.empty() && ops[i].index() != ops[indexes.back()].index()) {
          if (Status status = ApplyRun(session, ops, indexes, &run, failed); !status.ok()) return status;
        }
        if (run.empty()) indexes.clear();
        run.push_back(std::move(message));
        indexes.push_back(i);
        continue;
      }
      if (encoded.error == ENODEV && Absent(ops[i], ENODEV)) continue;  // its link is gone, and it with it
    }
    if (Status status = ApplyRun(session, ops, indexes, &run, failed); !status.ok()) return status;
    *failed = i;
    if (!encoded.ok()) return encoded;
    if (Status status = ApplyLarge(session, nft, ops[i]); !status.ok()) return status;
  }
  return ApplyRun(session, ops, indexes, &run, failed);
}

Status Encode(Resolver* resolver, const Op& op, std::vector<Message>* messages) {
  Message message(0, 0);
  Status status;
  if (EncodeSmall(resolver, op, &message, &status)) {
    messages->push_back(std::move(message));
    return status;
  }
  const auto one = [&](auto encode) {
    encode(&message);
    messages->push_back(std::move(message));
    return Status::Ok();
  };
  return std::visit(
      Overload{
          [&](const OpLinkAdd& o) {
            Status birth = EncodeLinkBirth(resolver, o.link, &message);
            messages->push_back(std::move(message));
            if (!birth.ok() || !FollowsBirth(o.link)) return birth;
            return EncodeLinkFollow(resolver, o.link, messages);
          },
          [&](const OpLinkSet& o) { return EncodeLinkSet(resolver, o.link, o.rename, messages); },
          [&](const OpLinkDel& o) { return one([&](Message* m) { EncodeLinkDel(o.name, m); }); },
          [&](const OpLinkDelGroup& o) { return one([&](Message* m) { EncodeLinkDelGroup(o.group, m); }); },
          [&](const OpRuleSet& o) { return one([&](Message* m) { EncodeRuleSet(o.rule, m); }); },
          [&](const OpRuleDel& o) { return one([&](Message* m) { EncodeRuleDel(o.rule, m); }); },
          [](const auto&) { return Status::Ok(); },
      },
      op);
}

}  // namespace warren::ops
