#include "app/top_view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tokenring {

namespace {

constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::size_t kNameMin = 12;

std::string count_text(std::optional<double> value) {
  if (!value) return "-";
  for (const auto& [unit, size] : {std::pair{'G', 1e9}, std::pair{'M', 1e6}, std::pair{'k', 1e3}})
    if (*value >= size * 9.995) return fmt::format("{:.3g}{}", *value / size, unit);
  return *value >= 100 ? fmt::format("{:.0f}", *value) : fmt::format("{:.3g}", *value);
}

std::string share_text(std::optional<double> value) {
  return value ? fmt::format("{:.1f}%", *value * 100) : "-";
}

std::string time_text(std::optional<std::uint64_t> ns) {
  if (!ns) return "-";
  if (*ns == 0) return ">4.3s";
  const auto us = static_cast<double>(*ns) / 1000;
  if (us < 1000) return fmt::format("{:.0f}us", us);
  return us < 1e6 ? fmt::format("{:.3g}ms", us / 1000) : fmt::format("{:.3g}s", us / 1e6);
}

std::string age_text(std::int64_t seconds) {
  for (const auto& [unit, size] :
       {std::pair{"d", 86400}, std::pair{"h", 3600}, std::pair{"min", 60}})
    if (seconds >= 2 * size) return fmt::format("{} {}", seconds / size, unit);
  return fmt::format("{} s", std::max<std::int64_t>(0, seconds));
}

// Characters, and not bytes, of UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string cut(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t n = 0; end < text.size() && n <= width; ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++n > width) break;
  return std::string(text.substr(0, end));
}

// At least as wide as `width`, and cut where it is wider.
std::string left(std::string_view text, std::size_t width) {
  std::string cell = cut(text, width);
  cell.append(width - std::min(width, width_of(cell)), ' ');
  return cell;
}

class Screen {
 public:
  explicit Screen(const TopView& view) : view_(view) {}

