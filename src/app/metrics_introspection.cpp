// Metrics of introspection endpoints.

#include <array>

#include "app/metrics.hpp"

namespace tokenring {

namespace {

using Type = Exposition::Type;

// What is of the moment; all other tallies are outcomes of questions.
struct GaugeRow {
  IntrospectionTally tally;
  std::string_view family;
  std::string_view help;
};
constexpr std::array kGauges{
    GaugeRow{IntrospectionTally::kInFlight, "tokenring_introspection_in_flight",
             "Requests that the endpoint owes an answer."},
    GaugeRow{IntrospectionTally::kWaiting, "tokenring_introspection_waiting",
             "Questions that wait, for concurrent_max is reached."},
    GaugeRow{IntrospectionTally::kBreakerOpen, "tokenring_introspection_breaker_open",
             "1 while the endpoint is not asked, for it has failed."},
};

}  // namespace

void tell_introspections(const Snapshot& snapshot, Exposition& out) {
  if (snapshot.tallies == nullptr || snapshot.introspections.empty()) return;
  const IntrospectionTallies& tallies = snapshot.tallies->introspections;
  for (const GaugeRow& row : kGauges) {
    out.family(row.family, Type::kGauge, row.help);
    for (std::size_t n = 0; n < snapshot.introspections.size(); ++n)
      out.sample({{"endpoint", snapshot.introspections[n]->name}}, tallies.sum(n, row.tally));
  }
  out.family("tokenring_introspections_total", Type::kCounter,
             "Questions of what no node had, by what came of them.");
  for (std::size_t i = kGauges.size(); i < kIntrospectionTallyNames.size(); ++i)
    for (std::size_t n = 0; n < snapshot.introspections.size(); ++n)
      out.sample(
          {{"endpoint", snapshot.introspections[n]->name}, {"result", kIntrospectionTallyNames[i]}},
          tallies.sum(n, i));
}

}  // namespace tokenring
