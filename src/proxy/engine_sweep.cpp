// Once a second: clients that are silent, or too slow in sending a request or taking replies.
#include "proxy/engine.hpp"

namespace tokenring {

// What a client has under way is compared with the last time: nothing on the request path is
// timed for it.
void Engine::sweep() noexcept {
  const Limits& limits = snapshot_->limits;
  const auto lasts = [](std::uint32_t sweeps, std::int64_t limit_s) {
    return limit_s > 0 && std::int64_t{sweeps} * kSweepMs > limit_s * 1000;
  };
  clients_.for_each([&](std::uint32_t index, Client& client) {
    const bool logs_in = client.mode == Client::Mode::kLogin && client.slots > 0;  // It waits.
    const bool in_request = (!client.in.empty() || client.mode != Client::Mode::kRequests) &&
                            !client.stalled && !client.closing && !logs_in;
    const bool reads_on = !in_request || client.served != client.served_then;
    const bool writes_on = client.sendable() == 0 || client.bytes_sent != client.bytes_sent_then;
    client.slow_reads = reads_on ? 0 : client.slow_reads + 1;
    client.slow_writes = writes_on ? 0 : client.slow_writes + 1;
    client.served_then = client.served;
    client.bytes_sent_then = client.bytes_sent;
    const bool idles = client.slots == 0 && !in_request && client.out.empty() &&
                       limits.idle_timeout_s > 0 &&
                       now_.instant >= client.last_heard.plus_ms(limits.idle_timeout_s * 1000);
    if (lasts(client.slow_reads, limits.request_read_timeout_s))
      count(Counter::kSlowReadKicks);
    else if (lasts(client.slow_writes, limits.reply_write_timeout_s))
      count(Counter::kSlowWriteKicks);
    else if (idles)
      count(Counter::kIdleKicks);
    else
      return;
    outbox_.close_clients.push_back(clients_.id_of(index));
  });
}

}  // namespace tokenring
