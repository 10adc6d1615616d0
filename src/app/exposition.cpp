#include "app/exposition.hpp"

#include <fmt/format.h>

#include <array>

#include "base/assert.hpp"

namespace tokenring {

namespace {

constexpr std::array<std::string_view, 3> kTypeNames = {"counter", "gauge", "histogram"};

// The bytes of the UTF-8 sequence that `text` begins with (RFC 3629, 4); 0: it begins with none.
std::size_t sequence_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF0 ? 4 : (first >= 0xE0 ? 3 : 2);
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const bool is_overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool is_beyond = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return is_overlong || is_beyond ? 0 : size;
}

void append_label_value(std::string& text, std::string_view value) {
  while (!value.empty()) {
    const std::size_t size = sequence_size(value);
    const std::string_view piece = value.substr(0, size);
    if (size == 0)
      text += '?';
    else if (piece == "\n")
      text += "\\n";
    else if (piece == "\\" || piece == "\"")
      text.append("\\").append(piece);
    else
      text += piece;
    value.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                       kTypeNames[static_cast<std::size_t>(type)]);
}

void Exposition::begin_sample(std::string_view suffix, Labels labels, std::string_view le) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  const auto add = [&](std::string_view name, std::string_view value) {
    text_ += before;
    text_.append(name).append("=\"");
    append_label_value(text_, value);
    text_ += '"';
    before = ',';
  };
  for (const Label& label : labels)
    if (!label.name.empty()) add(label.name, label.value);
  if (!le.empty()) add("le", le);
  text_ += before == ',' ? "} " : " ";
}

void Exposition::sample(Labels labels, std::uint64_t value) {
  begin_sample({}, labels);
  text_ += fmt::format("{}\n", value);
}

void Exposition::sample(Labels labels, double value) {
  begin_sample({}, labels);
  text_ += fmt::format("{}\n", value);
}

void Exposition::histogram(Labels labels, std::span<const double> bounds,
                           std::span<const std::uint64_t> counts, double sum) {
  TR_ASSERT(counts.size() == bounds.size() + 1);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    begin_sample("_bucket", labels, i < bounds.size() ? fmt::to_string(bounds[i]) : "+Inf");
    text_ += fmt::format("{}\n", below);
  }
  begin_sample("_sum", labels);
  text_ += fmt::format("{}\n", sum);
  begin_sample("_count", labels);
  text_ += fmt::format("{}\n", below);
}

}  // namespace tokenring
