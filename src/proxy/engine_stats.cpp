// stats: what the nodes say, added up, and what this proxy has to say of itself.
//
//   serve_stats -> gather_stats: a line to every node -> deliver_stats: their STATs into one sum
//   -> finish_gather: ours in the place of theirs where a client means this end -> fill
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

// What a client of a memcached takes for the state of its own end of the wire.
constexpr std::array kOwnCounters = {Counter::kCurrConnections,     Counter::kTotalConnections,
                                     Counter::kRejectedConnections, Counter::kBytesRead,
                                     Counter::kBytesWritten,        Counter::kAuthCmds,
                                     Counter::kAuthErrors};

constexpr std::array kQuantiles = {0.5, 0.9, 0.99, 0.999};
constexpr std::array<std::string_view, 4> kQuantileNames = {"p50", "p90", "p99", "p999"};

void count_times(TimeTallies::Cell& cell, std::int64_t total, std::int64_t own,
                 std::uint32_t times) {
  const auto add = [&](std::size_t first, std::int64_t ns) {
    cell.tallies[first + TimeCounts::bucket_of(ns)].add(times);
    cell.tallies[first + TimeCounts::kSum].add(
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, ns)) * times);
  };
  add(0, total);
  add(TimeCounts::kOwn, own);
}

}  // namespace

void Engine::serve_stats(Client& client, ClientId id, const Request& request) noexcept {
  std::string_view rest = request.keys;
  const std::string_view group = next_word(rest);
  if (group == "reset") {
    options_.board->reset();
    return serve_fan_out(client, id, request, "stats reset");
  }
  if (group == "detail") {
    const std::string_view what = next_word(rest);
    if (what == "on" || what == "off") return answer(client, id, "OK\r\n");
    if (what == "dump")
      return refuse(client, id, request, "stats detail dump", WireError::kNotAllowed);
    return answer(client, id, line_of(WireError::kStatsDetailUsage));
  }
  if (group == "cachedump")
    return refuse(client, id, request, "stats cachedump", WireError::kNotAllowed);
  if (group == "sizes") return refuse(client, id, request, "stats sizes", WireError::kNotAllowed);
  if (group.empty() || group == "settings" || group == "items" || group == "slabs")
    return gather_stats(client, id, request, group);
  if (group == "conns") return answer(client, id, "END\r\n");
  if (group == "tokenring") return answer(client, id, own_stats());
  if (group == "nodes") return answer(client, id, node_stats());
  if (group == "namespaces") return answer(client, id, namespace_stats());
  if (group == "keys") return answer(client, id, key_stats());
  if (group == "latency") return answer(client, id, latency_stats());
  answer(client, id, line_of(WireError::kError));
}

// One slot for the client; one for each node, which is in no client's order.
void Engine::gather_stats(Client& client, ClientId id, const Request& request,
                          std::string_view group) noexcept {
  const std::uint32_t whole = reserve(client, id, request, {});
  const SlabId gather = gathers_.insert();
  Gather& sums = *gathers_.find(gather);
  sums.slot = slots_.id_of(whole);
  sums.group = group;
  sums.sum = StatsSum(group == "settings");
  sums.waiting = 1;
  const std::string line = group.empty() ? "stats" : fmt::format("stats {}", group);
  for (std::uint32_t backend = 0; backend < snapshot_->backend_count(); ++backend) {
    Link& link = link_of(backend, id);
    if (!link.takes_requests() || is_overloaded(link)) {
      ++sums.missing;
      continue;
    }
    const std::uint32_t index = slots_.insert().index;
    Slot& slot = slots_[index];
    slot.context.command = Command::kStats;
    slot.plain_reply = slot.gathers = true;
    beside(slot).gather = gather;
    ++sums.waiting;
    send_line(link, line, index);
  }
  part_of_gather_done(gather, true);
}

// A line of a node's answer. False when the node is out of step.
bool Engine::deliver_stats(Link& link, const Reply& reply) noexcept {
  SlabId& named = beside(slots_[link.first_slot]).gather;
  const SlabId gather = named;
  Gather* sums = gathers_.find(gather);
  if (reply.code == ReplyCode::kStat) return sums == nullptr || sums->sum.add(reply.rest);
  if (reply.code != ReplyCode::kEnd && !reply.is_error()) return false;
  named = {};
  pop_front(link);
  if (sums != nullptr) part_of_gather_done(gather, !reply.is_error());
  return true;
}