  void line(std::string_view text, std::string_view colour = {}) {
    const std::string fits = cut(text, view_.columns);
    if (view_.colours && !colour.empty())
      text_ += fmt::format("{}{}{}\n", colour, fits, kPlain);
    else
      text_ += fits + '\n';
    ++lines_;
  }
  // How many lines there is still room for.
  [[nodiscard]] std::size_t room() const {
    if (view_.rows == 0) return SIZE_MAX;
    return view_.rows > lines_ ? view_.rows - lines_ : 0;
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  const TopView& view_;
  std::string text_;
  std::size_t lines_ = 0;
};

const NodeReading* node_before(const TopView& view, const NodeReading& node) {
  if (view.before == nullptr) return nullptr;
  for (const NodeReading& other : view.before->nodes)
    if (other.pool == node.pool && other.name == node.name && other.place == node.place)
      return &other;
  return nullptr;
}

const SpaceReading* space_before(const TopView& view, const SpaceReading& space) {
  if (view.before == nullptr) return nullptr;
  for (const SpaceReading& other : view.before->spaces)
    if (other.name == space.name) return &other;
  return nullptr;
}

// What two readings of a namespace, or of all, come to.
struct SpaceRates {
  std::optional<double> requests;
  std::optional<double> hits;
  std::optional<double> failed;
  std::optional<std::uint64_t> p50;
  std::optional<std::uint64_t> p99;
};

SpaceRates rates_of(const SpaceReading& now, const SpaceReading* before, double seconds) {
  SpaceRates rates;
  if (before == nullptr) return rates;
  rates.requests = rate_of(now.requests, before->requests, seconds);
  rates.failed = rate_of(now.failed, before->failed, seconds);
  const auto hits = rate_of(now.hits, before->hits, 1);
  const auto misses = rate_of(now.misses, before->misses, 1);
  if (hits && misses && *hits + *misses > 0) rates.hits = *hits / (*hits + *misses);
  rates.p50 = quantile_ns(now.latency, before->latency, 0.5);
  rates.p99 = quantile_ns(now.latency, before->latency, 0.99);
  return rates;
}

void tell_head(const TopView& view, Screen& screen) {
  const StatusReading& now = view.now;
  const SpaceReading* const before = view.before == nullptr ? nullptr : &view.before->all;
  const SpaceRates rates = rates_of(now.all, before, view.seconds);
  const bool is_well = now.state == "serving";
  screen.line(fmt::format("tokenring {}: {}, up {}, {} worker{}, {} clients", now.version,
                          now.state, age_text(now.now_s - now.started_s), now.workers,
                          now.workers == 1 ? "" : "s", now.clients),
              is_well ? kBold : kRed);
  std::string cpu = "-";
  if (before != nullptr && view.seconds > 0)
    cpu = fmt::format("{:.2f}", std::max(0.0, now.cpu_s - view.before->cpu_s) / view.seconds);
  screen.line(
      fmt::format("{} requests/s, {} hits, p50 {}, p99 {}, {} failed/s, {} unopened, {} CPUs",
                  count_text(rates.requests), share_text(rates.hits), time_text(rates.p50),
                  time_text(rates.p99), count_text(rates.failed), now.all.unopened, cpu));
}

std::size_t name_width(const TopView& view, std::size_t others) {
  return std::max(kNameMin, view.columns - std::min(view.columns, others));
}

void tell_nodes(const TopView& view, std::size_t lines, Screen& screen) {
  std::vector<const NodeReading*> nodes;
  bool pools_differ = false;
  for (const NodeReading& node : view.now.nodes) {
    nodes.push_back(&node);
    pools_differ |= node.pool != view.now.nodes.front().pool;
  }
  // Those with trouble first, then by share.
  std::stable_sort(nodes.begin(), nodes.end(), [](const NodeReading* a, const NodeReading* b) {
    if ((a->state == "up") != (b->state == "up")) return b->state == "up";
    return a->share > b->share;
  });
  const std::size_t name = name_width(view, 60);
  screen.line("");
  screen.line(fmt::format("{} {:<8}{:>8}{:>12}{:>11}{:>11}{:>9}", left("NODE", name), "STATE",
                          "SHARE", "REQUESTS/S", "IN FLIGHT", "ANSWERS", "ERRORS"),
              kBold);
  const std::size_t shown = std::min(nodes.size(), lines);
  for (std::size_t i = 0; i < shown; ++i) {
    const NodeReading& node = *nodes[i];
    const NodeReading* const before = node_before(view, node);
    std::string title = pools_differ ? node.pool + "/" + node.name : node.name;
    if (node.place != node.name) title += " (" + node.place + ")";
    const auto rate =
        rate_of(node.requests, before == nullptr ? std::nullopt : std::optional(before->requests),
                view.seconds);
    screen.line(fmt::format("{} {:<8}{:>8}{:>12}{:>11}{:>11}{:>9}", left(title, name), node.state,
                            share_text(node.share), count_text(rate), node.in_flight,
                            node.state == "down"
                                ? "-"
                                : time_text(std::max<std::uint64_t>(1, node.response_us * 1000)),
                            node.errors),
                node.state == "up" ? "" : kRed);
  }
  if (shown < nodes.size()) screen.line(fmt::format("({} more)", nodes.size() - shown));
}

void tell_spaces(const TopView& view, std::size_t lines, Screen& screen) {
  std::vector<std::pair<const SpaceReading*, SpaceRates>> spaces;
  for (const SpaceReading& space : view.now.spaces)
    spaces.emplace_back(&space, rates_of(space, space_before(view, space), view.seconds));
  std::stable_sort(spaces.begin(), spaces.end(), [](const auto& a, const auto& b) {
    return a.second.requests.value_or(0) > b.second.requests.value_or(0);
  });
  const std::size_t name = name_width(view, 60);
  screen.line("");
  screen.line(fmt::format("{} {:<8}{:>12}{:>8}{:>9}{:>9}{:>10}", left("NAMESPACE", name), "SEAL",
                          "REQUESTS/S", "HITS", "P50", "P99", "FAILED/S"),
              kBold);
  const std::size_t shown = std::min(spaces.size(), lines);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& [space, rates] = spaces[i];
    const bool has_trouble = space->unopened > 0 || rates.failed.value_or(0) > 0;
    screen.line(
        fmt::format("{} {:<8}{:>12}{:>8}{:>9}{:>9}{:>10}{}", left(space->name, name), space->seal,
                    count_text(rates.requests), share_text(rates.hits), time_text(rates.p50),
                    time_text(rates.p99), count_text(rates.failed),
                    space->unopened > 0 ? fmt::format("  {} unopened", space->unopened) : ""),
        has_trouble ? kRed : "");
  }
  if (shown < spaces.size()) screen.line(fmt::format("({} more)", spaces.size() - shown));
}

void tell_events(const TopView& view, Screen& screen) {
  if (view.now.events.empty() || screen.room() < 3) return;
  screen.line("");
  screen.line("RECENT TROUBLE", kBold);
  for (const EventReading& event : view.now.events) {
    if (screen.room() == 0) return;
    screen.line(fmt::format("{:>6} ago  {}: {}{}", age_text(view.now.now_s - event.last_ms / 1000),
                            event.what, event.text,
                            event.count > 1 ? fmt::format(" ({} times)", event.count) : ""));
  }
}

}  // namespace

std::string top_screen(const TopView& view) {
  Screen screen(view);
  tell_head(view, screen);
  constexpr std::size_t kAroundTables = 9;  // Their heads, what is left out, and some trouble.
  const std::size_t nodes = view.now.nodes.size();
  const std::size_t spaces = view.now.spaces.size();
  if (view.rows == 0) {
    tell_nodes(view, nodes, screen);
    tell_spaces(view, spaces, screen);
  } else {
    // Half of the room each, and to one what the other leaves of its own.
    const std::size_t room =
        std::max<std::size_t>(kAroundTables + 2, screen.room()) - kAroundTables;
    const std::size_t for_nodes =
        std::min(nodes, std::max(room / 2, room - std::min(room, spaces)));
    tell_nodes(view, for_nodes, screen);
    tell_spaces(view, room - for_nodes, screen);
  }
  tell_events(view, screen);
  return screen.take();
}

}  // namespace tokenring
