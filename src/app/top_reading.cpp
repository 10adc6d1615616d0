#include "app/top_reading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tokenring {

namespace {

using Json = nlohmann::json;

std::string printable(std::string text) {
  for (char& c : text)
    if ((c >= 0 && c < ' ') || c == '\x7F') c = '?';
  return text;
}

std::string text_at(const Json& json, const char* name) {
  return printable(json.at(name).get<std::string>());
}

std::uint64_t count_at(const Json& json, const char* name) {
  return json.at(name).get<std::uint64_t>();
}

std::uint64_t sum_at(const Json& json, std::initializer_list<const char*> names) {
  std::uint64_t sum = 0;
  for (const char* name : names) sum += count_at(json, name);
  return sum;
}

std::uint64_t requests_of(const Json& json) {
  return sum_at(json, {"cmd_get", "cmd_set", "cmd_delete", "cmd_arithmetic", "cmd_touch"});
}

std::array<std::uint64_t, kLatencySteps> steps_of(const Json& json) {
  std::array<std::uint64_t, kLatencySteps> steps{};
  if (json.empty()) return steps;
  const auto first = json.at(0).get<std::size_t>();
  for (std::size_t i = 1; i < json.size() && first + i - 1 < kLatencySteps; ++i)
    steps[first + i - 1] = json.at(i).get<std::uint64_t>();
  return steps;
}

NodeReading node_of(const Json& json, const Json& pools) {
  return {
      .pool = text_at(pools.at(count_at(json, "pool")), "name"),
      .name = text_at(json, "name"),
      .place = text_at(json, "place"),
      .state = text_at(json, "state"),
      .share = json.at("share").get<double>(),
      .requests = count_at(json, "requests"),
      .in_flight = count_at(json, "in_flight"),
      .response_us = count_at(json, "response_us"),
      .errors = sum_at(json, {"connections_lost", "connect_errors", "timeouts", "bad_replies"})};
}

SpaceReading space_of(const Json& json) {
  return {.name = text_at(json, "namespace"),
          .seal = text_at(json, "seal"),
          .requests = requests_of(json),
          .hits = count_at(json, "get_hits"),
          .misses = count_at(json, "get_misses"),
          .failed = count_at(json, "requests_failed"),
          .unopened = sum_at(
              json, {"open_auth_fail", "open_unknown_key", "open_plaintext", "open_malformed"}),
          .latency = steps_of(json.at("latency"))};
}

EventReading event_of(const Json& json) {
  return {.what = text_at(json, "event"),
          .text = text_at(json, "text"),
          .last_ms = json.at("last_ms").get<std::int64_t>(),
          .count = count_at(json, "count")};
}

StatusReading status_of(const Json& json) {
  const Json& process = json.at("process");
  const Json& counters = process.at("counters");
  StatusReading status{.version = text_at(process, "version"),
                       .state = text_at(process, "not_ready"),
                       .started_s = process.at("started_s").get<std::int64_t>(),
                       .now_s = process.at("now_s").get<std::int64_t>(),
                       .workers = count_at(process, "workers"),
                       .clients = count_at(counters, "curr_connections"),
                       .cpu_s = process.at("cpu_s").get<double>()};
  if (status.state.empty()) status.state = text_at(process, "state");
  for (const Json& node : json.at("nodes")) status.nodes.push_back(node_of(node, json.at("pools")));
  for (const Json& space : json.at("namespaces")) {
    status.spaces.push_back(space_of(space));
    status.all.unopened += status.spaces.back().unopened;
  }
  for (const Json& event : json.at("events")) status.events.push_back(event_of(event));
  status.all.requests = requests_of(counters);
  status.all.hits = count_at(counters, "get_hits");
  status.all.misses = count_at(counters, "get_misses");
  status.all.failed = count_at(counters, "requests_failed");
  status.all.latency = steps_of(json.at("latency"));
  return status;
}

}  // namespace

Result<StatusReading, std::string> read_status(std::string_view json) {
  try {
    return status_of(Json::parse(json));
  } catch (const Json::exception&) {
    return unexpected(std::string("its answer is not what this version of tokenring knows"));
  }
}

std::optional<double> rate_of(std::uint64_t now, std::optional<std::uint64_t> before,
                              double seconds) noexcept {
  if (!before || now < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(now - *before) / seconds;
}

std::optional<std::uint64_t> quantile_ns(const std::array<std::uint64_t, kLatencySteps>& now,
                                         const std::array<std::uint64_t, kLatencySteps>& before,
                                         double share) noexcept {
  std::array<std::uint64_t, kLatencySteps> rose{};
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < kLatencySteps; ++i) {
    rose[i] = now[i] - std::min(before[i], now[i]);
    all += rose[i];
  }
  if (all == 0) return std::nullopt;
  auto left = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(static_cast<double>(all) * share + 0.5));
  std::size_t step = 0;
  while (rose[step] < left) left -= rose[step++];
  return step + 1 < kLatencySteps ? latency_step_end_ns(step) : 0;
}

}  // namespace tokenring
