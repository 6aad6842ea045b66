// The table of contents of the addon: what JS can call, and the life of one instance.
//
//   JS thread          convert → Job ──▶ request thread (worker)   one job at a time; one that leads into another
//        │                                   │                     namespace is that thread's last
//        ▲                                   │
//        └── threadsafe function ◀───────────┴── event thread (events)   epoll over the watches' sockets
//
// The threadsafe function is referenced only while requests are in flight or watches open: nothing else of ours keeps
// node alive, and nothing of ours lets it exit with promises pending.

#include <napi.h>

#include <functional>
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "addon/convert.h"
#include "addon/events.h"
#include "addon/worker.h"
#include "ops/bind.h"
#include "ops/datagram.h"
#include "ops/diag.h"

namespace warren::addon {

namespace {

using nl::Status;

class Instance;

// Something the JS thread has to do for one of the others.
class Errand {
 public:
  virtual ~Errand() = default;
  virtual void Do(Napi::Env env, Instance* instance) = 0;
};

// Which op failed, where there are any.
struct Failed {
  int64_t visit = -1;
  int64_t index = -1;
};

// One call from JS: `work` on the request thread, then `result` on the JS thread when it went well.
class Call : public Job, public Errand {
 public:
  using Work = std::function<Status(Workshop*, Failed*)>;
  using Result = std::function<Napi::Value(Napi::Env)>;
  Call(Napi::Env env, Work work, Result result)
      : deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)), result_(std::move(result)) {}

  Napi::Promise promise() { return deferred_.Promise(); }
  void Run(Workshop* workshop) override { status_ = work_(workshop, &failed_); }
  void Do(Napi::Env env, Instance* instance) override;

 private:
  Failed failed_;
  Napi::Promise::Deferred deferred_;
  Work work_;
  Result result_;
  Status status_;
};

class Happening : public Errand {
 public:
  Happening(uint64_t id, Events::Kind kind) : id_(id), kind_(kind) {}
  void Do(Napi::Env env, Instance* instance) override;

 private:
  uint64_t id_;
  Events::Kind kind_;
};

// All state of the addon in one node environment. Everything but the two thread objects belongs to the JS thread.
class Instance {
 public:
  explicit Instance(Napi::Env env) : env_(env) {
    napi_value name = Napi::String::New(env, "warren");
    napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, CallJs, &errands_);
    napi_unref_threadsafe_function(env, errands_);
    const auto done = [this](std::unique_ptr<Job> job) { Send(static_cast<Call*>(job.release())); };
    worker_ = std::make_unique<Worker>(done);
    sweeper_ = std::make_unique<Worker>(done);
    events_ = std::make_unique<Events>([this](uint64_t id, Events::Kind kind) { Send(new Happening(id, kind)); });
    // Hooks run last in, first out: ours before the threadsafe function's own.
    napi_add_env_cleanup_hook(env, Cleanup, this);
  }

  // `slow`: it mostly waits for the kernel, and what is asked meanwhile need not.
  Napi::Value Start(Call::Work work, Call::Result result, bool slow = false) {
    auto call = std::make_unique<Call>(env_, std::move(work), std::move(result));
    Napi::Promise promise = call->promise();
    Hold();
    (slow ? sweeper_ : worker_)->Post(std::move(call));
    return promise;
  }
  void Hold() {
    if (held_++ == 0) napi_ref_threadsafe_function(env_, errands_);
  }
  void Release() {
    if (--held_ == 0) napi_unref_threadsafe_function(env_, errands_);
  }

  Events* events() { return events_.get(); }
  uint64_t AddListener(Napi::Function function) {
    listeners_[++last_id_] = Napi::Persistent(function);
    return last_id_;
  }
  void CloseWatch(uint64_t id) {
    events_->Remove(id);
    if (listeners_.erase(id) > 0) Release();
  }
  void Hear(uint64_t id, Events::Kind kind) {
    const auto found = listeners_.find(id);
    if (found == listeners_.end()) return;  // closed meanwhile
    const Hint hint = events_->Heard(id);
    const Napi::Function listener = found->second.Value();
    if (kind == Events::Kind::kGone) CloseWatch(id);
    listener.Call({Napi::Boolean::New(env_, kind == Events::Kind::kGone), FromHint(env_, hint)});
  }

 private:
  void Send(Errand* errand) {
    if (napi_call_threadsafe_function(errands_, errand, napi_tsfn_blocking) != napi_ok) delete errand;
  }
  static void CallJs(napi_env env, napi_value, void* context, void* data) {
    std::unique_ptr<Errand> errand(static_cast<Errand*>(data));
    if (env == nullptr) return;  // node is going away
    Napi::HandleScope scope(env);
    errand->Do(env, static_cast<Instance*>(context));
  }
  static void Cleanup(void* data) {
    auto* self = static_cast<Instance*>(data);
    self->worker_.reset();
    self->sweeper_.reset();
    self->events_.reset();
    self->listeners_.clear();
    napi_release_threadsafe_function(self->errands_, napi_tsfn_abort);
  }

  const Napi::Env env_;
  napi_threadsafe_function errands_ = nullptr;
  size_t held_ = 0;
  uint64_t last_id_ = 0;
  std::map<uint64_t, Napi::FunctionReference> listeners_;
  std::unique_ptr<Worker> worker_, sweeper_;
  std::unique_ptr<Events> events_;
};

