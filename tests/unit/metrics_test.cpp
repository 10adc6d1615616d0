// The exposition's text, and what becomes of counters, tallies and latencies in it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "app/metrics.hpp"
#include "app/seal_material.hpp"

using namespace tokenring;

namespace {

using Type = Exposition::Type;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::shared_ptr<const Snapshot> snapshot_of(std::string_view text) {
  const auto config = parse_config(text, "test.toml");
  if (!config) FAIL(config.error());
  const auto snapshot = make_snapshot(*config, {}, {});
  if (!snapshot) FAIL(snapshot.error());
  return *snapshot;
}

constexpr std::string_view kTwoPools = R"(
workers = 2
[pools.a]
nodes = ["127.0.0.1:1", { address = "127.0.0.1:2", name = "two" }]
[pools.b]
nodes = ["127.0.0.1:1"]
[[namespaces]]
prefix = "s:"
pool = "a"
near = { bytes = "1MiB", ttl = "250ms" }
[[namespaces]]
prefix = ""
pool = "b"
)";

// A process with two workers, and its metrics by series.
struct Scene {
  explicit Scene(std::string_view config = kTwoPools) { state.snapshot = snapshot_of(config); }

  [[nodiscard]] std::string text() const {
    return metrics_text(
        {.state = state, .board = board, .usage = {}, .started_s = 1000, .now_s = 1060});
  }
  [[nodiscard]] std::string value(const std::string& series) const {
    for (const std::string& line : lines_of(text()))
      if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
    return "none";
  }
  void up(std::size_t worker, std::size_t backend) const {
    state.snapshot->tallies->nodes.at(worker, backend).set(NodeTally::kUpLinks, 1);
  }

  ProcessState state;
  CounterBoard board{2};
};

}  // namespace

TEST_CASE("a family has its help and type, and each sample a line") {
  Exposition out;
  out.family("things_total", Type::kCounter, "Things.");
  out.sample({{"kind", "a"}}, std::uint64_t{18446744073709551615U});
  out.sample({{"kind", "b"}, {"more", ""}}, 0.25);
  out.family("now", Type::kGauge, "The moment.");
  out.sample({}, std::uint64_t{0});
  CHECK(out.take() ==
        "# HELP things_total Things.\n# TYPE things_total counter\n"
        "things_total{kind=\"a\"} 18446744073709551615\n"
        "things_total{kind=\"b\",more=\"\"} 0.25\n"
        "# HELP now The moment.\n# TYPE now gauge\nnow 0\n");
}

TEST_CASE("a label's value is told so that nothing ends it") {
  const auto told = [](std::string_view value) {
    Exposition out;
    out.sample({{"x", value}}, std::uint64_t{1});
    return out.take();
  };
  CHECK(told("a\"b\\c\nd") == "{x=\"a\\\"b\\\\c\\nd\"} 1\n");
  CHECK(told("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x94\x91") ==
        "{x=\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x94\x91\"} 1\n");
  for (const std::string_view bad :
       {"\xFF", "\xC3", "\x80", "\xC0", "\xF5", "\xF8"})  // No sequence, or none that ends.
    CHECK(told(bad) == "{x=\"?\"} 1\n");
  CHECK(told("\xED\xA0\x80") == "{x=\"???\"} 1\n");  // A surrogate.
  CHECK(told("\xE0\x80\xAF") == "{x=\"???\"} 1\n");  // An overlong slash.
  CHECK(told("\xF4\x90\x80\x80") == "{x=\"????\"} 1\n");
  CHECK(told("a\xE2\x82") == "{x=\"a??\"} 1\n");
}

TEST_CASE("a histogram's buckets add up") {
  Exposition out;
  out.family("t_seconds", Type::kHistogram, "Times.");
  out.histogram({{"c", "get"}}, std::array{0.001, 0.5}, std::array<std::uint64_t, 3>{2, 0, 3}, 4.5);
  CHECK(lines_of(out.take()) ==
        std::vector<std::string>{"# HELP t_seconds Times.", "# TYPE t_seconds histogram",
                                 "t_seconds_bucket{c=\"get\",le=\"0.001\"} 2",
                                 "t_seconds_bucket{c=\"get\",le=\"0.5\"} 2",
                                 "t_seconds_bucket{c=\"get\",le=\"+Inf\"} 5",
                                 "t_seconds_sum{c=\"get\"} 4.5", "t_seconds_count{c=\"get\"} 5"});
}

