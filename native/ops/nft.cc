#include "ops/nft.h"

#include <dlfcn.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "nl/fd.h"
#include "nl/socket.h"

namespace warren::ops {

using nl::Status;

struct Nft::Calls {
  decltype(&nft_ctx_new) ctx_new;
  decltype(&nft_ctx_free) ctx_free;
  decltype(&nft_ctx_buffer_output) buffer_output;
  decltype(&nft_ctx_buffer_error) buffer_error;
  decltype(&nft_ctx_get_output_buffer) get_output;
  decltype(&nft_ctx_get_error_buffer) get_error;
  decltype(&nft_ctx_output_set_flags) set_flags;
  decltype(&nft_run_cmd_from_filename) run;
};

Nft::Nft() = default;
Nft::~Nft() = default;

namespace {

// `{add|delete|get} element FAMILY TABLE SET { ELEMENT, ELEMENT }`
std::string Command(const char* verb, const NftElements& elements) {
  std::string list;
  for (const std::string& element : elements.elements) list += (list.empty() ? "" : ", ") + element;
  return std::string(verb) + " element " + elements.table.Words() + " " + elements.set + " { " + list + " }\n";
}

// The command as a file, as which libnftables can say what line of it is wrong; it lasts as long as the descriptor.
Status File(const std::string& command, nl::Fd* fd, std::string* path) {
  nl::Fd opened(::memfd_create("nft", MFD_CLOEXEC));
  if (!opened.valid()) return Status::Errno(errno, "memfd_create");
  for (size_t at = 0; at < command.size();) {
    const ssize_t size = ::write(opened.get(), command.data() + at, command.size() - at);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Status::Errno(errno, "memfd");
    at += static_cast<size_t>(size);
  }
  *path = "/proc/self/fd/" + std::to_string(opened.get());
  *fd = std::move(opened);
  return Status::Ok();
}

Status TableExists(nl::Socket* socket, const NftTableId& id, bool* exists) {
  nl::Message message((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE, 0);
  const uint8_t family = id.family == "netdev" ? NFPROTO_NETDEV : NFPROTO_INET;
  message.Header(nfgenmsg{family, NFNETLINK_V0, 0});
  message.PutString(NFTA_TABLE_NAME, "TABLE_NAME", id.name);
  Status status = socket->Request(&message);
  *exists = status.ok();
  // EINVAL: the kernel has no nf_tables, so it has no table either (nfnetlink_rcv_msg).
  return status.error == ENOENT || status.error == EINVAL ? Status::Ok() : status;
}

}  // namespace

Status Nft::Load() {
  if (calls_ != nullptr) return Status::Ok();
  // NODELETE: some of the libraries it drags in do not survive being unloaded.
  void* library = ::dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return Status::Errno(ENOPKG, "libnftables.so.1 not found: install libnftables1");
  auto calls = std::make_unique<Calls>();
  bool all = true;
  const auto find = [&](auto* call, const char* name) {
    *call = reinterpret_cast<std::remove_pointer_t<decltype(call)>>(::dlsym(library, name));
    all = all && *call != nullptr;
  };
  find(&calls->ctx_new, "nft_ctx_new");
  find(&calls->ctx_free, "nft_ctx_free");
  find(&calls->buffer_output, "nft_ctx_buffer_output");
  find(&calls->buffer_error, "nft_ctx_buffer_error");
  find(&calls->get_output, "nft_ctx_get_output_buffer");
  find(&calls->get_error, "nft_ctx_get_error_buffer");
  find(&calls->set_flags, "nft_ctx_output_set_flags");
  find(&calls->run, "nft_run_cmd_from_filename");
  if (!all) return Status::Errno(ENOPKG, "libnftables.so.1 is too old: install libnftables1 0.9 or newer");
  calls_ = std::move(calls);
  return Status::Ok();
}

Status Nft::Run(const std::string& command, size_t before, std::string* output) {
  if (Status status = Load(); !status.ok()) return status;
  nl::Fd fd;
  std::string path;
  if (Status status = File(command, &fd, &path); !status.ok()) return status;
  // Its socket belongs to the namespace of the thread, and so does the cache of names: a new one every time.
  nft_ctx* context = calls_->ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return Status::Errno(ENOMEM);
  calls_->buffer_output(context);
  calls_->buffer_error(context);
  calls_->set_flags(context, NFT_CTX_OUTPUT_STATELESS);
  Status status;
  if (calls_->run(context, path.c_str()) != 0) {
    status = NftFailure(command, before, calls_->get_error(context));
  } else {
    *output = calls_->get_output(context);
  }
  calls_->ctx_free(context);
  return status;
}

Status Nft::Set(const NftTable& table) {
  const std::string what = "table " + table.id.Words();
  std::string output;
  return Run("add " + what + "\ndelete " + what + "\n" + what + " {\n" + table.text + "\n}\n", 3, &output);
}

Status Nft::Del(const NftTableId& table) {
  std::string output;
  return Run("add table " + table.Words() + "\ndelete table " + table.Words() + "\n", 0, &output);
}

Status Nft::Existing(const NftElements& elements, NftElements* existing) {
  *existing = {elements.table, elements.set, {}};
  for (const std::string& element : elements.elements) {
    std::string output;
    Status status = Run(Command("get", {elements.table, elements.set, {element}}), 0, &output);
    if (status.ok()) existing->elements.push_back(element);
    if (!status.ok() && status.error != ENOENT) return status;
  }
  return Status::Ok();
}

Status Nft::SetElements(const NftElements& elements) {
  if (elements.elements.empty()) return Status::Ok();
  const std::string add = Command("add", elements);
  std::string output;
  Status status = Run(add, 0, &output);
  if (status.error != EEXIST) return status;
  // Some keys have other values. `destroy element` would do without asking, but wants nft 1.0.7 and Linux 6.3.
  NftElements existing;
  if (Status found = Existing(elements, &existing); !found.ok()) return found;
  if (existing.elements.empty()) return status;
  return Run(Command("delete", existing) + add, 0, &output);
}

Status Nft::DelElements(const NftElements& elements) {
  if (elements.elements.empty()) return Status::Ok();
  std::string output;
  Status status = Run(Command("delete", elements), 0, &output);
  if (status.error != ENOENT) return status;
  NftElements existing;
  if (Status found = Existing(elements, &existing); !found.ok()) return found;
  return existing.elements.empty() ? Status::Ok() : Run(Command("delete", existing), 0, &output);
}

Status Nft::List(const std::vector<NftTableId>& ids, std::vector<NftTable>* tables) {
  nl::Socket socket;
  if (Status status = socket.Open(NETLINK_NETFILTER); !status.ok()) return status;
  for (const NftTableId& id : ids) {
    bool exists = false;
    if (Status status = TableExists(&socket, id, &exists); !status.ok()) return status;
    if (!exists) continue;
    std::string listing;
    Status status = Run("list table " + id.Words() + "\n", 0, &listing);
    if (status.error == ENOENT) continue;  // gone since
    if (!status.ok()) return status;
    tables->push_back({id, NftBody(listing)});
  }
  return Status::Ok();
}

}  // namespace warren::ops