void Call::Do(Napi::Env env, Instance* instance) {
  instance->Release();
  if (status_.ok()) {
    deferred_.Resolve(result_ ? result_(env) : env.Undefined());
    return;
  }
  Napi::Object error = FromStatus(env, status_).As<Napi::Object>();
  error.Set("visit", static_cast<double>(failed_.visit));
  error.Set("index", static_cast<double>(failed_.index));
  deferred_.Reject(error);
}

void Happening::Do(Napi::Env, Instance* instance) { instance->Hear(id_, kind_); }

Napi::Value Refuse(Napi::Env env, const std::string& error) {
  Napi::TypeError::New(env, error).ThrowAsJavaScriptException();
  return env.Undefined();
}

Instance* Of(const Napi::CallbackInfo& info) { return info.Env().GetInstanceData<Instance>(); }

// Deleting a veth pair waits for every processor to have let go of it, 16 to 20 ms.
bool Slow(const std::vector<Visit>& visits) {
  const auto deletes = [](const ops::Op& op) { return std::holds_alternative<ops::OpLinkDelGroup>(op); };
  return !visits.empty() && std::all_of(visits.begin(), visits.end(), [&](const Visit& visit) {
    return std::all_of(visit.ops.begin(), visit.ops.end(), deletes);
  });
}

// apply(visits: { netns, ops }[]): Promise<void>
Napi::Value Apply(const Napi::CallbackInfo& info) {
  std::vector<Visit> visits;
  std::string error;
  if (!ToVisits(info[0], &visits, &error)) return Refuse(info.Env(), error);
  const bool slow = Slow(visits);
  return Of(info)->Start(
      [visits = std::move(visits)](Workshop* workshop, Failed* failed) {
        for (size_t i = 0; i < visits.size(); ++i) {
          const auto& [netns, list] = visits[i];
          failed->visit = static_cast<int64_t>(i);
          Status status = workshop->Inside(netns, [&](ops::Session* session) {
            size_t index = 0;
            Status applied = ops::Apply(session, workshop->nft(), list, &index);
            if (!applied.ok()) failed->index = static_cast<int64_t>(index);
            return applied;
          });
          if (!status.ok()) return status;
        }
        return Status::Ok();
      },
      nullptr, slow);
}

Status ReadInto(Workshop* workshop, ops::Session* session, const Query& query, State* state) {
  Status status;
  // Links first: their names serve all others.
  if (status.ok() && query.links) status = ops::LinkList(session, &state->links);
  if (status.ok() && query.addrs) status = ops::AddrList(session, &state->addrs);
  if (status.ok() && query.routes) status = ops::RouteList(session, &state->routes);
  if (status.ok() && query.rules) status = ops::RuleList(session, &state->rules);
  if (status.ok() && query.neighs) status = ops::NeighList(session, &state->neighs);
  if (status.ok() && query.fdb) status = ops::FdbList(session, &state->fdb);
  if (status.ok() && query.sas) status = ops::SaList(session, &state->sas);
  if (status.ok() && query.policies) status = ops::PolicyList(session, &state->policies);
  if (status.ok() && query.xfrm_stat) status = ops::XfrmStatList(&state->xfrm_stat);
  if (status.ok() && query.ipvs) status = ops::IpvsList(session, &state->ipvs, &state->ipvs_dests);
  for (const ops::IpvsKey& key : query.ipvs_dests_of)
    if (status.ok()) status = ops::IpvsDestsOf(session, key, &state->ipvs_dests);
  if (status.ok() && query.ipvs) status = ops::IpvsTimeoutsGet(session, &state->ipvs_timeouts.emplace_back());
  if (status.ok() && !query.sysctls.empty()) status = ops::SysctlList(query.sysctls, &state->sysctls);
  if (status.ok() && !query.nft.empty()) status = workshop->nft()->List(query.nft, &state->nft);
  return status;
}

