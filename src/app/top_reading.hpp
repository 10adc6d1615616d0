// What `tokenring top` takes of /status.json, and what two readings come to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/latency_steps.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

struct NodeReading {
  std::string pool;
  std::string name;
  std::string place;
  std::string state;
  double share = 0;
  std::uint64_t requests = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t response_us = 0;
  std::uint64_t errors = 0;
};

struct SpaceReading {
  std::string name;
  std::string seal;
  std::uint64_t requests = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t failed = 0;
  std::uint64_t unopened = 0;
  std::array<std::uint64_t, kLatencySteps> latency{};
};

struct EventReading {
  std::string what;
  std::string text;
  std::int64_t last_ms = 0;
  std::uint64_t count = 0;
};

struct StatusReading {
  std::string version;
  std::string state;  // What it does, or why it is not ready.
  std::int64_t started_s = 0;
  std::int64_t now_s = 0;
  std::uint64_t workers = 0;
  std::uint64_t clients = 0;
  double cpu_s = 0;
  SpaceReading all = {};  // Of all namespaces; its name is empty.
  std::vector<NodeReading> nodes = {};
  std::vector<SpaceReading> spaces = {};
  std::vector<EventReading> events = {};  // The newest first.
};

// The error is part of a line. What would move a terminal's cursor is not in any text.
[[nodiscard]] Result<StatusReading, std::string> read_status(std::string_view json);

// By how much a count rose in a second; nothing where that is not known.
[[nodiscard]] std::optional<double> rate_of(std::uint64_t now, std::optional<std::uint64_t> before,
                                            double seconds) noexcept;

// Of what was counted between two readings, the time in ns in which `share` of it was answered: an
// upper end of a step, or of all that is longer 0. Nothing: nothing was counted.
[[nodiscard]] std::optional<std::uint64_t> quantile_ns(
    const std::array<std::uint64_t, kLatencySteps>& now,
    const std::array<std::uint64_t, kLatencySteps>& before, double share) noexcept;

}  // namespace tokenring
