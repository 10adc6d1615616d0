#include "policy/enumeration.hpp"

#include <algorithm>
#include <cmath>

namespace tokenring {

namespace {

constexpr double kLearnedOfWindow = 1.0 / 8;

// How many different keys set so many of the bits (linear counting: Whang et al. 1990).
std::uint64_t keys_of(std::size_t set, std::size_t bits) noexcept {
  const auto all = static_cast<double>(bits);
  const auto clear = static_cast<double>(std::max<std::size_t>(bits - set, 1));
  return static_cast<std::uint64_t>(std::lround(all * std::log(all / clear)));
}

}  // namespace

EnumerationDetector::Subject& EnumerationDetector::subject_of(std::string_view who) noexcept {
  if (const auto found = by_name_.find(who); found != by_name_.end()) {
    subjects_.splice(subjects_.begin(), subjects_, found->second);
    return subjects_.front();
  }
  if (subjects_.size() >= limits_.subjects_max) {
    by_name_.erase(subjects_.back().who);
    subjects_.pop_back();
  }
  subjects_.push_front({.who = std::string(who), .keys = {}, .logins = {}});
  by_name_.emplace(subjects_.front().who, subjects_.begin());
  return subjects_.front();
}

double EnumerationDetector::limit_of(const Course& course, std::uint64_t floor,
                                     std::uint64_t floor_of_new) const noexcept {
  if (!course.has_past) return static_cast<double>(floor_of_new);
  return std::max(static_cast<double>(floor), limits_.times_usual * course.usual);
}

// What was told does not soon become what is usual: a window teaches no more than its limit.
bool EnumerationDetector::begin_window(Course& course, std::uint64_t floor,
                                       std::uint64_t floor_of_new, Instant now) const noexcept {
  if (course.is_open && now < course.began.plus_ms(limits_.window_ms)) return false;
  if (course.is_open) {
    const double seen =
        std::min(static_cast<double>(course.count), limit_of(course, floor, floor_of_new));
    course.usual = course.has_past ? course.usual + (seen - course.usual) * kLearnedOfWindow : seen;
    course.has_past = true;
  }
  course.is_open = true;
  course.began = now;
  course.count = 0;
  course.told = false;
  return true;
}

std::optional<EnumerationDetector::Finding> EnumerationDetector::missed(std::string_view who,
                                                                        std::uint64_t key,
                                                                        Instant now) noexcept {
  Subject& subject = subject_of(who);
  Course& course = subject.keys;
  if (begin_window(course, limits_.keys_floor, limits_.keys_floor_of_new, now)) {
    subject.sketch.assign(kSketchBits / 64, 0);
    subject.sketch_set = 0;
  }
  const std::size_t bit = key % kSketchBits;
  std::uint64_t& word = subject.sketch[bit / 64];
  const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
  if ((word & mask) != 0) return std::nullopt;
  word |= mask;
  course.count = keys_of(++subject.sketch_set, kSketchBits);
  const double limit = limit_of(course, limits_.keys_floor, limits_.keys_floor_of_new);
  if (course.told || static_cast<double>(course.count) <= limit) return std::nullopt;
  course.told = true;
  return Finding{.sign = Sign::kMissedKeys,
                 .count = course.count,
                 .usual = static_cast<std::uint64_t>(std::lround(course.usual))};
}

std::optional<EnumerationDetector::Finding> EnumerationDetector::login_failed(
    std::string_view who, Instant now) noexcept {
  Course& course = subject_of(who).logins;
  begin_window(course, limits_.logins_floor, limits_.logins_floor, now);
  ++course.count;
  const double limit = limit_of(course, limits_.logins_floor, limits_.logins_floor);
  if (course.told || static_cast<double>(course.count) <= limit) return std::nullopt;
  course.told = true;
  return Finding{.sign = Sign::kFailedLogins,
                 .count = course.count,
                 .usual = static_cast<std::uint64_t>(std::lround(course.usual))};
}

}  // namespace tokenring
