// The admin page's data: what is counted, the ring, and where a key is.
#include "app/status_json.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "app/page_files.hpp"
#include "app/seal_material.hpp"

using namespace tokenring;

namespace {

using Json = nlohmann::json;

std::shared_ptr<const Snapshot> snapshot_of(std::string_view text) {
  const auto config = parse_config(text, "test.toml");
  if (!config) FAIL(config.error());
  const auto snapshot = make_snapshot(*config, {}, {});
  if (!snapshot) FAIL(snapshot.error());
  return *snapshot;
}

// A process with two workers, and its document.
struct Scene {
  explicit Scene(std::string_view config) { state.snapshot = snapshot_of(config); }

  [[nodiscard]] std::string text(const std::vector<RecentEvent>& events = {}) {
    return status_json(
        {.state = state, .board = board, .usage = {}, .started_s = 1000, .now_s = 1060},
        shares.of(state.snapshot), events);
  }
  [[nodiscard]] Json document() { return Json::parse(text()); }
  [[nodiscard]] NodeTallies& nodes() const { return state.snapshot->tallies->nodes; }
  [[nodiscard]] Tallies& tallies() const { return *state.snapshot->tallies; }

  ProcessState state;
  CounterBoard board{2};
  RingShares shares;
};

constexpr std::string_view kTwoNodes = R"(
workers = 2
[pools.main]
nodes = ["127.0.0.1:1", { address = "127.0.0.1:2", name = "two", weight = 3 }]
[[namespaces]]
prefix = "s:"
ttl_cap = 60
)";

const Json& row_named(const Json& rows, const char* member, std::string_view name) {
  for (const Json& row : rows)
    if (row.at(member) == name) return row;
  FAIL("no row ", name);
  return rows;
}

Json where_of(std::string_view config, std::string_view key, std::string_view exptime = "") {
  const WhereAnswer answer =
      where_json(*snapshot_of(config), key, exptime, UnixTime{1'790'000'000});
  Json json = Json::parse(answer.json);
  CHECK(answer.is_error == json.contains("error"));
  return json;
}

}  // namespace

TEST_CASE("nodes have share, state and counts of all workers") {
  Scene scene(kTwoNodes);
  scene.nodes().at(0, 0).set(NodeTally::kUpLinks, 1);
  scene.nodes().at(1, 0).set(NodeTally::kUpLinks, 1);
  scene.nodes().at(1, 1).set(NodeTally::kUpLinks, 1);
  scene.nodes().at(0, 0).add(NodeTally::kRequests, 5);
  scene.nodes().at(1, 0).add(NodeTally::kRequests, 6);
  Json nodes = scene.document().at("nodes");
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].at("name") == "127.0.0.1:1");
  CHECK(nodes[0].at("share").get<double>() == doctest::Approx(0.25).epsilon(0.02));
  CHECK(nodes[1].at("share").get<double>() == doctest::Approx(0.75).epsilon(0.02));
  CHECK(nodes[0].at("state") == "up");
  CHECK(nodes[1].at("state") == "partly");
  CHECK(nodes[0].at("links") == 2);
  CHECK(nodes[0].at("requests") == 11);
  CHECK(nodes[1].at("name") == "two");
  CHECK(nodes[1].at("place") == "127.0.0.1:2");
  scene.nodes().at(1, 1).set(NodeTally::kUpLinks, 0);
  CHECK(scene.document().at("nodes")[1].at("state") == "down");
  CHECK(scene.document().at("process").at("not_ready") == "");
}

TEST_CASE("every counter and tally is in the document") {
  Scene scene(kTwoNodes);
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    scene.board.of_worker[i % 2].add(static_cast<Counter>(i), 1'000'000 + i);
  for (std::size_t i = 0; i < kSpaceTallyNames.size(); ++i)
    scene.tallies().spaces.at(1, 0).add(static_cast<SpaceTally>(i), 2'000'000 + i);
  const Json json = scene.document();
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    CHECK(json.at("process").at("counters").at(std::string(kCounterNames[i])) == 1'000'000 + i);
  const Json& space = row_named(json.at("namespaces"), "namespace", "s:");
  for (std::size_t i = 0; i < kSpaceTallyNames.size(); ++i)
    CHECK(space.at(std::string(kSpaceTallyNames[i])) == 2'000'000 + i);
}

TEST_CASE("times of namespaces fall into steps that fit each other") {
  std::size_t before = 0;
  for (std::size_t step = 0; step + 1 < kLatencySteps; ++step) {
    const auto end = static_cast<std::int64_t>(latency_step_end_ns(step));
    CHECK(latency_step_of(end - 1) == step);
    CHECK(latency_step_of(end) == step + 1);
    if (step > 0) CHECK(static_cast<double>(end) <= 1.25 * static_cast<double>(before));
    before = static_cast<std::size_t>(end);
  }
  CHECK(latency_step_of(-1) == 0);
  CHECK(latency_step_of(INT64_MAX) == kLatencySteps - 1);

  Scene scene(kTwoNodes);
  LatencyTallies& latencies = scene.tallies().latencies;
  latencies.at(0, 0).add(LatencyStep{3}, 7);
  latencies.at(1, 0).add(LatencyStep{5}, 2);
  latencies.at(1, 1).add(LatencyStep{5}, 1);
  const Json json = scene.document();
  CHECK(row_named(json.at("namespaces"), "namespace", "s:").at("latency") == Json{3, 7, 0, 2});
  CHECK(json.at("latency") == Json{3, 7, 0, 3});
  CHECK(json.at("latency_ends_us").size() == kLatencySteps - 1);
  CHECK(json.at("latency_ends_us")[0] == 8.192);
}

