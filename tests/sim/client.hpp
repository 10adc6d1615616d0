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

// What the world of this seed allows a reply to be.
struct Rules {
  bool faults = false;          // Requests may fail, and what was written may be gone or old.
  bool failure_is_miss = true;  // A failed text get says END; else SERVER_ERROR.
  std::size_t value_bytes_max = 4096;
  std::uint32_t clients = 1;
};

// Youngest write sent, by key, of all clients.
using Written = std::map<std::string, std::uint64_t>;

// No life in the namespace of these keys is longer.
inline constexpr std::string_view kCappedPrefix = "cap:";
inline constexpr std::int64_t kCapS = 60;

class Client {
 public:
  Client(std::uint32_t number, std::uint64_t seed, Rules rules, std::shared_ptr<Written> written);

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
  void expect_lines(std::string what, std::vector<std::string> lines, std::string key,
                    std::uint64_t write);
  [[nodiscard]] std::string value_of(const std::string& key, std::uint64_t write) const;
  [[nodiscard]] bool value_is_possible(const std::string& key, std::string_view value);
  [[nodiscard]] Verdict read_get(std::string_view& in, std::vector<std::string> keys,
                                 bool with_cas);
  [[nodiscard]] Verdict read_meta_get(std::string_view& in, const std::string& key,
                                      const std::string& opaque);
  // Another client's, now and then.
  [[nodiscard]] std::string key_to_read();
  [[nodiscard]] bool may_be_gone(const std::string& key) {
    return rules_.faults || acked_[key] == 0 || key.starts_with(kCappedPrefix);
  }
  [[nodiscard]] const std::string& any_key() { return keys_[random_.below(keys_.size())]; }

  std::string set();
  std::string prolong();
  std::string get();
  std::string remove();
  std::string meta_set();
  std::string meta_get();
  std::string quiet_run();
  std::string odd();

  std::uint32_t number_;
  Random random_;
  Rules rules_;
  std::vector<std::string> keys_;
  std::shared_ptr<Written> written_;
  std::map<std::string, std::uint64_t> acked_;  // Youngest write acknowledged; 0 after a delete.
  std::map<std::string, std::uint64_t> ended_;  // Youngest write that an acknowledged delete ended.
  std::uint64_t writes_ = 0;
  std::uint64_t opaques_ = 0;
  std::deque<Expected> expected_;
  std::string received_;
};

}  // namespace tokenring::sim