// A node has said all, or failed; the last one fills the client's slot.
void Engine::part_of_gather_done(SlabId id, bool answered) noexcept {
  Gather* sums = gathers_.find(id);
  if (sums == nullptr) return;
  sums->missing += answered ? 0 : 1;
  if (--sums->waiting > 0) return;
  if (sums->group.empty()) {
    set_own(sums->sum);
    sums->sum.set("nodes_missing", fmt::to_string(sums->missing));
  } else if (sums->group == "settings") {
    const std::size_t workers = options_.board->of_worker.size();
    sums->sum.set("maxconns",
                  fmt::to_string(std::size_t{snapshot_->limits.clients_per_worker_max} * workers));
    sums->sum.set("num_threads", fmt::to_string(workers));
    sums->sum.set("item_size_max", fmt::to_string(snapshot_->limits.value_bytes_max));
    sums->sum.set("flush_enabled", snapshot_->allows_flush_all ? "yes" : "no");
    sums->sum.set("dump_enabled", "no");
  }
  const std::string text = sums->sum.text();
  const SlabId slot = sums->slot;
  gathers_.erase(id.index);
  if (slots_.find(slot) != nullptr && slots_[slot.index].in_client) fill_with(slot.index, text);
}

// Ours stand for the nodes' where a client means the server that it is connected to.
void Engine::set_own(StatsSum& sum) const {
  const CounterBoard& board = *options_.board;
  sum.set("pid", fmt::to_string(::getpid()));
  sum.set("uptime", fmt::to_string(now_.unix_time.seconds - options_.started_s));
  sum.set("time", fmt::to_string(now_.unix_time.seconds));
  sum.set("version", TOKENRING_VERSION_TEXT);
  sum.set("threads", fmt::to_string(board.of_worker.size()));
  sum.set("max_connections", fmt::to_string(std::size_t{snapshot_->limits.clients_per_worker_max} *
                                            board.of_worker.size()));
  for (const Counter counter : kOwnCounters) {
    const auto index = static_cast<std::size_t>(counter);
    sum.set(kCounterNames[index], fmt::to_string(board.since_reset(index)));
  }
}

std::string Engine::own_stats() const {
  const CounterBoard& board = *options_.board;
  std::string text = fmt::format(
      "STAT pid {}\r\nSTAT uptime {}\r\nSTAT version {}\r\nSTAT threads {}\r\n", ::getpid(),
      now_.unix_time.seconds - options_.started_s, TOKENRING_VERSION_TEXT, board.of_worker.size());
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    text += fmt::format("STAT {} {}\r\n", kCounterNames[i], board.since_reset(i));
  return text + "END\r\n";
}

// STAT POOL:NODE:what n
std::string Engine::node_stats() const {
  std::string text;
  const NodeTallies* tallies = snapshot_->tallies == nullptr ? nullptr : &snapshot_->tallies->nodes;
  for (const Pool& pool : snapshot_->pools) {
    for (std::size_t n = 0; n < pool.nodes.size() && tallies != nullptr; ++n) {
      const NodeSpec& node = pool.nodes[n];
      const std::string name = fmt::format("{}:{}", pool.name, node.shown());
      const std::size_t backend = pool.first_backend + n;
      const std::uint64_t links = tallies->workers() * pool.options.links_per_node;
      const std::uint64_t up = tallies->sum(backend, NodeTally::kUpLinks);
      text += fmt::format("STAT {}:state {}\r\n", name,
                          up == links ? "up" : (up > 0 ? "partly" : "down"));
      for (std::size_t i = 0; i < kNodeTallyNames.size(); ++i)
        text += fmt::format(
            "STAT {}:{} {}\r\n", name, kNodeTallyNames[i],
            tallies->sum(backend, i) / (i == static_cast<std::size_t>(NodeTally::kResponseUs)
                                            ? std::max<std::uint64_t>(1, tallies->workers())
                                            : 1));
    }
  }
  return text + "END\r\n";
}

// STAT PREFIX what n; the namespace of all other keys is "-".
std::string Engine::namespace_stats() const {
  std::string text;
  if (snapshot_->tallies != nullptr) {
    const auto spaces = snapshot_->namespaces.all();
    for (std::size_t n = 0; n < spaces.size(); ++n) {
      if (who_ != nullptr && !who_->may(n, Rights::kStats)) continue;
      const std::string name = spaces[n].prefix.empty() ? "-" : spaces[n].prefix;
      const SpaceTallies& tallies = snapshot_->tallies->spaces;
      for (std::size_t i = 0; i < kSpaceTallyNames.size(); ++i)
        text += fmt::format("STAT {}:{} {}\r\n", name, kSpaceTallyNames[i], tallies.sum(n, i));
      if (!spaces[n].near.is_on()) continue;
      const std::uint64_t hits = tallies.sum(n, SpaceTally::kNearHits);
      const std::uint64_t all = hits + tallies.sum(n, SpaceTally::kNearMisses);
      text +=
          fmt::format("STAT {}:near_hit_percent {}\r\nSTAT {}:near_staleness_ms {}\r\n", name,
                      hits * 100 / std::max<std::uint64_t>(1, all), name, spaces[n].near.ttl_ms);
    }
  }
  return text + "END\r\n";
}

