// Commands that are answered here, and those that go to every node.
#include <fmt/format.h>

#include "proxy/engine.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

void Engine::serve_local(Client& client, ClientId id, const Request& request) noexcept {
  switch (request.command) {
    case Command::kMetaNoop:
      // As for memcached, an mn is where the replies so far go out: the nodes are told too.
      for (Link& link : links_)
        if (link.state == Link::State::kUp && !link.out.empty()) close_batch(link);
      ++reads_;
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

// What nobody may do through a proxy. `command`: of static storage, for the audit log.
void Engine::refuse(Client& client, ClientId id, const Request& request, std::string_view command,
                    WireError error) noexcept {
  const bool flushes = request.command == Command::kFlushAll;
  if (audit_.is_on())
    audit_.tell_refused(id, flushes ? AuditAction::kFlush : AuditAction::kCommand, command, error);
  if (!request.quiet) answer(client, id, line_of(error));
}

// A command for every node: a slot per node, which together are one answer or one SERVER_ERROR.
void Engine::serve_fan_out(Client& client, ClientId id, const Request& request,
                           std::string_view line) noexcept {
  const std::uint32_t backends = snapshot_->backend_count();
  for (std::uint32_t backend = 0; backend < backends; ++backend) {
    const std::uint32_t index = reserve(client, id, request, {});
    Slot& slot = slots_[index];
    slot.group = Slot::Group::kFanOut;
    slot.first_of_group = backend == 0;
    slot.last_of_group = backend + 1 == backends;
    slot.plain_reply = true;
    slot.swallows_reply = true;
    if (slot.writes()) near_.begin_write_to_all(slot);
    Link& link = link_of(backend, id);
    if (link.takes_requests()) {
      send_line(link, line, index);
    } else {
      link.missed_writes |= slot.writes();
      fail(index, WireError::kNodeDown);
    }
  }
}

// flush_all: every node that the client may reach, unless something there is not to be flushed.
void Engine::serve_flush_all(Client& client, ClientId id, const Request& request) noexcept {
  count(Counter::kCmdFlush);
  if (!snapshot_->may_flush_all(client.address))
    return refuse(client, id, request, "flush_all", WireError::kFlushRefused);
  leaders_.clear();
  if (!snapshot_->introspections.empty()) outbox_.questions.push_back({.forgets = true});
  serve_fan_out(client, id, request,
                request.has_ttl ? fmt::format("flush_all {}", request.exptime) : "flush_all");
}

// A line whose answer carries no opaque.
void Engine::send_line(Link& link, std::string_view line, std::uint32_t index) noexcept {
  end_get_line(link);
  link.unchecked = true;
  link.out.append(pool_, line);
  link.out.append(pool_, "\r\n");
  await(link, index);
  if (link.state == Link::State::kUp) mark_dirty(link);
}

}  // namespace tokenring
