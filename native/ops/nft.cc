#include "ops/nft.h"

#include <dlfcn.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

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
  decltype(&nft_run_cmd_from_buffer) run;
};

Nft::Nft() = default;
Nft::~Nft() = default;

namespace {

std::string Trim(const std::string& text) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  const auto begin = std::find_if_not(text.begin(), text.end(), space);
  const auto end = std::find_if_not(text.rbegin(), std::make_reverse_iterator(begin), space).base();
  return {begin, end};
}

// libnftables gives text, not numbers: `Error: Could not process rule: Operation not permitted`.
int ErrnoOf(const std::string& words) {
  const std::string line = words.substr(0, words.find('\n'));
  // What a kernel without nf_tables answers to the very first request.
  if (line.find("cache initialization failed: Invalid argument") != std::string::npos) return EPROTONOSUPPORT;
  for (int error : {EPERM, ENOENT, EEXIST, EBUSY, EOPNOTSUPP, ENOMEM, ENOBUFS, ENOSPC, EMFILE, ENFILE, EAFNOSUPPORT,
                    EPROTONOSUPPORT, ELOOP, ERANGE, E2BIG, EMLINK, EINTR}) {
    if (line.ends_with(std::string(": ") + ::strerror(error))) return error;
  }
  return EINVAL;
}

Status TableExists(nl::Socket* socket, const std::string& name, bool* exists) {
  nl::Message message((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE, 0);
  message.Header(nfgenmsg{NFPROTO_INET, NFNETLINK_V0, 0});
  message.PutString(NFTA_TABLE_NAME, "TABLE_NAME", name);
  Status status = socket->Request(&message);
  *exists = status.ok();
  // EINVAL: the kernel has no nf_tables, so it has no table either (nfnetlink_rcv_msg).
  return status.error == ENOENT || status.error == EINVAL ? Status::Ok() : status;
}

}  // namespace

bool ValidNftName(const std::string& name) {
  return !name.empty() && name.size() < NFT_NAME_MAXLEN && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

std::string NftBody(const std::string& listing) {
  const size_t open = listing.find('\n');
  const size_t close = listing.rfind('}');
  if (open == std::string::npos || close == std::string::npos || close <= open) return {};
  std::string body;
  for (size_t at = open + 1; at < close;) {
    size_t end = std::min(listing.find('\n', at), close);
    if (at < end && listing[at] == '\t') ++at;
    body.append(listing, at, end - at);
    body += '\n';
    at = end + 1;
  }
  return Trim(body);
}

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
  find(&calls->run, "nft_run_cmd_from_buffer");
  if (!all) return Status::Errno(ENOPKG, "libnftables.so.1 is too old: install libnftables1 0.9 or newer");
  calls_ = std::move(calls);
  return Status::Ok();
}

Status Nft::Run(const std::string& command, std::string* output) {
  if (Status status = Load(); !status.ok()) return status;
  // Its socket belongs to the namespace of the thread, and so does the cache of names: a new one every time.
  nft_ctx* context = calls_->ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return Status::Errno(ENOMEM);
  calls_->buffer_output(context);
  calls_->buffer_error(context);
  calls_->set_flags(context, NFT_CTX_OUTPUT_STATELESS);
  Status status;
  if (calls_->run(context, command.c_str()) != 0) {
    const std::string words = Trim(calls_->get_error(context));
    status = Status::Errno(ErrnoOf(words), words);
  } else {
    *output = calls_->get_output(context);
  }
  calls_->ctx_free(context);
  return status;
}

Status Nft::Set(const NftTable& table) {
  const std::string what = "table inet " + table.name;
  std::string output;
  return Run("add " + what + "\ndelete " + what + "\n" + what + " {\n" + table.text + "\n}\n", &output);
}

Status Nft::Del(const std::string& name) {
  std::string output;
  return Run("add table inet " + name + "\ndelete table inet " + name + "\n", &output);
}

Status Nft::List(const std::vector<std::string>& names, std::vector<NftTable>* tables) {
  nl::Socket socket;
  if (Status status = socket.Open(NETLINK_NETFILTER); !status.ok()) return status;
  for (const std::string& name : names) {
    bool exists = false;
    if (Status status = TableExists(&socket, name, &exists); !status.ok()) return status;
    if (!exists) continue;
    std::string listing;
    Status status = Run("list table inet " + name + "\n", &listing);
    if (status.error == ENOENT) continue;  // gone since
    if (!status.ok()) return status;
    tables->push_back({name, NftBody(listing)});
  }
  return Status::Ok();
}

}  // namespace warren::ops
