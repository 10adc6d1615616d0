// A simulated application: sends requests of every kind and holds each reply against what it may
// be.
//
// Every value names its key and the write it comes from, so that one that was mixed up, cut or made
// up is seen. Keys are written by one client, and read by all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "random.hpp"

namespace tokenring::sim {

// What the world of this seed allows a reply to be. A value that was never written to its key is
// never allowed.
struct Rules {
  bool faults = false;      // Requests may fail.
  bool loses = false;       // What was written may be gone, or come back: a node failed, or keys
                            // moved to another node and back.
  bool expires = false;     // What was written may be gone, but nothing older is seen.
  bool lies = false;        // An error line, which has no opaque, may be another request's.
  bool get_errors = false;  // A failed text get may say SERVER_ERROR; else it says END.
  bool limits = false;      // Clients may be told that there is no room.
  bool asks = false;        // Who a client is decides what it may see and do; see who.hpp.
  std::size_t value_bytes_max = 4096;
  std::uint32_t clients = 1;
};

// What a read of a key must see.
struct Floor {
  std::uint64_t least = 0;  // No write before this one.
  bool gone = true;         // Or nothing at all.
};

// Of all clients' keys, which each is written by one client.
struct Facts {
  std::map<std::string, std::uint64_t> written;  // The youngest write sent.
  std::map<std::string, Floor> acked;            // After the youngest change acknowledged.
};

// No life in the namespace of these keys is longer.
inline constexpr std::string_view kCappedPrefix = "cap:";
inline constexpr std::int64_t kCapS = 60;

class Client {
 public:
  Client(std::uint32_t number, std::uint64_t seed, Rules rules, std::shared_ptr<Facts> facts);

  // Bytes of what says who it is, where that is asked.
  [[nodiscard]] std::string log_in();
  // Bytes of one or more further requests.
  [[nodiscard]] std::string more_requests();
  // Takes what the proxy sent; returns what is wrong with it, or nothing.
  [[nodiscard]] std::string receive(std::string_view bytes);

  [[nodiscard]] std::size_t outstanding() const { return expected_.size(); }
  [[nodiscard]] std::string first_outstanding() const {
    return expected_.empty() ? std::string() : expected_.front().what;
  }
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

 private:
  enum class Verdict { kMore, kDone, kWrong };
  struct Expected {
    std::string what;
    // Reads its reply from the front of the bytes received.
    std::function<Verdict(std::string_view& in)> read;
  };

  void expect(std::string what, std::function<Verdict(std::string_view&)> read);
  void expect_lines(std::string what, std::vector<std::string> lines);
  // The first of `lines` acknowledges the change that was just made to the key.
  void expect_change(std::string what, std::vector<std::string> lines, const std::string& key);
  [[nodiscard]] static std::string value_of(const std::string& key, std::uint64_t write);
  [[nodiscard]] bool is_failure(std::string_view line) const;
  [[nodiscard]] bool may_see(const std::string& key) const;
  // As of what was sent so far by this client, and acknowledged to the others.
  [[nodiscard]] Floor floor_of(const std::string& key);
  [[nodiscard]] std::vector<Floor> floors_of(const std::vector<std::string>& keys);
  // Notes that there will be a value of that number, or none of before it.
  void will_be(const std::string& key, Floor floor) { sent_[key] = floor; }
  [[nodiscard]] Verdict read_line(std::string_view& in, const std::vector<std::string>& lines,
                                  std::string_view& line) const;
  [[nodiscard]] Verdict read_get(std::string_view& in, const std::vector<std::string>& keys,
                                 const std::vector<Floor>& floors, bool with_cas) const;
  [[nodiscard]] Verdict read_value(std::string_view& in, const std::string& key, Floor floor,
                                   std::uint64_t size) const;
  [[nodiscard]] Verdict read_meta_get(std::string_view& in, const std::string& key, Floor floor,
                                      const std::string& opaque) const;
  [[nodiscard]] Verdict read_bare_get(std::string_view& in, const std::string& key,
                                      Floor floor) const;
  [[nodiscard]] Verdict read_quiet_run(std::string_view& in,
                                       const std::vector<std::string>& opaques,
                                       const std::vector<Floor>& floors) const;
  [[nodiscard]] Verdict read_count(std::string_view& in, const std::string& number,
                                   const std::string& opaque);
  [[nodiscard]] Verdict read_stats(std::string_view& in) const;
  [[nodiscard]] bool value_is_possible(const std::string& key, Floor floor,
                                       std::string_view value) const;
  // Another client's, now and then.
  [[nodiscard]] std::string key_to_read();
  [[nodiscard]] const std::string& any_key() { return keys_[random_.below(keys_.size())]; }

  std::string set();
  std::string prolong();
  std::string change();
  std::string get();
  std::string remove();
  std::string meta_set();
  std::string meta_get();
  std::string quiet_run();
  std::string odd();
  std::string stats();
  std::string flush_all();

  std::uint32_t number_;
  Random random_;
  Rules rules_;
  std::vector<std::string> keys_;
  std::shared_ptr<Facts> facts_;
  std::map<std::string, Floor> sent_;  // Of its own keys, when all that was sent is done.
  std::map<std::string, std::uint64_t> counted_;  // Of the numbers that change() raises.
  std::uint64_t writes_ = 0;
  std::uint64_t opaques_ = 0;
  std::deque<Expected> expected_;
  std::string received_;
};

}  // namespace tokenring::sim
