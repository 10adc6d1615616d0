// EnumerationDetector: notices who asks for far more keys that are not there, or fails to log in
// far more often, than he usually does. That is how tokens and passwords are guessed.
//
// It draws no conclusion from one key: what counts is how many different ones were missed in a
// window, held against the same one's earlier windows. It knows of keys only 64 bits of a keyed
// hash, and reads no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenring/units.hpp"

namespace tokenring {

struct EnumerationLimits {
  std::int64_t window_ms = 60'000;
  double times_usual = 10;                  // Beyond that it is told,
  std::uint64_t keys_floor = 100;           // but not below so many keys,
  std::uint64_t keys_floor_of_new = 1'000;  // or so many where there is no earlier window.
  std::uint64_t logins_floor = 20;
  std::size_t subjects_max = 4'096;  // The one that was quiet longest is forgotten.
};

class EnumerationDetector {
 public:
  enum class Sign : std::uint8_t { kMissedKeys, kFailedLogins };

  struct Finding {
    Sign sign = Sign::kMissedKeys;
    std::uint64_t count = 0;  // In this window, so far. Of keys: about.
    std::uint64_t usual = 0;  // In an earlier one; 0: none is known.
  };

  explicit EnumerationDetector(EnumerationLimits limits = {}) : limits_(limits) {}
  EnumerationDetector(const EnumerationDetector&) = delete;
  EnumerationDetector& operator=(const EnumerationDetector&) = delete;

  // `who` asked for a key that was not there; `key` is a hash of it, even in all its bits. A
  // finding at most once for each window, sign and who.
  std::optional<Finding> missed(std::string_view who, std::uint64_t key, Instant now) noexcept;
  std::optional<Finding> login_failed(std::string_view who, Instant now) noexcept;

  [[nodiscard]] std::size_t subject_count() const noexcept { return subjects_.size(); }

 private:
  // Different keys are told apart by so many bits, of which each key sets one: beyond some 20,000
  // keys it is as good as counting no further.
  static constexpr std::size_t kSketchBits = 4'096;

  // One sign of one subject, window by window. Those in which nothing happened are not counted.
  struct Course {
    Instant began;
    std::uint64_t count = 0;
    double usual = 0;  // A moving average.
    bool is_open = false;
    bool has_past = false;
    bool told = false;
  };
  struct Subject {
    std::string who;
    Course keys;
    Course logins;
    std::vector<std::uint64_t> sketch = {};  // Of this window's keys.
    std::size_t sketch_set = 0;
  };

  [[nodiscard]] Subject& subject_of(std::string_view who) noexcept;
  // Opens a window where the last one is over; true: it did.
  bool begin_window(Course& course, std::uint64_t floor, std::uint64_t floor_of_new,
                    Instant now) const noexcept;
  [[nodiscard]] double limit_of(const Course& course, std::uint64_t floor,
                                std::uint64_t floor_of_new) const noexcept;

  EnumerationLimits limits_;
  std::list<Subject> subjects_;  // The one heard of last is the first.
  std::unordered_map<std::string_view, std::list<Subject>::iterator> by_name_;
};

}  // namespace tokenring