TEST_CASE("every series stands once, in one family with help and type") {
  const Scene scene(R"(
[[namespaces]]
prefix = "-"
[[namespaces]]
prefix = "--"
[[namespaces]]
prefix = "a\"b"
)");
  std::map<std::string, int> families;
  std::set<std::string> series;
  std::string family;
  for (const std::string& line : lines_of(scene.text())) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(++families[family] == 1);
      CHECK(line.size() > 8 + family.size());
    } else if (line.starts_with("# ")) {
      CHECK(line.starts_with(fmt::format("# TYPE {} ", family)));
      const bool is_total = family.ends_with("_total");
      CHECK(line.ends_with(" counter") == is_total);
    } else {
      CHECK(line.starts_with(family));
      CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
    }
  }
  CHECK(families.size() > 40);
}

TEST_CASE("namespaces have labels of their own") {
  CHECK(namespace_label("") == "-");
  CHECK(namespace_label("-") == "--");
  CHECK(namespace_label("--") == "---");
  CHECK(namespace_label("-s:") == "-s:");
}

TEST_CASE("every counter and tally is told") {
  Scene scene;
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    scene.board.of_worker[i % 2].add(static_cast<Counter>(i), 1'000'000 + i);
  const std::string counters = scene.text();
  // What is told by node or namespace is not told again.
  const std::set<std::string_view> elsewhere{
      "ttl_capped",       "node_errors",    "node_timeouts",      "node_connects",
      "node_out_of_step", "gets_coalesced", "node_rejoin_flushes"};
  for (std::size_t i = 0; i < kCounterNames.size(); ++i) {
    CAPTURE(kCounterNames[i]);
    const bool told = counters.find(fmt::format(" {}\n", 1'000'000 + i)) != std::string::npos;
    CHECK(told != elsewhere.contains(kCounterNames[i]));
  }
  Tallies& tallies = *scene.state.snapshot->tallies;
  for (std::size_t i = 0; i < kSpaceTallyNames.size(); ++i)
    tallies.spaces.at(1, 0).add(static_cast<SpaceTally>(i), 2'000'000 + i);
  for (std::size_t i = 0; i < kNodeTallyNames.size(); ++i)
    tallies.nodes.at(0, 1).add(static_cast<NodeTally>(i), 3'000'000 + i);
  const std::string text = scene.text();
  for (std::size_t i = 0; i < kSpaceTallyNames.size(); ++i) {
    CAPTURE(kSpaceTallyNames[i]);
    if (static_cast<SpaceTally>(i) == SpaceTally::kCapped) continue;  // By its reasons.
    CHECK(text.find(fmt::format(" {}\n", 2'000'000 + i)) != std::string::npos);
  }
  for (std::size_t i = 0; i < kNodeTallyNames.size(); ++i) {
    CAPTURE(kNodeTallyNames[i]);
    const bool is_response = static_cast<NodeTally>(i) == NodeTally::kResponseUs;
    CHECK(text.find(is_response ? " 1.5000015\n" : fmt::format(" {}\n", 3'000'000 + i)) !=
          std::string::npos);
  }
}

TEST_CASE("a near cache tells how large it is and how old its values may be") {
  Scene scene;
  SpaceTallies& spaces = scene.state.snapshot->tallies->spaces;
  spaces.at(0, 0).set(SpaceTally::kNearBytes, 3);
  spaces.at(1, 0).set(SpaceTally::kNearBytes, 4);
  CHECK(scene.value(R"(tokenring_namespace_near_bytes{namespace="s:"})") == "7");
  CHECK(scene.value(R"(tokenring_namespace_near_bytes{namespace="-"})") == "none");
  CHECK(scene.value(R"(tokenring_namespace_near_staleness_seconds{namespace="s:"})") == "0.25");
}