// STAT ID:role and STAT ID:opened: a key that opens nothing any more may go.
std::string Engine::key_stats() const {
  std::string text;
  const Keyring* keyring = snapshot_->keyring.get();
  for (std::size_t n = 0; keyring != nullptr && n < keyring->master_count(); ++n) {
    const std::uint32_t id = keyring->key_id(n);
    text += fmt::format("STAT {:08x}:role {}\r\n", id, n == 0 ? "primary" : "master");
    for (std::size_t i = 0; i < kKeyTallyNames.size() && snapshot_->tallies != nullptr; ++i)
      text += fmt::format("STAT {:08x}:{} {}\r\n", id, kKeyTallyNames[i],
                          snapshot_->tallies->keys.sum(n, i));
  }
  return text + "END\r\n";
}

// Microseconds: STAT get_total_p50 183 and so on, upper ends of buckets that are 1/16 wide.
std::string Engine::latency_stats() const {
  std::string text;
  const auto tell = [&](std::string_view kind, std::string_view part, auto member) {
    std::array<std::uint64_t, LatencyHistogram::kBuckets> counts{};
    std::uint64_t all = 0;
    for (const LatencyBook& book : options_.board->latencies) {
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const std::uint64_t n = member(book).count_at(i);
        counts[i] += n;
        all += n;
      }
    }
    text += fmt::format("STAT {}_{}_count {}\r\n", kind, part, all);
    for (std::size_t q = 0; q < kQuantiles.size() && all > 0; ++q) {
      std::uint64_t left = std::max<std::uint64_t>(
          1, static_cast<std::uint64_t>(static_cast<double>(all) * kQuantiles[q] + 0.5));
      std::size_t bucket = 0;
      while (counts[bucket] < left) left -= counts[bucket++];
      text += fmt::format("STAT {}_{}_{}_us {:.1f}\r\n", kind, part, kQuantileNames[q],
                          static_cast<double>(LatencyHistogram::end_ns(bucket)) / 1000);
    }
  };
  for (std::size_t k = 0; k < kLatencyKindNames.size(); ++k) {
    tell(kLatencyKindNames[k], "total",
         [&](const LatencyBook& book) -> const LatencyHistogram& { return book.total[k]; });
    tell(kLatencyKindNames[k], "own",
         [&](const LatencyBook& book) -> const LatencyHistogram& { return book.own[k]; });
  }
  return text + "END\r\n";
}

// What there is to tell of buffers and links, for readers in other threads.
void Engine::publish() noexcept {
  options_.counters->set(Counter::kBufferBytes, pool_.bytes_lent());
  if (snapshot_->tallies == nullptr) return;
  near_.publish();
  NodeTallies& nodes = snapshot_->tallies->nodes;
  for (std::uint32_t backend = 0; backend < snapshot_->backend_count(); ++backend) {
    if (!nodes.has(options_.worker, backend)) return;
    std::array<std::uint64_t, kNodeTallyNames.size()> sums{};
    const BackendLinks links = backend_links_[backend];
    for (std::uint32_t i = 0; i < links.count; ++i) links_[link_table_[links.first + i]].tell(sums);
    NodeTallies::Cell& cell = nodes.at(options_.worker, backend);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto which = static_cast<NodeTally>(i);
      if (which < kFirstNodeCount)
        cell.set(which, sums[i]);
      else
        cell.add(which, sums[i]);
    }
  }
}

// The turn's replies are on their way: what it took is known now.
void Engine::end_turn(Now now) noexcept {
  const auto took = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(now.instant.ns - now_.instant.ns, 0, UINT32_MAX));
  if (options_.latencies != nullptr) {
    for (const Served& served : served_) {
      const std::uint32_t age = turn_ - served.turn;
      const std::int64_t before =
          age < turn_ns_.size() ? turn_ns_[served.turn % turn_ns_.size()] : 0;
      const auto kind = static_cast<std::size_t>(served.kind);
      const std::int64_t total = now.instant.ns - served.since.ns;
      const std::int64_t own = age == 0 ? total : std::min(total, before + took);
      options_.latencies->total[kind].record(total, served.count);
      options_.latencies->own[kind].record(own, served.count);
      if (served.space != Slot::kNoSpace && !space_latencies_.empty())
        space_latencies_[served.space]->add(
            LatencyStep{static_cast<std::uint8_t>(latency_step_of(total))}, served.count);
      if (served.space < space_times_.size())
        count_times(*space_times_[served.space], total, own, served.count);
    }
  }
  served_.clear();
  turn_ns_[turn_++ % turn_ns_.size()] = took;
}

}  // namespace tokenring
