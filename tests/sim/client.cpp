#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "who.hpp"

namespace tokenring::sim {

namespace {

constexpr int kKeys = 6;

std::string key_of(std::uint32_t client, int i) {
  return fmt::format("{}c{}:k{}{}", i % 3 == 2 ? kCappedPrefix : "", client, i,
                     i % 2 == 1 ? "{tag}" : "");
}

}  // namespace

Client::Client(std::uint32_t number, std::uint64_t seed, Rules rules, std::shared_ptr<Facts> facts)
    : number_(number), random_(seed), rules_(rules), facts_(std::move(facts)) {
  for (int i = 0; i < kKeys; ++i) keys_.push_back(key_of(number, i));
}

std::string Client::key_to_read() {
  if (!random_.one_in(4)) return any_key();
  return key_of(static_cast<std::uint32_t>(random_.below(rules_.clients)),
                static_cast<int>(random_.below(kKeys)));
}

bool Client::may_see(const std::string& key) const {
  return !rules_.asks || sim::may_see(number_, key);
}

Floor Client::floor_of(const std::string& key) {
  if (!may_see(key) || rules_.faults || rules_.loses || rules_.limits) return {};
  const bool own = std::find(keys_.begin(), keys_.end(), key) != keys_.end();
  Floor floor = own ? sent_[key] : facts_->acked[key];
  // Without evictions what was written is there, but under a cap it may be over, and another client
  // may be ending it.
  floor.gone |= !own || rules_.expires || key.starts_with(kCappedPrefix);
  return floor;
}

std::vector<Floor> Client::floors_of(const std::vector<std::string>& keys) {
  std::vector<Floor> floors;
  for (const std::string& key : keys) floors.push_back(floor_of(key));
  return floors;
}

std::string Client::log_in() {
  if (!rules_.asks) return {};
  std::string out;
  const auto add = [&](const std::string& password, const char* answer) {
    const std::string value = fmt::format("{} {}", user_of(number_), password);
    expect_lines("login", {answer});
    out += fmt::format("set login 0 0 {}\r\n{}\r\n", value.size(), value);
  };
  if (writes_ == 0 && random_.one_in(3)) {
    expect_lines("too early", {"CLIENT_ERROR unauthenticated"});
    out += fmt::format("get {}\r\n", any_key());
    add("wrong", "CLIENT_ERROR authentication failure");
  }
  add(password_of(number_), "STORED");
  return out;
}

std::string Client::set() {
  const std::string key = any_key();
  const std::uint64_t write = facts_->written[key] = ++writes_;
  const std::string value = value_of(key, write);
  static constexpr std::string_view kTimes[] = {"0", "100", "1000", "2592000", "4000000000"};
  const std::string_view exptime = kTimes[random_.below(4)];
  will_be(key, {.least = write, .gone = false});
  // An unacknowledged write may or may not count: what is read later must allow for both.
  if (random_.one_in(5))
    return fmt::format("set {} 5 {} {} noreply\r\n{}\r\n", key, exptime, value.size(), value);
  expect_change("set " + key, {"STORED"}, key);
  return fmt::format("set {} 5 {} {}\r\n{}\r\n", key, exptime, value.size(), value);
}

// What asks for a longer life than there may be, or for its end.
std::string Client::prolong() {
  const std::string key = any_key();
  const std::string opaque = fmt::format("Ot{}", ++opaques_);
  switch (random_.below(6)) {
    case 0:
      expect_lines("touch " + key, {"TOUCHED", "NOT_FOUND"});
      return fmt::format("touch {} {}\r\n", key, random_.one_in(2) ? "0" : "2000000000");
    case 1:
      expect_lines("mg T " + key, {"HD " + opaque, "EN " + opaque});
      return fmt::format("mg {} T0 {}\r\n", key, opaque);
    case 2:
      expect_lines("ma " + key, {"HD " + opaque, "NF " + opaque,
                                 "CLIENT_ERROR cannot increment or decrement non-numeric value"});
      return fmt::format("ma {} T90000 {}\r\n", key, opaque);
    case 3: {
      const std::string number = key + "#";  // A number that ma makes.
      expect_lines("ma N " + number, {"HD " + opaque});
      return fmt::format("ma {} N0 J5 T{} {}\r\n", number, random_.below(4000), opaque);
    }
    case 4:
      will_be(key, {.least = writes_ + 1, .gone = true});
      expect_change("touch -1 " + key, {"TOUCHED", "NOT_FOUND"}, key);
      return fmt::format("touch {} -1\r\n", key);
    default:
      expect(fmt::format("gat {}", key), [=, this, floor = floor_of(key)](std::string_view& in) {
        return read_get(in, {key}, {floor}, false);
      });
      return fmt::format("gat {} {}\r\n", random_.one_in(2) ? "0" : "3000", key);
  }
}

// Changes in place, of values and of numbers.
std::string Client::change() {
  const std::string key = any_key();
  if (random_.one_in(3)) {
    expect_lines("append " + key, {"STORED", "NOT_STORED"});
    return fmt::format("append {} 0 0 1\r\n+\r\n", key);
  }
  const std::string number = key + "=";
  const std::string opaque = fmt::format("Oc{}", ++opaques_);
  expect("count " + number,
         [=, this](std::string_view& in) { return read_count(in, number, opaque); });
  return fmt::format("ma {} N0 J1 v {}\r\n", number, opaque);
}

std::string Client::get() {
  std::vector<std::string> keys{key_to_read()};
  if (random_.one_in(3)) {
    keys = keys_;
    while (random_.one_in(2)) keys.push_back(key_to_read());
  }
  const bool with_cas = random_.one_in(3);
  const bool touches = random_.one_in(6);
  std::string line = touches ? (with_cas ? "gats 500" : "gat 500") : (with_cas ? "gets" : "get");
  for (const std::string& key : keys) line += " " + key;
  // A line of its own length class: longer than what is served at once.
  if (random_.one_in(40))
    for (int i = 0; i < 700; ++i) line += fmt::format(" miss{}:{}", number_, i);
  expect(line.substr(0, 60), [=, this, floors = floors_of(keys)](std::string_view& in) {
    return read_get(in, keys, floors, with_cas);
  });
  return line + "\r\n";
}

std::string Client::remove() {
  const std::string key = any_key();
  // Writes go on from the last, so that none is taken for one of before the delete.
  will_be(key, {.least = writes_ + 1, .gone = true});
  if (random_.one_in(3)) {
    const std::string opaque = fmt::format("Od{}", ++opaques_);
    expect_change("md " + key, {"HD " + opaque, "NF " + opaque}, key);
    return fmt::format("md {} {}\r\n", key, opaque);
  }
  expect_change("delete " + key, {"DELETED", "NOT_FOUND"}, key);
  return fmt::format("delete {}\r\n", key);
}

std::string Client::meta_set() {
  const std::string key = any_key();
  const std::uint64_t write = facts_->written[key] = ++writes_;
  const std::string value = value_of(key, write);
  const std::string opaque = fmt::format("Os{}", ++opaques_);
  will_be(key, {.least = write, .gone = false});
  expect_change("ms " + key, {fmt::format("HD {} k{}", opaque, key)}, key);
  return fmt::format("ms {} {} {} k{}\r\n{}\r\n", key, value.size(), opaque,
                     random_.one_in(2) ? " T200" : "", value);
}

std::string Client::meta_get() {
  const std::string key = key_to_read();
  const std::string opaque = fmt::format("Og{}", ++opaques_);
  const Floor floor = floor_of(key);
  if (random_.one_in(3)) {
    expect("mg v " + key,
           [=, this](std::string_view& in) { return read_bare_get(in, key, floor); });
    return fmt::format("mg {} v\r\n", key);
  }
  expect("mg " + key,
         [=, this](std::string_view& in) { return read_meta_get(in, key, floor, opaque); });
  return fmt::format("mg {} v f k {} t\r\n", key, opaque);
}

std::string Client::quiet_run() {
  std::string out;
  std::vector<std::string> opaques;
  for (const std::string& key : keys_) {
    opaques.push_back(fmt::format("Oq{}", ++opaques_));
    out += fmt::format("mg {} v f k {} t q\r\n", key, opaques.back());
  }
  expect("quiet run", [=, this, floors = floors_of(keys_)](std::string_view& in) {
    return read_quiet_run(in, opaques, floors);
  });
  return out + "mn\r\n";
}

std::string Client::stats() {
  static constexpr std::string_view kGroups[] = {
      "", "settings", "items", "slabs", "conns", "tokenring", "nodes", "namespaces", "latency"};
  if (random_.one_in(6)) {
    expect_lines("stats reset", {"RESET"});
    return "stats reset\r\n";
  }
  const std::string_view group = kGroups[random_.below(std::size(kGroups))];
  expect(fmt::format("stats {}", group), [this](std::string_view& in) { return read_stats(in); });
  return fmt::format("stats{}{}\r\n", group.empty() ? "" : " ", group);
}

// Its own older values are over for it.
std::string Client::flush_all() {
  const bool may_not = rules_.asks && kind_of(number_) == Kind::kOwner;
  if (!rules_.expires || may_not) return "verbosity 1 noreply\r\n";
  for (const std::string& key : keys_) will_be(key, {.least = writes_ + 1, .gone = true});
  if (random_.one_in(3)) return "flush_all noreply\r\n";
  expect_lines("flush_all", {"OK"});
  return "flush_all\r\n";
}

// Requests that are wrong, refused, or answered by the proxy itself: one exact line each.
std::string Client::odd() {
  const std::string key = any_key();
  switch (random_.below(7)) {
    case 0:
      expect_lines("bogus", {"ERROR"});
      return "bogus command\r\n";
    case 1:
      expect_lines("bad chunk", {"CLIENT_ERROR bad data chunk"});
      expect_lines("residue", {"ERROR"});
      return fmt::format("set {} 0 0 3\r\nabcd\r\n", key);
    case 2:
      expect_lines("long key", {"CLIENT_ERROR bad command line format"});
      return fmt::format("get {} {}\r\n", key, std::string(251, 'x'));
    case 3: {
      const std::size_t size = rules_.value_bytes_max + 1 + random_.below(9000);
      facts_->written[key] = ++writes_;
      will_be(key, {.least = writes_ + 1, .gone = true});
      expect_change("too large", {"SERVER_ERROR object too large for cache"}, key);
      return fmt::format("set {} 0 0 {}\r\n{}\r\n", key, size, std::string(size, 'z'));
    }
    case 4:
      expect_lines("mn", {"MN"});
      return "mn\r\n";
    case 5:
      expect_lines("touch", {"TOUCHED", "NOT_FOUND"});
      return fmt::format("touch {} 300\r\n", key);
    default:
      expect_lines("verbosity", {"OK"});
      return "verbosity 1\r\n";
  }
}

std::string Client::more_requests() {
  std::string out;
  const std::uint64_t count = 1 + random_.below(5);
  for (std::uint64_t i = 0; i < count; ++i) {
    switch (random_.below(17)) {
      case 0:
      case 1:
      case 2:
        out += set();
        break;
      case 3:
      case 4:
      case 5:
        out += get();
        break;
      case 6:
        out += remove();
        break;
      case 7:
        out += meta_set();
        break;
      case 8:
      case 9:
        out += meta_get();
        break;
      case 10:
        out += quiet_run();
        break;
      case 11:
      case 12:
        out += prolong();
        break;
      case 14:
      case 15:
        out += change();
        break;
      case 13:
        out += random_.one_in(2) ? stats() : flush_all();
        break;
      default:
        out += odd();
        break;
    }
  }
  return out;
}

}  // namespace tokenring::sim
