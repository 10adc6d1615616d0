// Commands that are answered here, and those that go to every node.
#include <fmt/format.h>

#include <unistd.h>

#include "proxy/engine.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

void Engine::serve_local(Client& client, ClientId id, const Request& request) noexcept {
  switch (request.command) {
    case Command::kMetaNoop:
      // As for memcached, an mn is where the replies so far go out: the nodes are told too.
      for (Link& link : links_)
        if (link.state == Link::State::kUp && !link.out.empty()) close_batch(link);
      return answer(client, id, "MN\r\n");
    case Command::kVersion:
      return answer(client, id, "VERSION " TOKENRING_VERSION_TEXT "\r\n");
    case Command::kVerbosity:
      if (!request.quiet) answer(client, id, "OK\r\n");
      return;
    case Command::kQuit:
      client.closing = true;
      return;
    case Command::kFlushAll:
      return serve_flush_all(client, id, request);
    default:
      return serve_stats(client, id, request);
  }
}

// flush_all: a slot per node, which together are one OK or one SERVER_ERROR.
void Engine::serve_flush_all(Client& client, ClientId id, const Request& request) noexcept {
  count(Counter::kCmdFlush);
  const std::uint32_t backends = snapshot_->backend_count();
  for (std::uint32_t backend = 0; backend < backends; ++backend) {
    const std::uint32_t index = reserve(client, id, request, {});
    Slot& slot = slots_[index];
    slot.group = Slot::Group::kFlush;
    slot.first_of_group = backend == 0;
    slot.last_of_group = backend + 1 == backends;
    slot.plain_reply = true;
    slot.swallows_reply = true;
    Link& link = link_of(backend, id);
    if (!link.takes_requests()) {
      fail(index, WireError::kNodeDown);
      continue;
    }
    end_get_line(link);
    link.unchecked = true;
    link.out.append(pool_, request.has_ttl ? fmt::format("flush_all {}\r\n", request.exptime)
                                           : "flush_all\r\n");
    await(link, index);
    if (link.state == Link::State::kUp) mark_dirty(link);
  }
}

void Engine::serve_stats(Client& client, ClientId id, const Request& request) noexcept {
  std::string_view rest = request.keys;
  const std::string_view group = next_word(rest);
  if (group == "reset") return answer(client, id, "RESET\r\n");
  if (group == "detail") {
    const std::string_view what = next_word(rest);
    if (what == "on" || what == "off") return answer(client, id, "OK\r\n");
    return answer(client, id,
                  line_of(what == "dump" ? WireError::kNotAllowed : WireError::kStatsDetailUsage));
  }
  if (group == "cachedump" || group == "sizes")
    return answer(client, id, line_of(WireError::kNotAllowed));
  if (group == "settings" || group == "items" || group == "slabs" || group == "conns")
    return answer(client, id, "END\r\n");
  if (!group.empty()) return answer(client, id, line_of(WireError::kError));

  std::string text = fmt::format(
      "STAT pid {}\r\nSTAT uptime {}\r\nSTAT time {}\r\nSTAT version {}\r\nSTAT threads {}\r\n",
      ::getpid(), now_.unix_time.seconds - options_.started_s, now_.unix_time.seconds,
      TOKENRING_VERSION_TEXT, options_.board->of_worker.size());
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    text += fmt::format("STAT {} {}\r\n", kCounterNames[i], options_.board->sum(i));
  text += "END\r\n";
  answer(client, id, text);
}

}  // namespace tokenring