TEST_CASE("workers are added up") {
  Scene scene;
  scene.board.of_worker[0].add(Counter::kGetHits, 3);
  scene.board.of_worker[1].add(Counter::kGetHits, 4);
  CHECK(scene.value(R"(memcached_commands_total{command="get",status="hit"})") == "7");
  SpaceTallies& spaces = scene.state.snapshot->tallies->spaces;
  const auto all = scene.state.snapshot->namespaces.all();
  const std::size_t sealed = all[0].prefix == "s:" ? 0 : 1;
  spaces.at(0, sealed).add(SpaceTally::kOpenAuthFail, 5);
  spaces.at(1, sealed).add(SpaceTally::kOpenAuthFail, 6);
  CHECK(scene.value(
            R"(tokenring_namespace_open_failures_total{namespace="s:",reason="auth_fail"})") ==
        "11");
  CHECK(scene.value(
            R"(tokenring_namespace_open_failures_total{namespace="-",reason="auth_fail"})") == "0");
}

TEST_CASE("stats reset does not turn a counter back") {
  Scene scene;
  scene.board.of_worker[0].add(Counter::kCmdGet, 3);
  scene.board.of_worker[0].set(Counter::kBufferBytes, 512);
  scene.board.reset();
  CHECK(scene.value(R"(tokenring_commands_total{command="get"})") == "3");
  CHECK(scene.value("tokenring_buffer_bytes") == "512");
  CHECK(scene.board.since_reset(static_cast<std::size_t>(Counter::kBufferBytes)) == 512);
  CHECK(scene.board.since_reset(static_cast<std::size_t>(Counter::kCmdGet)) == 0);
}