// read(netns, query): Promise<NetnsState>
Napi::Value Read(const Napi::CallbackInfo& info) {
  nl::Netns netns;
  Query query;
  std::string error;
  if (!ToNetns(info[0], &netns, &error) || !ToQuery(info[1], &query, &error)) return Refuse(info.Env(), error);
  auto state = std::make_shared<State>();
  return Of(info)->Start(
      [netns, query, state](Workshop* workshop, Failed*) {
        return workshop->Inside(netns,
                                [&](ops::Session* session) { return ReadInto(workshop, session, query, state.get()); });
      },
      [state](Napi::Env env) { return FromState(env, *state); });
}

// identify(path): Promise<{ dev, inode } | undefined>
Napi::Value Identify(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return Refuse(info.Env(), "path must be a string");
  struct Answer {
    nl::NetnsId id;
    bool found = false;
  };
  auto answer = std::make_shared<Answer>();
  return Of(info)->Start([path = info[0].As<Napi::String>().Utf8Value(), answer](
                             Workshop*, Failed*) { return nl::IdentifyNetns(path, &answer->id, &answer->found); },
                         [answer](Napi::Env env) -> Napi::Value {
                           if (!answer->found) return env.Undefined();
                           Napi::Object object = Napi::Object::New(env);
                           object.Set("dev", static_cast<double>(answer->id.dev));
                           object.Set("inode", static_cast<double>(answer->id.inode));
                           return object;
                         });
}

// namespaces(): Promise<string[]>
Napi::Value Namespaces(const Napi::CallbackInfo& info) {
  auto names = std::make_shared<std::vector<std::string>>();
  return Of(info)->Start([names](Workshop*, Failed*) { return ops::NetnsList(names.get()); },
                         [names](Napi::Env env) {
                           Napi::Array array = Napi::Array::New(env, names->size());
                           for (uint32_t i = 0; i < names->size(); ++i) array.Set(i, (*names)[i]);
                           return array;
                         });
}

bool ToPort(Napi::Value value, uint16_t* port) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 65535)) return false;
  *port = static_cast<uint16_t>(number);
  return number == *port;
}

// socket(netns, type, address, port): Promise<number>
Napi::Value Socket(const Napi::CallbackInfo& info) {
  nl::Netns netns;
  ops::Ip address;
  std::string error;
  if (!ToNetns(info[0], &netns, &error)) return Refuse(info.Env(), error);
  const std::string type = info[1].IsString() ? info[1].As<Napi::String>().Utf8Value() : "";
  const std::map<std::string, ops::Transport> transports{
      {"udp", ops::Transport::kUdp}, {"tcp", ops::Transport::kTcp}, {"espinudp", ops::Transport::kEspInUdp}};
  const auto transport = transports.find(type);
  if (transport == transports.end()) return Refuse(info.Env(), "type must be udp, tcp or espinudp");
  if (!info[2].IsString() || !ops::ParseIp(info[2].As<Napi::String>().Utf8Value(), &address)) {
    return Refuse(info.Env(), "address must be an IP address");
  }
  uint16_t port = 0;
  if (!ToPort(info[3], &port)) return Refuse(info.Env(), "port must be an integer from 0 to 65535");
  auto fd = std::make_shared<nl::Fd>();
  return Of(info)->Start(
      [netns, transport = transport->second, address, port, fd](Workshop* workshop, Failed*) {
        return workshop->Inside(netns, [&](ops::Session*) {
          return ops::Bind(transport, address, port, fd.get());
        });
      },
      [fd](Napi::Env env) { return Napi::Number::New(env, fd->Release()); });
}

// connections(netns, port): Promise<number>
Napi::Value Connections(const Napi::CallbackInfo& info) {
  nl::Netns netns;
  std::string error;
  if (!ToNetns(info[0], &netns, &error)) return Refuse(info.Env(), error);
  uint16_t port = 0;
  if (!ToPort(info[1], &port) || port == 0) return Refuse(info.Env(), "port must be an integer from 1 to 65535");
  auto count = std::make_shared<uint32_t>(0);
  return Of(info)->Start(
      [netns, port, count](Workshop* workshop, Failed*) {
        return workshop->Inside(netns, [&](ops::Session*) { return ops::Connections(port, count.get()); });
      },
      [count](Napi::Env env) { return Napi::Number::New(env, *count); });
}

