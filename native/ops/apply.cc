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
template <typename... F>
Overload(F...) -> Overload<F...>;  // clang before 17 does not find it by itself

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
                        [&](const OpIpvsSet& o) { return *status = EncodeIpvsAdd(resolver, o.service, message), true; },
                        [&](const OpIpvsDel& o) { return *status = EncodeIpvsDel(resolver, o.key, message), true; },
                        [&](const OpIpvsDestSet& o) {
                          return *status = EncodeIpvsDestAdd(resolver, o.dest, message), true;
                        },
                        [&](const OpIpvsDestDel& o) {
                          return *status = EncodeIpvsDestDel(resolver, o.id, message), true;
                        },
                        [&](const OpIpvsTimeoutsSet& o) {
                          return *status = EncodeIpvsTimeoutsSet(resolver, o.timeouts, message), true;
                        },
                        [](const auto&) { return false; },
                    },
                    op);
}

// The second message of a small op whose first makes something new: for when that was there already. False when the op
// is none.
bool EncodeChange(Resolver* resolver, const Op& op, Message* message, Status* status) {
  return std::visit(
      Overload{
          [&](const OpIpvsSet& o) { return *status = EncodeIpvsChange(resolver, o.service, message), true; },
          [&](const OpIpvsDestSet& o) { return *status = EncodeIpvsDestChange(resolver, o.dest, message), true; },
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
          [&](const OpIpvsDel&) { return error == ESRCH || error == EPROTONOSUPPORT; },
          [&](const OpIpvsDestDel&) { return error == ENOENT || error == ESRCH || error == EPROTONOSUPPORT; },
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
                        [&](const OpIpvsSet&) { return session->Genl(socket); },
                        [&](const OpIpvsDel&) { return session->Genl(socket); },
                        [&](const OpIpvsDestSet&) { return session->Genl(socket); },
                        [&](const OpIpvsDestDel&) { return session->Genl(socket); },
                        [&](const OpIpvsTimeoutsSet&) { return session->Genl(socket); },
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
                        [&](const OpNftDel& o) { return nft->Del(o.table); },
                        [&](const OpNftElementSet& o) { return nft->SetElements(o.elements); },
                        [&](const OpNftElementDel& o) { return nft->DelElements(o.elements); },
                        [&](const OpNetnsAdd& o) { return NetnsAdd(o.name); },
                        [&](const OpNetnsDel& o) { return NetnsDel(o.name); },
                        [](const auto&) { return Status::Errno(ENOSYS); },
                    },
                    op);
}

// What the kernel says with a number alone.
void PutWords(const Op& op, Status* status) {
  if (!status->extack.empty()) return;
  if (const auto* set = std::get_if<OpIpvsSet>(&op); set != nullptr && status->error == ENOENT) {
    status->extack = "the kernel has no scheduler " + set->service.scheduler;
  } else if (std::holds_alternative<OpIpvsDestSet>(op) && status->error == ESRCH) {
    status->extack = "there is no such service";
  } else if (std::holds_alternative<OpIpvsDestSet>(op) && status->error == EINVAL) {
    status->extack = "not a unicast address, or the namespace has no address itself yet";
  }
}

// A run of small ops of one kind, in order; `indexes` are theirs in `ops`.
Status ApplyRun(Session* session, const std::vector<Op>& ops, const std::vector<size_t>& indexes,
                std::vector<Message>* messages, size_t* failed) {
  if (messages->empty()) return Status::Ok();
  *failed = indexes[0];
  nl::Socket* socket = nullptr;
  if (Status status = SocketOf(session, ops[indexes[0]], &socket); !status.ok()) return status;
  std::vector<Message> changes;
  std::vector<size_t> changed;  // of the changes in `ops`
  const auto tolerated = [&](size_t index, int error) {
    const Op& op = ops[indexes[index]];
    Message change(0, 0);
    Status encoded;
    if (error != EEXIST || !EncodeChange(session, op, &change, &encoded) || !encoded.ok()) return Absent(op, error);
    changes.push_back(std::move(change));
    changed.push_back(indexes[index]);
    return true;
  };
  size_t at = 0;
  Status status = socket->Batch(messages, tolerated, &at);
  if (!status.ok()) *failed = indexes[at];
  messages->clear();
  // Also when a later one has failed: what comes before it is to be done.
  Status change = socket->Batch(&changes, nullptr, &at);
  if (!change.ok()) {
    status = change;
    *failed = changed[at];
  }
  PutWords(ops[*failed], &status);
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
      if (Absent(ops[i], encoded.error)) continue;  // its link is gone, and it with it; or the kernel has no such thing
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