TEST_CASE("latencies fall into buckets by their length") {
  Scene scene;
  LatencyHistogram& gets = scene.board.latencies[1].total[0];
  gets.record(8191);
  gets.record(8192);
  gets.record(16'000, 2);
  gets.record(1'000'000);
  gets.record(60'000'000'000);
  const auto bucket = [&](std::string_view le) {
    return scene.value(
        fmt::format(R"(tokenring_request_duration_seconds_bucket{{command="get",le="{}"}})", le));
  };
  CHECK(bucket("8.192e-06") == "1");
  CHECK(bucket("1.6384e-05") == "4");
  CHECK(bucket("0.000524288") == "4");
  CHECK(bucket("0.001048576") == "5");
  CHECK(bucket("2.147483648") == "5");
  CHECK(bucket("+Inf") == "6");
  CHECK(scene.value(R"(tokenring_request_duration_seconds_count{command="get"})") == "6");
  CHECK(scene.value(R"(tokenring_request_duration_seconds_sum{command="get"})") == "60.001048383");
  CHECK(scene.value(R"(tokenring_proxy_duration_seconds_count{command="get"})") == "0");
}

TEST_CASE("times by namespace, of the first of the file by name") {
  Scene scene;
  const Tallies& tallies = *scene.state.snapshot->tallies;
  REQUIRE(tallies.times.columns() == 2);
  const auto all = scene.state.snapshot->namespaces.all();
  const std::size_t sealed = all[0].prefix == "s:" ? 0 : 1;
  TimeTallies& times = scene.state.snapshot->tallies->times;
  const auto add = [&](std::size_t first, std::int64_t ns) {
    auto& cell = times.at(1, tallies.time_columns[sealed]);
    cell.tallies[first + TimeCounts::bucket_of(ns)].add();
    cell.tallies[first + TimeCounts::kSum].add(static_cast<std::uint64_t>(ns));
  };
  for (const std::int64_t ns : {0, 8'191, 8'192, 2'147'483'647}) add(0, ns);
  add(0, 60'000'000'000);
  add(TimeCounts::kOwn, 16'384);
  const auto bucket = [&](std::string_view family, std::string_view le) {
    return scene.value(fmt::format(
        R"(tokenring_namespace_{}_seconds_bucket{{namespace="s:",le="{}"}})", family, le));
  };
  CHECK(bucket("request_duration", "8.192e-06") == "2");
  CHECK(bucket("request_duration", "1.6384e-05") == "3");
  CHECK(bucket("request_duration", "2.147483648") == "4");
  CHECK(bucket("request_duration", "+Inf") == "5");
  CHECK(bucket("proxy_duration", "1.6384e-05") == "0");
  CHECK(bucket("proxy_duration", "3.2768e-05") == "1");
  CHECK(scene.value(R"(tokenring_namespace_request_duration_seconds_sum{namespace="s:"})") ==
        "62.14750003");
  CHECK(scene.value(R"(tokenring_namespace_request_duration_seconds_count{namespace="-"})") == "0");
}

TEST_CASE("times are told of no more namespaces than that") {
  CHECK(Scene("").text().find("namespace_request_duration") == std::string::npos);
  std::string config = "[[namespaces]]\nprefix = \"other\"\n";
  for (std::size_t n = 0; n < 100; ++n)
    config += fmt::format("[[namespaces]]\nprefix = \"{}:\"\n",
                          std::string(n % 9 + 1, 'a') + std::to_string(n));
  const Scene scene("workers = 2\n" + config);
  const Tallies& tallies = *scene.state.snapshot->tallies;
  CHECK(tallies.times.columns() == Tallies::kTimedSpaces);  // One of them is called as the rest is.
  const auto all = scene.state.snapshot->namespaces.all();
  REQUIRE(tallies.time_columns.size() == all.size());
  for (std::size_t n = 0; n < all.size(); ++n) {
    const std::string& name = tallies.times.name(tallies.time_columns[n]);
    const bool is_named = all[n].place < Tallies::kTimedSpaces && all[n].prefix != "other";
    CHECK(name == (is_named ? all[n].prefix : "other"));
  }
  // What is counted goes on through a reload.
  scene.state.snapshot->tallies->times.at(1, tallies.time_columns[3]).tallies[5].add(7);
  const auto next = make_tallies(2, *scene.state.snapshot, &tallies);
  CHECK(next->times.sum(tallies.time_columns[3], 5) == 7);
}

TEST_CASE("a process is ready when every pool has a node that is up, and until it drains") {
  Scene scene;
  CHECK(unready_reason(scene.state) == "no node of pool a is up");
  CHECK(scene.value("memcached_up") == "0");
  scene.up(1, 1);
  CHECK(unready_reason(scene.state) == "no node of pool b is up");
  scene.up(0, 2);
  CHECK(unready_reason(scene.state).empty());
  CHECK(scene.value("memcached_up") == "1");
  CHECK(scene.value(R"(tokenring_pool_nodes{pool="a"})") == "2");
  CHECK(scene.value(R"(tokenring_pool_nodes_up{pool="a"})") == "1");
  CHECK(scene.value(R"(tokenring_node_up{pool="a",node="127.0.0.1:1"})") == "0");
  CHECK(scene.value(R"(tokenring_node_up{pool="a",node="two"})") == "1");
  CHECK(scene.value(R"(tokenring_node_links{pool="a",node="two"})") == "2");
  CHECK(scene.value(R"(tokenring_node_links_up{pool="a",node="two"})") == "1");
  scene.state.draining = true;
  CHECK(unready_reason(scene.state) == "draining");
  CHECK(scene.value("memcached_up") == "0");
}

TEST_CASE("the process tells of itself") {
  Scene scene;
  scene.state.reloads = 3;
  scene.state.failed_reloads = 2;
  scene.state.last_reload_failed = true;
  scene.state.loaded_s = 1033;
  CHECK(scene.value("memcached_uptime_seconds") == "60");
  CHECK(scene.value("process_start_time_seconds") == "1000");
  CHECK(scene.value("tokenring_workers") == "2");
  CHECK(scene.value(R"(tokenring_config_reloads_total{result="ok"})") == "3");
  CHECK(scene.value(R"(tokenring_config_reloads_total{result="failed"})") == "2");
  CHECK(scene.value("tokenring_config_last_reload_successful") == "0");
  CHECK(scene.value("tokenring_config_last_reload_success_timestamp_seconds") == "1033");
  const ProcessUsage usage = process_usage();
  CHECK(usage.resident_bytes > 1'000'000);
  CHECK(usage.open_fds >= 3);
  CHECK(usage.max_fds >= usage.open_fds);
  CHECK(usage.user_s + usage.system_s > 0);
}
