#include "app/status_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/spelling.hpp"
#include "app/where.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

using Json = nlohmann::ordered_json;

// Members are added and none is taken away or changes its meaning, or this grows.
constexpr int kFormat = 1;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

// `max` of the first `count` numbers, in their order: those that come first by `before`.
template <typename Before>
std::vector<std::size_t> chosen(std::size_t count, std::size_t max, Before&& before) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (count <= max) return all;
  std::stable_sort(all.begin(), all.end(), before);
  all.resize(max);
  std::sort(all.begin(), all.end());
  return all;
}

template <typename Table, std::size_t N>
void add_tallies(const Table& table, std::size_t column,
                 const std::array<std::string_view, N>& names, std::size_t first, Json& to) {
  for (std::size_t i = first; i < N; ++i) to[std::string(names[i])] = table.sum(column, i);
}

using StepCounts = std::array<std::uint64_t, kLatencySteps>;

StepCounts steps_of(const LatencyTallies& table, std::size_t column) {
  StepCounts counts{};
  for (std::size_t i = 0; i < kLatencySteps; ++i) counts[i] = table.sum(column, i);
  return counts;
}

// The first step that counted any, and the counts from it to the last that did; nothing: none did.
Json steps_json(const StepCounts& counts) {
  Json json = Json::array();
  const auto counted = [](std::uint64_t n) { return n > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), counted);
  if (first == counts.end()) return json;
  const auto last = std::find_if(counts.rbegin(), counts.rend(), counted).base();
  json.push_back(first - counts.begin());
  for (auto count = first; count != last; ++count) json.push_back(*count);
  return json;
}

std::string_view state_of(std::uint64_t up, std::uint64_t links) noexcept {
  return up == 0 ? "down" : up < links ? "partly" : "up";
}

Json pools_json(const Snapshot& snapshot, const NodeTallies& tallies) {
  Json pools = Json::array();
  for (const Pool& pool : snapshot.pools)
    pools.push_back(
        {{"name", pool.name}, {"nodes", pool.nodes.size()}, {"nodes_up", nodes_up(pool, tallies)}});
  return pools;
}

struct NodePlace {
  std::size_t pool = 0;
  std::size_t node = 0;
};

Json node_json(const Pool& pool, NodePlace place, const NodeTallies& tallies, double share) {
  const std::size_t backend = pool.first_backend + place.node;
  const std::uint64_t links = std::uint64_t{pool.options.links_per_node} * tallies.workers();
  const std::uint64_t up = tallies.sum(backend, NodeTally::kUpLinks);
  Json json{{"pool", place.pool},
            {"name", pool.nodes[place.node].shown()},
            {"place", pool.place_of(place.node)},
            {"share", share},
            {"state", state_of(up, links)},
            {"links", links}};
  json["response_us"] =
      tallies.sum(backend, NodeTally::kResponseUs) / std::max<std::uint64_t>(1, links);
  for (std::size_t i = 0; i < kNodeTallyNames.size(); ++i)
    if (static_cast<NodeTally>(i) != NodeTally::kResponseUs)
      json[std::string(kNodeTallyNames[i])] = tallies.sum(backend, i);
  return json;
}

Json nodes_json(const Snapshot& snapshot, const NodeTallies& tallies,
                const std::vector<double>& shares) {
  std::vector<NodePlace> places;
  for (std::size_t p = 0; p < snapshot.pools.size(); ++p)
    for (std::size_t n = 0; n < snapshot.pools[p].nodes.size(); ++n) places.push_back({p, n});
  const auto is_up = [&](std::size_t at) { return tallies.sum(at, NodeTally::kUpLinks) > 0; };
  Json nodes = Json::array();
  for (const std::size_t at :
       chosen(places.size(), kStatusNodesMax, [&](std::size_t a, std::size_t b) {
         if (is_up(a) != is_up(b)) return is_up(b);
         return tallies.sum(a, NodeTally::kRequests) > tallies.sum(b, NodeTally::kRequests);
       }))
    nodes.push_back(node_json(snapshot.pools[places[at].pool], places[at], tallies,
                              at < shares.size() ? shares[at] : 0));
  return nodes;
}

std::string_view name_of(SealMode mode) noexcept {
  switch (mode) {
    case SealMode::kOff:
      return "off";
    case SealMode::kMigrate:
      return "migrate";
    case SealMode::kRequire:
      return "require";
  }
  return {};
}

Json spaces_json(const Snapshot& snapshot, const Tallies& tallies) {
  const auto all = snapshot.namespaces.all();
  const auto requests = [&](std::size_t n) {
    std::uint64_t sum = 0;
    for (const SpaceTally which : {SpaceTally::kGets, SpaceTally::kSets, SpaceTally::kDeletes,
                                   SpaceTally::kArithmetic, SpaceTally::kTouches})
      sum += tallies.spaces.sum(n, which);
    return sum;
  };
  Json spaces = Json::array();
  for (const std::size_t n :
       chosen(all.size(), kStatusSpacesMax,
              [&](std::size_t a, std::size_t b) { return requests(a) > requests(b); })) {
    Json json{{"namespace", namespace_label(all[n].prefix)},
              {"pool", all[n].pool},
              {"seal", name_of(all[n].seal.mode)},
              {"blind_keys", all[n].seal.blind_keys}};
    add_tallies(tallies.spaces, n, kSpaceTallyNames, 0, json);
    json["latency"] = steps_json(steps_of(tallies.latencies, n));
    spaces.push_back(std::move(json));
  }
  return spaces;
}