// watch(netns, nouns, listener: (gone: boolean, hint: Hint) => void): Promise<number>
Napi::Value WatchNetns(const Napi::CallbackInfo& info) {
  nl::Netns netns;
  Nouns nouns;
  std::string error;
  if (!ToNetns(info[0], &netns, &error) || !ToNouns(info[1], &nouns, &error)) return Refuse(info.Env(), error);
  if (!info[2].IsFunction()) return Refuse(info.Env(), "listener must be a function");
  Instance* instance = Of(info);
  auto watch = std::make_shared<Watch>();
  auto listener = std::make_shared<Napi::FunctionReference>(Napi::Persistent(info[2].As<Napi::Function>()));
  return instance->Start(
      [netns, nouns, watch](Workshop* workshop, Failed*) {
        return workshop->Inside(
            netns, [&](ops::Session* session) { return OpenWatch(session, netns, nouns, watch.get()); });
      },
      [instance, watch, listener](Napi::Env env) -> Napi::Value {
        const uint64_t id = instance->AddListener(listener->Value());
        instance->Hold();
        if (!instance->events()->Add(std::move(*watch), id).ok()) {
          instance->CloseWatch(id);
          return Napi::Number::New(env, 0);
        }
        return Napi::Number::New(env, static_cast<double>(id));
      });
}

// unwatch(id): void
Napi::Value Unwatch(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return Refuse(info.Env(), "id must be a number");
  Of(info)->CloseWatch(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  return info.Env().Undefined();
}

// datagram(path, text): void. At once: it never waits.
Napi::Value Datagram(const Napi::CallbackInfo& info) {
  if (!info[0].IsString() || !info[1].IsString()) return Refuse(info.Env(), "path and text must be strings");
  const Status status =
      ops::SendDatagram(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value());
  if (!status.ok()) napi_throw(info.Env(), FromStatus(info.Env(), status));
  return info.Env().Undefined();
}

// close(): Promise<void>, after all calls made before it. Watches are closed one by one, by those who opened them.
Napi::Value Close(const Napi::CallbackInfo& info) {
  return Of(info)->Start(
      [](Workshop* workshop, Failed*) {
        workshop->CloseSockets();
        return Status::Ok();
      },
      nullptr);
}

// Stands in for a kernel: link N has index 100 + N in the order of asking, every namespace descriptor is 9, every family
// of generic netlink 37.
class PaperResolver : public ops::Resolver {
 public:
  Status Index(const std::string& link, uint32_t* index) override {
    *index = 100 + static_cast<uint32_t>(indexes_.try_emplace(link, indexes_.size()).first->second);
    return Status::Ok();
  }
  Status NetnsFd(const nl::Netns&, int* fd) override {
    *fd = 9;
    return Status::Ok();
  }
  Status Family(const std::string&, uint16_t* id) override {
    *id = 37;
    return Status::Ok();
  }

 private:
  std::map<std::string, size_t> indexes_;
};

// encode(op): { bytes: Uint8Array, marks: { offset, depth, name }[] }[]     for golden tests; touches nothing
Napi::Value Encode(const Napi::CallbackInfo& info) {
  ops::Op op;
  std::string error;
  if (!ToOp(info[0], "op", true, &op, &error)) return Refuse(info.Env(), error);
  PaperResolver resolver;
  std::vector<nl::Message> messages;
  ops::Encode(&resolver, op, &messages);
  Napi::Array array = Napi::Array::New(info.Env(), messages.size());
  for (uint32_t i = 0; i < messages.size(); ++i) {
    const nl::Bytes bytes = messages[i].bytes();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("bytes", Napi::Buffer<uint8_t>::Copy(info.Env(), bytes.data(), bytes.size()));
    Napi::Array marks = Napi::Array::New(info.Env());
    for (const nl::Message::Mark& mark : messages[i].marks()) {
      Napi::Object entry = Napi::Object::New(info.Env());
      entry.Set("offset", mark.offset);
      entry.Set("depth", mark.depth);
      entry.Set("name", mark.name);
      marks.Set(marks.Length(), entry);
    }
    object.Set("marks", marks);
    array.Set(i, object);
  }
  return array;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance(env));
  exports.Set("apply", Napi::Function::New(env, Apply, "apply"));
  exports.Set("read", Napi::Function::New(env, Read, "read"));
  exports.Set("watch", Napi::Function::New(env, WatchNetns, "watch"));
  exports.Set("unwatch", Napi::Function::New(env, Unwatch, "unwatch"));
  exports.Set("identify", Napi::Function::New(env, Identify, "identify"));
  exports.Set("namespaces", Napi::Function::New(env, Namespaces, "namespaces"));
  exports.Set("socket", Napi::Function::New(env, Socket, "socket"));
  exports.Set("connections", Napi::Function::New(env, Connections, "connections"));
  exports.Set("datagram", Napi::Function::New(env, Datagram, "datagram"));
  exports.Set("close", Napi::Function::New(env, Close, "close"));
  exports.Set("encode", Napi::Function::New(env, Encode, "encode"));
  return exports;
}

}  // namespace

NODE_API_MODULE(warren, Init)

}  // namespace warren::addon
