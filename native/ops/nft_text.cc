#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "ops/nft.h"

namespace warren::ops {

using nl::Status;

namespace {

// A line that is longer is told by the part of it that is meant.
constexpr size_t kMaxLine = 200;

std::string Trim(const std::string& text) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  const auto begin = std::find_if_not(text.begin(), text.end(), space);
  const auto end = std::find_if_not(text.rbegin(), std::make_reverse_iterator(begin), space).base();
  return {begin, end};
}

// libnftables gives text, not numbers: `Could not process rule: Operation not permitted`,
// `No such file or directory; did you mean set ‘these’ in table inet ‘warren’?`.
int ErrnoOf(const std::string& message) {
  // What a kernel without nf_tables answers to the very first request.
  if (message.find("cache initialization failed: Invalid argument") != std::string::npos) return EPROTONOSUPPORT;
  for (int error : {EPERM, ENOENT, EEXIST, EBUSY, EOPNOTSUPP, ENOMEM, ENOBUFS, ENOSPC, EMFILE, ENFILE, EAFNOSUPPORT,
                    EPROTONOSUPPORT, ELOOP, ERANGE, E2BIG, EMLINK, EINTR}) {
    const std::string words = ::strerror(error);
    if (message == words || message.starts_with(words + "; ") || message.ends_with(": " + words)) return error;
  }
  return EINVAL;
}

// Where in a command: line and columns, from 1.
struct Place {
  size_t line = 0, first = 0, last = 0;
};

// FILE:LINE:FIRST-LAST: MESSAGE. False when the words begin otherwise.
bool Split(const std::string& words, Place* place, std::string* message) {
  const char* end = words.data() + words.size();
  const char* at = std::find(words.data(), end, ':');
  for (const auto& [number, after] : {std::pair{&place->line, ':'}, {&place->first, '-'}, {&place->last, ':'}}) {
    if (at == end) return false;
    const auto [stop, error] = std::from_chars(at + 1, end, *number);
    if (error != std::errc() || stop == end || *stop != after) return false;
    at = stop;
  }
  message->assign(at + 1, end);
  return place->line > 0 && place->first > 0 && place->first <= place->last;
}

std::string LineOf(const std::string& command, size_t line) {
  size_t begin = 0;
  for (; line > 1 && begin != std::string::npos; --line) {
    begin = command.find('\n', begin);
    if (begin != std::string::npos) ++begin;
  }
  if (begin == std::string::npos) return {};
  return command.substr(begin, command.find('\n', begin) - begin);
}

}  // namespace

bool ValidNftName(const std::string& name) {
  return !name.empty() && name.size() < NFT_NAME_MAXLEN && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

bool ValidNftElement(const std::string& element) {
  return !Trim(element).empty() && element.find_first_of("{},;#\\\n\r") == std::string::npos;
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

Status NftFailure(const std::string& command, size_t before, const std::string& words) {
  const std::string first = words.substr(0, words.find('\n'));
  Place place;
  std::string message;
  const bool placed = Split(first, &place, &message);
  message = Trim(placed ? message : first);
  if (message.starts_with("Error: ")) message.erase(0, 7);
  Status status = Status::Errno(ErrnoOf(message), message);
  if (!placed || place.line <= before) return status;
  const std::string line = LineOf(command, place.line);
  if (place.first > line.size()) return status;
  const bool whole = before > 0 && line.size() <= kMaxLine;
  const std::string meant = whole ? line : line.substr(place.first - 1, place.last - place.first + 1);
  if (before > 0) status.extack += ", line " + std::to_string(place.line - before);
  status.extack += ": " + Trim(meant);
  return status;
}

}  // namespace warren::ops
