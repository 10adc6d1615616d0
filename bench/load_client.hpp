// One simulated client: composes requests, reads replies, and checks that each value answered
// belongs to its key. No I/O: bytes go in and out of its two buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace tokenring::bench {

struct Workload {
  std::string prefix = "load:";
  std::uint32_t keys = 20000;  // Distinct keys, drawn uniformly.
  std::uint32_t sets = 1;      // Of every sets + gets requests, in this order.
  std::uint32_t gets = 10;
  std::uint32_t keys_per_get = 1;
  std::size_t value_bytes = 100;
  bool fill = false;  // Set every key once, in order.

  // A value is its key, cut or padded to value_bytes with bytes shared by all values.
  [[nodiscard]] std::string key(std::uint32_t number) const;
  [[nodiscard]] bool belongs(std::string_view key, std::string_view value) const noexcept;
  void append_value(std::string_view key, std::string& out) const;
  // REQUIRES: called once value_bytes is final.
  void prepare();

 private:
  std::string padding_;
};

// What happened so far, over all clients.
struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t errors = 0;  // Error lines answered.
  std::uint64_t wrong = 0;   // Replies that are not what was asked for: never acceptable.
  std::string first_error;
};

class Client {
 public:
  // `workload` and `tally` must outlive the client. `fill_next` is shared by the clients.
  Client(const Workload& workload, Tally& tally, std::uint32_t& fill_next, std::uint64_t seed);

  // Appends the next request to `output`; false when a fill has no key left.
  bool compose(std::uint64_t due_ns);
  // Takes one whole reply off the front of `input`: its due_ns, or 0 when more bytes are needed.
  std::uint64_t take_reply();
  [[nodiscard]] std::size_t in_flight() const noexcept { return pending_.size(); }

  std::string input;
  std::size_t input_begin = 0;  // What comes before was taken.
  std::string output;
  std::size_t output_begin = 0;  // What comes before was sent.

 private:
  struct Pending {
    std::uint64_t due_ns = 0;
    std::vector<std::uint32_t> keys;  // Empty for a set.
  };

  void compose_set(std::uint32_t number);
  bool read_get(std::string_view in, const Pending& request, std::size_t& used);
  bool read_line(std::string_view in, std::string_view expected, std::size_t& used);
  void count_line(std::string_view line);

  const Workload& workload_;
  Tally& tally_;
  std::uint32_t& fill_next_;
  std::mt19937_64 random_;
  std::uint32_t turn_ = 0;
  std::deque<Pending> pending_;
};

}  // namespace tokenring::bench
