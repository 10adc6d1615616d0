// The admin page's data: what /metrics counts, and the ring, as one JSON document; and what becomes
// of a key. Reads numbers that other threads write; changes nothing.
//
// README has the documents' members. What is no UTF-8 in a name is told with U+FFFD.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/metrics.hpp"
#include "io/recent.hpp"

namespace tokenring {

// So that the document stays bounded, whatever the configuration: of more there are those with the
// most requests, and of nodes first those that are down.
inline constexpr std::size_t kStatusNodesMax = 1024;
inline constexpr std::size_t kStatusSpacesMax = 512;
inline constexpr std::size_t kStatusEventsMax = 100;

// Each node's share of its pool, by backend. Costs a look at every ring, so it is kept for as long
// as the snapshot is the same.
class RingShares {
 public:
  [[nodiscard]] const std::vector<double>& of(const std::shared_ptr<const Snapshot>& snapshot);

 private:
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<double> shares_;
};

// REQUIRES: there is a snapshot.
[[nodiscard]] std::string status_json(const MetricsSource& source,
                                      const std::vector<double>& shares,
                                      const std::vector<RecentEvent>& events);

// `exptime`: decimal, or empty for 0. `error`: set where there is no answer but a reason, which
// does not show the key.
struct WhereAnswer {
  std::string json;
  bool is_error = false;
};
[[nodiscard]] WhereAnswer where_json(const Snapshot& snapshot, std::string_view key,
                                     std::string_view exptime, UnixTime now);

}  // namespace tokenring