TEST_CASE("names of any bytes make a document") {
  Scene scene("[[namespaces]]\nprefix = \"a\\\"\\\\<\"\n");
  const RecentEvent event{.text = "a\"b\\c\xFF</script>"};
  const std::string text = scene.text({event});
  CHECK(text.find('\xFF') == std::string::npos);
  const Json json = Json::parse(text);
  CHECK(row_named(json.at("namespaces"), "namespace", "a\"\\<").at("pool") == 0);
  CHECK(json.at("events")[0].at("text") == "a\"b\\c\xEF\xBF\xBD</script>");
}

TEST_CASE("the document is bounded, and keeps what matters") {
  std::string config = "workers = 2\n";
  for (int pool = 0; pool < 2; ++pool) {
    config += fmt::format("[pools.p{}]\nnodes = [", pool);
    for (int node = 1; node <= 1000; ++node) config += fmt::format("\"127.0.0.1:{}\",", node);
    config += "]\n";
  }
  for (int space = 0; space < 600; ++space)
    config += fmt::format("[[namespaces]]\nprefix = \"{}:\"\npool = \"p0\"\n", space);
  Scene scene(config);
  for (std::size_t backend = 0; backend < 2000; ++backend)
    if (backend != 1999) scene.nodes().at(0, backend).set(NodeTally::kUpLinks, 1);
  scene.nodes().at(0, 1500).add(NodeTally::kRequests, 1);
  scene.tallies().spaces.at(0, 599).add(SpaceTally::kDeletes, 1);
  std::vector<RecentEvent> events(150);
  const std::string text = scene.text(events);
  CHECK(text.size() < 2'000'000);
  const Json json = Json::parse(text);
  CHECK(json.at("nodes").size() == kStatusNodesMax);
  CHECK(json.at("nodes_in_all") == 2000);
  CHECK(json.at("nodes").back().at("state") == "down");
  CHECK(json.at("nodes")[kStatusNodesMax - 2].at("requests") == 1);
  CHECK(json.at("namespaces").size() == kStatusSpacesMax);
  CHECK(json.at("namespaces_in_all") == 600);
  CHECK(json.at("namespaces").back().at("cmd_delete") == 1);
  CHECK(json.at("events").size() == kStatusEventsMax);
}

TEST_CASE("a key is explained, whatever its bytes are") {
  const Json plain = where_of(kTwoNodes, "s:k");
  CHECK(plain.at("namespace") == "s:");
  CHECK(plain.at("pool") == "main");
  CHECK(plain.at("node_key") == "s:k");
  CHECK(plain.at("life_s") == 60);
  CHECK(plain.at("reference").is_null());
  CHECK(!plain.at("blinded").get<bool>());
  CHECK(where_of(kTwoNodes, "s:k", "7").at("life_s") == 7);
  CHECK(where_of(kTwoNodes, "s:k", "-1").at("life_s") == 0);
  CHECK(where_of(kTwoNodes, "k").at("life_s").is_null());
  CHECK(where_of(kTwoNodes, std::string("a\0\xFF\"<", 5)).at("node_key") == "a\\x00\\xFF\"<");
}

TEST_CASE("what cannot be explained is an error that does not show the key") {
  CHECK(where_of(kTwoNodes, "").at("error") == "an empty key; keys have 1 to 250 bytes");
  const Json error = where_of(kTwoNodes, std::string(251, 'z'));
  CHECK(error.at("error") == "a key of 251 bytes; keys have 1 to 250");
  const Json lost = where_of(
      "[pools.a]\nnodes=[\"a:1\"]\n[pools.b]\nnodes=[\"b:1\"]\n"
      "[[namespaces]]\nprefix=\"s:\"\npool=\"a\"\n",
      "secret");
  CHECK(lost.at("error") ==
        "no namespace has this key; add one with its prefix, or with prefix \"\"");
  for (const std::string_view bad : {"x", "1x", "99999999999", " 1"})
    CHECK(where_of(kTwoNodes, "k", bad).at("error") == "exptime is no number of 32 bits");
}

TEST_CASE("the page is in the binary, and asks for nothing that is not") {
  std::vector<std::string_view> paths;
  for (const PageFile& file : page_files()) {
    CAPTURE(file.path);
    paths.push_back(file.path);
    CHECK(!file.text.empty());
    const bool names_no_site = file.text.find("https://") == std::string_view::npos &&
                               file.text.find("//cdn") == std::string_view::npos;
    CHECK(names_no_site);
    CHECK(file.text.find("innerHTML") == std::string_view::npos);
  }
  CHECK(paths == std::vector<std::string_view>{"/", "/page.css", "/page.js", "/data.js", "/ring.js",
                                               "/table.js", "/icon.svg"});
}
