// Text gets: a slot per key, the last of which carries the END.
#include <algorithm>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

// get, gets, gat, gats: a slot per key, the last of which carries the END.
void Engine::serve_get(Client& client, ClientId id, Request& request) noexcept {
  std::string_view keys = request.keys;
  std::string_view key = next_word(keys);
  if (key.empty()) return answer(client, id, "END\r\n");
  if (who_ != nullptr && !who_->hides && !may_use_all(request))
    return deny_whole(client, id, request);
  bool first = true;
  while (!key.empty()) {
    const std::string_view next = keys.empty() ? keys : next_word(keys);
    const std::uint32_t index = reserve(client, id, request, key);
    Slot& slot = slots_[index];
    slot.context.ends_get = next.empty();
    if (gets_may_fail_ && !(first && next.empty())) {
      slot.group = Slot::Group::kGet;
      slot.first_of_group = first;
      slot.last_of_group = next.empty();
    }
    count(request.touches() ? Counter::kCmdTouch : Counter::kCmdGet);
    request.key = request.item_key = key;
    serve_key(id, request, index);
    first = false;
    key = next;
  }
  ++reads_;  // memcached writes its replies out behind a text get.
}

// A get whose line is longer than what we hold: its keys are served as they come. Each call takes
// one.
std::size_t Engine::serve_keys(Client& client, ClientId id, std::string_view in) noexcept {
  const std::size_t blanks = std::min(in.find_first_not_of(' '), in.size());
  std::string_view rest = in.substr(blanks);
  if (rest.empty()) return blanks;
  const std::size_t stop = rest.find_first_of(std::string_view(" \n\0", 3));
  std::string_view key = rest.substr(0, stop);
  if (stop == std::string_view::npos && key.size() <= parse_limits().key_bytes_max) return blanks;
  const bool ends = stop != std::string_view::npos && rest[stop] != ' ';
  if (ends && key.ends_with('\r')) key.remove_suffix(1);
  const bool too_long = is_too_long(key, key);

  Request request;
  request.command = client.stream_command;
  request.has_ttl = request.command == Command::kGat || request.command == Command::kGats;
  request.exptime = client.stream_exptime;
  request.wants_value = true;
  const bool too_many = who_ != nullptr && !key.empty() && !too_long && !is_within_rate(request);
  const bool breaks = too_long || too_many;
  if (!key.empty() || ends || too_long) {
    // The line's end has a slot of its own where it has no key: it carries END, or the error.
    const bool is_key = !key.empty() && !breaks;
    const std::uint32_t index = reserve(client, id, request, is_key ? key : std::string_view());
    Slot& slot = slots_[index];
    slot.context.ends_get = ends && !breaks;
    slot.group = Slot::Group::kGet;
    slot.first_of_group = !client.stream_began;
    slot.last_of_group = ends || breaks;
    client.stream_began = true;
    if (is_key) {
      count(request.touches() ? Counter::kCmdTouch : Counter::kCmdGet);
      request.key = request.item_key = key;
      serve_key(id, request, index);
    } else if (breaks) {
      if (too_many) tell_over_rate(id, request.command);
      slot.miss_on_failure = false;
      fail(index, too_long ? WireError::kBadLine : WireError::kRateLimited);
    } else {
      static_cast<void>(fill(index, Reply{.code = ReplyCode::kEnd, .line = "END\r\n"}, nullptr));
    }
  }
  if (breaks) client.mode = Client::Mode::kSkipLine;
  if (ends || breaks) ++reads_;
  if (ends && !breaks)
    client.mode = rest[stop] == '\n' ? Client::Mode::kRequests : Client::Mode::kSkipLine;
  if (breaks) return blanks + key.size();
  return blanks + stop + (ends && rest[stop] == '\0' ? 0 : 1);
}

}  // namespace tokenring
