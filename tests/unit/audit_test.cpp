// The audit log's lines, its queue, and the thread that writes it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "app/audit.hpp"

using namespace tokenring;
using Json = nlohmann::json;

namespace {

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "audit_testXXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

AuditConfig at(const std::filesystem::path& path) {
  return {.file = path, .file_at = "t.toml:2:8: audit.file"};
}

AuditBatch batch_of(std::size_t events, std::size_t anomalies = 0) {
  AuditBatch batch;
  batch.at_ms = 1'790'000'000'123;
  batch.worker = 3;
  const auto names = std::make_shared<AuditNames>();
  names->spaces = {"", "sess:"};
  names->nodes = {"10.0.0.1:11211"};
  batch.names = names;
  for (std::size_t n = 0; n < events; ++n)
    batch.events.push_back(
        {.action = AuditAction::kWrite, .reason = "done", .command = "set", .is_sampled = true});
  for (std::size_t n = 0; n < anomalies; ++n)
    batch.events.push_back({.action = AuditAction::kWrite,
                            .outcome = AuditOutcome::kFailure,
                            .reason = "replay refused",
                            .command = "add"});
  return batch;
}

std::vector<Json> lines_of(const std::filesystem::path& file) {
  std::vector<Json> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

AuditDrops events_in(const AuditQueue::Taken& taken) {
  AuditDrops events;
  for (const AuditBatch& batch : taken.batches)
    for (const AuditEvent& event : batch.events) events.add(event.is_sampled);
  return events;
}

}  // namespace

TEST_CASE("a line has the fields of the schema") {
  AuditBatch batch = batch_of(0);
  AuditEvent event{.action = AuditAction::kRead,
                   .outcome = AuditOutcome::kFailure,
                   .reason = "consumed by another",
                   .command = "mg",
                   .space = 1,
                   .backend = 0,
                   .has_reference = true,
                   .identity = "app",
                   .peer = "10.1.2.3:40312"};
  event.reference.fill('r');
  const std::string line = audit_line(batch, event, {.number = 7});
  CHECK(line.back() == '\n');
  const Json json = Json::parse(line);
  CHECK(json["@timestamp"] == "2026-09-21T14:13:20.123Z");
  CHECK(json["event.kind"] == "event");
  CHECK(json["event.category"] == Json::array({"database"}));
  CHECK(json["event.type"] == Json::array({"access"}));
  CHECK(json["event.action"] == "read");
  CHECK(json["event.outcome"] == "failure");
  CHECK(json["event.reason"] == "consumed by another");
  CHECK(json["event.sequence"] == 7);
  CHECK(json["user.name"] == "app");
  CHECK(json["source.ip"] == "10.1.2.3");
  CHECK(json["source.port"] == 40312);
  CHECK(json["tokenring.command"] == "mg");
  CHECK(json["tokenring.namespace"] == "sess:");
  CHECK(json["tokenring.node"] == "10.0.0.1:11211");
  CHECK(json["tokenring.key.ref"] == std::string(kAuditCharacters, 'r'));
  CHECK(json["tokenring.worker"] == 3);
  CHECK(json["process.pid"] == ::getpid());
  CHECK_FALSE(json.contains("tokenring.drops"));
  CHECK_FALSE(json.contains("tokenring.count"));
}

TEST_CASE("peers are addresses of the internet, or what they are") {
  const auto peer_of = [](const char* peer) {
    return Json::parse(audit_line(batch_of(0), {.peer = peer}, {}));
  };
  CHECK(peer_of("[fd00::1]:7")["source.ip"] == "fd00::1");
  CHECK(peer_of("[fd00::1]:7")["source.port"] == 7);
  CHECK(peer_of("uid 1000 pid 4711")["source.address"] == "uid 1000 pid 4711");
  CHECK_FALSE(peer_of("uid 1000 pid 4711").contains("source.ip"));
  CHECK_FALSE(peer_of("").contains("source.address"));
}

TEST_CASE("categories have types that the schema lists with them") {
  // https://www.elastic.co/guide/en/ecs/8.11/ecs-allowed-values-event-category.html
  const std::map<std::string, std::set<std::string>> expected{
      {"authentication", {"start", "end", "info"}},
      {"configuration", {"access", "change", "creation", "deletion", "info"}},
      {"database", {"access", "change", "info", "error"}},
      {"host", {"access", "change", "end", "info", "start"}},
      {"iam", {"admin", "change", "creation", "deletion", "group", "info", "user"}},
      {"intrusion_detection", {"allowed", "denied", "info"}},
      {"network",
       {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}},
      {"process", {"access", "change", "end", "info", "start"}},
      {"session", {"start", "end", "info"}}};
  constexpr std::array<std::array<const char*, 3>, 23> kRows{{
#define X(enumerator, action, category, type) {action, category, type},
      TOKENRING_AUDIT_ACTIONS(X)
#undef X
  }};
  for (const auto& row : kRows) {
    const std::string action = row[0];
    CAPTURE(action);
    REQUIRE(expected.count(row[1]) == 1);
    CHECK(expected.at(row[1]).count(row[2]) == 1);
  }
}

TEST_CASE("anomalies of clients are told to operators in words, without the client's port") {
  AuditBatch batch = batch_of(0);
  AuditEvent event{.action = AuditAction::kWrite,
                   .outcome = AuditOutcome::kFailure,
                   .reason = "replay refused",
                   .command = "add",
                   .space = 1,
                   .has_reference = true,
                   .identity = "app",
                   .peer = "10.1.2.3:40312"};
  event.reference.fill('r');
  CHECK(is_trouble(event));
  CHECK(trouble_text(batch, event) ==
        fmt::format("write: replay refused (add, namespace \"sess:\", key reference {}, identity "
                    "app, 10.1.2.3)",
                    std::string(kAuditCharacters, 'r')));
  event.is_sampled = true;
  CHECK_FALSE(is_trouble(event));
  CHECK_FALSE(is_trouble({.action = AuditAction::kLogin}));
  CHECK_FALSE(is_trouble({.action = AuditAction::kReload, .outcome = AuditOutcome::kFailure}));
}

TEST_CASE("every action makes a line of JSON, whatever its text is") {
  std::set<std::string> actions;
  constexpr std::array kAll{
#define X(enumerator, ...) AuditAction::enumerator,
      TOKENRING_AUDIT_ACTIONS(X)
#undef X
  };
  for (const AuditAction action : kAll) {
    const std::string detail =
        std::string("a\"\n\r\t\0\x7f\xff\xf5 b", 11) + std::string(5'000, 'x');
    const std::string line = audit_line(batch_of(0), {.action = action, .detail = detail}, {});
    CHECK(line.find('\n') == line.size() - 1);
    const Json json = Json::parse(line);
    actions.insert(json["event.action"].get<std::string>());
    CHECK(json["event.kind"] == (action == AuditAction::kEnumeration ? "alert" : "event"));
  }
  CHECK(actions.size() == kAll.size());
}

TEST_CASE("the queue takes what there is room for and counts the rest") {
  AuditQueue queue;
  queue.set_max(20);
  queue.put(batch_of(15));
  queue.put(batch_of(15));
  queue.put(batch_of(15), {.sampled = 2}, 1);
  CHECK(queue.counts().dropped().all() == 10 + 15 + 2);
  CHECK(queue.counts().missed_dropped == 1);
  AuditQueue::Taken taken = queue.take();
  CHECK(events_in(taken).all() == 20);
  CHECK(taken.dropped.all() == 27);
  queue.put(batch_of(15));
  taken = queue.take();
  CHECK(events_in(taken).all() == 15);
  CHECK(taken.dropped.all() == 0);
}

TEST_CASE("no number of usual events takes an anomaly's place in the queue, nor the other way") {
  AuditQueue queue;
  queue.set_max(20);
  for (int n = 0; n < 10; ++n) queue.put(batch_of(15, 1));
  CHECK(queue.counts().dropped().sampled == 150 - 20);
  CHECK(queue.counts().dropped().anomalies == 0);
  queue.put(batch_of(0, 15));
  CHECK(queue.counts().dropped().anomalies == 15);
  AuditQueue::Taken taken = queue.take();
  CHECK(events_in(taken).sampled == 20);
  CHECK(events_in(taken).anomalies == 10);
  CHECK(taken.dropped.sampled == 130);
  CHECK(taken.dropped.anomalies == 15);
  queue.put(batch_of(0, 30), {.anomalies = 3});
  queue.put(batch_of(20));
  taken = queue.take();
  CHECK(events_in(taken).sampled == 20);
  CHECK(events_in(taken).anomalies == 10);
  CHECK(taken.dropped.sampled == 0);
  CHECK(taken.dropped.anomalies == 23);
}

TEST_CASE("who brings about very many anomalies leaves room for those of others") {
  const auto batch_by = [](std::size_t events, const std::string& peer) {
    AuditBatch batch = batch_of(0, events);
    for (AuditEvent& event : batch.events) event.peer = peer;
    return batch;
  };
  AuditQueue queue;
  queue.set_max(1'000);
  for (int port = 0; port < 100; ++port)
    queue.put(batch_by(100, fmt::format("10.0.0.1:{}", 1'024 + port)));
  CHECK(queue.counts().dropped().anomalies == 10'000 - 500);
  queue.put(batch_by(10, "10.0.0.2:7"));
  CHECK(queue.counts().dropped().anomalies == 10'000 - 500);
  CHECK(events_in(queue.take()).anomalies == 510);
  queue.put(batch_by(400, "10.0.0.1:7"));  // Taken: all is as in the beginning.
  CHECK(events_in(queue.take()).anomalies == 400);
}

TEST_CASE("the log tells what was lost, by kind") {
  const Folder folder;
  AuditQueue queue;
  queue.set_max(20);
  queue.put(batch_of(30, 12));
  { const AuditLog log(queue, *open_audit_file(at(folder.path / "a"))); }
  const std::vector<Json> lines = lines_of(folder.path / "a");
  REQUIRE(lines.size() == 31);
  CHECK(lines[30]["event.action"] == "audit_dropped");
  CHECK(lines[30]["tokenring.drops"] == 12);
  CHECK(lines[30]["tokenring.drops_sampled"] == 10);
  CHECK(lines[30]["tokenring.drops_anomaly"] == 2);
}

TEST_CASE("lines that cannot be written are lost by kind") {
  AuditQueue queue;
  {
    AuditLog log(queue, Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
    queue.put(batch_of(7, 3));
  }
  CHECK(queue.counts().dropped().sampled == 7);
  CHECK(queue.counts().dropped().anomalies == 3);
  CHECK(queue.counts().write_errors >= 1);
  CHECK(queue.counts().written == 0);
}

TEST_CASE("missed keys have a bound of their own") {
  AuditQueue queue;
  queue.set_max(2);
  AuditBatch batch = batch_of(1);
  batch.misses.push_back({.keys = std::vector<std::uint64_t>(33)});
  queue.put(batch);
  CHECK(queue.counts().missed_dropped == 33);
  CHECK(queue.counts().dropped().all() == 0);
  CHECK(queue.take().batches.size() == 1);
}

TEST_CASE("all that was put in is written when the log ends, to one file or the other") {
  const Folder folder;
  const auto first = folder.path / "a";
  const auto second = folder.path / "b";
  AuditQueue queue;
  {
    AuditLog log(queue, *open_audit_file(at(first)));
    for (int n = 0; n < 100; ++n) queue.put(batch_of(3));
    log.use(*open_audit_file(at(second)));
    for (int n = 0; n < 100; ++n) queue.put(batch_of(3));
  }
  std::vector<Json> lines = lines_of(first);
  for (const Json& line : lines_of(second)) lines.push_back(line);
  REQUIRE(lines.size() == 600);
  for (std::size_t n = 0; n < lines.size(); ++n) CHECK(lines[n]["event.sequence"] == n + 1);
  CHECK(queue.counts().written == 600);
  CHECK(queue.counts().dropped().all() == 0);
  struct stat about {};
  REQUIRE(::stat(first.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777 & ~0640U) == 0);
}

TEST_CASE("who asks for many keys that are not there is told of") {
  const Folder folder;
  AuditQueue queue;
  {
    AuditLog log(queue, *open_audit_file(at(folder.path / "a")));
    AuditBatch batch = batch_of(0);
    batch.misses.push_back({.peer = "10.0.0.9:1234"});
    for (std::uint64_t n = 0; n < 2'000; ++n)
      batch.misses[0].keys.push_back(n * 0x9E3779B97F4A7C15 >> 20);
    queue.put(batch);
  }
  const std::vector<Json> lines = lines_of(folder.path / "a");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["event.action"] == "enumeration_suspected");
  CHECK(lines[0]["event.kind"] == "alert");
  CHECK(lines[0]["source.ip"] == "10.0.0.9");
  CHECK(lines[0]["tokenring.count"] > 1'000);
  CHECK(queue.counts().enumerations == 1);
}

TEST_CASE("a pipe that is full holds nobody up, and what it cannot take is counted") {
  const Folder folder;
  const auto path = folder.path / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(open_audit_file(at(path)).error().find("nobody reads") != std::string::npos);
  const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
  AuditQueue queue;
  queue.set_max(100);
  {
    AuditLog log(queue, *open_audit_file(at(path)));
    for (int n = 0; n < 2'000; ++n) queue.put(batch_of(1));
  }
  const AuditCounts& counts = queue.counts();
  CHECK(counts.dropped().all() > 0);
  CHECK(counts.written + counts.dropped().all() >= 2'000);  // Lines that tell of drops count too.
  std::string text(1 << 20, '\0');
  const ssize_t n = ::read(reader.get(), text.data(), text.size());
  REQUIRE(n > 0);
  text.resize(static_cast<std::size_t>(n));
  CHECK(static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n')) == counts.written);
  CHECK(text.back() == '\n');
}

TEST_CASE("what would keep a file from being opened is told without making it") {
  const Folder folder;
  const auto problem = [&](const char* name) {
    return problem_with_audit_file(at(folder.path / name));
  };
  std::filesystem::create_symlink(folder.path / "elsewhere", folder.path / "link");
  CHECK(problem("new") == "");
  CHECK_FALSE(std::filesystem::exists(folder.path / "new"));
  std::ofstream(folder.path / "there") << "x";
  CHECK(problem("there") == "");
  CHECK(problem("link").find("symbolic link") != std::string::npos);
  CHECK(problem("no/file") ==
        fmt::format("t.toml:2:8: audit.file: {0}/no/file: cannot be made in {0}/no: No such "
                    "file or directory",
                    folder.path.string()));
  CHECK(problem("there/file").find("Not a directory") != std::string::npos);
  CHECK(problem(".").find("Is a directory") != std::string::npos);
  CHECK(problem_with_audit_file(at("-")) == "");
}

TEST_CASE("links and folders are no files to write to") {
  const Folder folder;
  std::filesystem::create_symlink(folder.path / "elsewhere", folder.path / "link");
  CHECK(open_audit_file(at(folder.path / "link")).error().find("symbolic link") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.path / "elsewhere"));
  CHECK_FALSE(open_audit_file(at(folder.path)).has_value());
  CHECK_FALSE(open_audit_file(at(folder.path / "no" / "file")).has_value());
}