Json keys_json(const Snapshot& snapshot, const Tallies& tallies) {
  Json keys = Json::array();
  const Keyring* const keyring = snapshot.keyring.get();
  for (std::size_t n = 0; keyring != nullptr && n < keyring->master_count(); ++n)
    keys.push_back({{"id", fmt::format("{:08x}", keyring->key_id(n))},
                    {"role", n == 0 ? "primary" : "master"},
                    {"opened", tallies.keys.sum(n, KeyTally::kOpened)}});
  return keys;
}

Json events_json(const std::vector<RecentEvent>& events) {
  Json json = Json::array();
  for (const RecentEvent& event : events) {
    if (json.size() == kStatusEventsMax) break;
    json.push_back({{"first_ms", event.first_ms},
                    {"last_ms", event.last_ms},
                    {"level", name_of(event.level)},
                    {"event", kLogEventNames[static_cast<std::size_t>(event.event)]},
                    {"text", event.text},
                    {"count", event.count}});
  }
  return json;
}

// Of all namespaces, those too that have no row.
StepCounts all_steps(const LatencyTallies& table) {
  StepCounts all{};
  for (std::size_t n = 0; n < table.columns(); ++n) {
    const StepCounts one = steps_of(table, n);
    for (std::size_t i = 0; i < kLatencySteps; ++i) all[i] += one[i];
  }
  return all;
}

Json ends_json() {
  Json ends = Json::array();
  for (std::size_t i = 0; i + 1 < kLatencySteps; ++i)
    ends.push_back(static_cast<double>(latency_step_end_ns(i)) / 1000);
  return ends;
}

Json process_json(const MetricsSource& source) {
  const ProcessState& state = source.state;
  const Limits& limits = state.snapshot->limits;
  const std::uint64_t workers = source.board.of_worker.size();
  Json counters = Json::object();
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    counters[std::string(kCounterNames[i])] = source.board.sum(i);
  return {{"version", TOKENRING_VERSION},
          {"started_s", source.started_s},
          {"now_s", source.now_s},
          {"state", state.draining ? "draining" : "serving"},
          {"not_ready", unready_reason(state)},
          {"workers", workers},
          {"reloads", state.reloads},
          {"reloads_failed", state.failed_reloads},
          {"last_reload_failed", state.last_reload_failed},
          {"loaded_s", state.loaded_s},
          {"cpu_s", source.usage.user_s + source.usage.system_s},
          {"resident_bytes", source.usage.resident_bytes},
          {"open_fds", source.usage.open_fds},
          {"max_fds", source.usage.max_fds},
          {"clients_max", limits.clients_per_worker_max * workers},
          {"counters", std::move(counters)}};
}

}  // namespace

const std::vector<double>& RingShares::of(const std::shared_ptr<const Snapshot>& snapshot) {
  if (snapshot == snapshot_) return shares_;
  shares_.clear();
  for (const Pool& pool : snapshot->pools) {
    const std::vector<double> own = pool.ring.shares();
    shares_.insert(shares_.end(), own.begin(), own.end());
  }
  snapshot_ = snapshot;
  return shares_;
}

std::string status_json(const MetricsSource& source, const std::vector<double>& shares,
                        const std::vector<RecentEvent>& events) {
  const Snapshot& snapshot = *source.state.snapshot;
  Json json{{"format", kFormat}, {"process", process_json(source)}};
  if (snapshot.tallies != nullptr) {
    const Tallies& tallies = *snapshot.tallies;
    json["pools"] = pools_json(snapshot, tallies.nodes);
    json["nodes_in_all"] = tallies.nodes.columns();
    json["nodes"] = nodes_json(snapshot, tallies.nodes, shares);
    json["namespaces_in_all"] = tallies.spaces.columns();
    json["namespaces"] = spaces_json(snapshot, tallies);
    json["latency_ends_us"] = ends_json();
    json["latency"] = steps_json(all_steps(tallies.latencies));
    json["keys"] = keys_json(snapshot, tallies);
  }
  json["events"] = events_json(events);
  return text_of(json);
}

WhereAnswer where_json(const Snapshot& snapshot, std::string_view key, std::string_view exptime,
                       UnixTime now) {
  const auto error = [](std::string_view text) {
    return WhereAnswer{.json = text_of({{"error", text}}), .is_error = true};
  };
  std::int32_t asked = 0;
  const char* const end = exptime.data() + exptime.size();
  if (!exptime.empty())
    if (const auto read = std::from_chars(exptime.data(), end, asked);
        read.ec != std::errc() || read.ptr != end)
      return error("exptime is no number of 32 bits");
  const auto place = place_of_key(snapshot, key, asked, now);
  if (!place) return error(place.error());
  const NodeSpec& node = place->pool->nodes[place->node];
  Json json{{"namespace", namespace_label(place->space->prefix)},
            {"pool", place->pool->name},
            {"node", node.shown()},
            {"node_key", escaped_key(place->node_key)},
            {"blinded", place->space->seal.blind_keys},
            {"seal", name_of(place->space->seal.mode)},
            {"life_s", nullptr},
            {"reference", nullptr}};
  if (place->life_s) json["life_s"] = *place->life_s;
  if (!place->reference.empty()) json["reference"] = place->reference;
  if (snapshot.tallies != nullptr) {
    const std::size_t backend = place->pool->first_backend + place->node;
    const NodeTallies& tallies = snapshot.tallies->nodes;
    json["node_state"] =
        state_of(tallies.sum(backend, NodeTally::kUpLinks),
                 std::uint64_t{place->pool->options.links_per_node} * tallies.workers());
  }
  return {.json = text_of(json)};
}

}  // namespace tokenring
