#include "transcript.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tokenring::test {

namespace {

std::string unescaped(std::string_view text);

// `\{x*300}`: x three hundred times; `\{now+5}`: a date. `at` stands behind the brace and is moved
// behind the other.
std::string repeated(std::string_view text, std::size_t& at) {
  static constexpr std::string_view kNow = "now+";
  const std::size_t star = text.find('*', at);
  const std::size_t close = text.find('}', at);
  if (close != std::string_view::npos && text.substr(at).starts_with(kNow)) {
    at += kNow.size();
    const std::string seconds(text.substr(at, close - at));
    at = close + 1;
    return std::to_string(kTranscriptNow + std::stol(seconds));
  }
  if (star > close || close == std::string_view::npos) throw std::runtime_error("bad repetition");
  const std::string unit = unescaped(std::string(text.substr(at, star - at)) + '\\');
  const std::size_t count = std::stoul(std::string(text.substr(star + 1, close - star - 1)));
  at = close + 1;
  std::string out;
  out.reserve(unit.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += unit;
  return out;
}

// A line's bytes. CR LF is added unless the line ends in an escape that says otherwise.
std::string unescaped(std::string_view text) {
  std::string out;
  bool ended = false;
  for (std::size_t i = 0; i < text.size();) {
    ended = false;
    if (text[i] != '\\') {
      out += text[i++];
      continue;
    }
    if (i + 1 == text.size()) return out;  // A last backslash: no CR LF here.
    const char escape = text[i + 1];
    i += 2;
    switch (escape) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        ended = i == text.size();
        break;
      case '\\':
        out += '\\';
        break;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
        i += 2;
        break;
      case '{':
        out += repeated(text, i);
        break;
      default:
        throw std::runtime_error("unknown escape");
    }
  }
  return ended ? out : out + "\r\n";
}

Step::Kind kind_named(std::string_view word) {
  static const std::map<std::string_view, Step::Kind> kKinds = {
      {"close", Step::Kind::kClose},   {"end", Step::Kind::kEnd},
      {"eof", Step::Kind::kEof},       {"refuse", Step::Kind::kRefuse},
      {"accept", Step::Kind::kAccept}, {"version", Step::Kind::kVersion}};
  const auto found = kKinds.find(word);
  if (found == kKinds.end()) throw std::runtime_error("unknown step");
  return found->second;
}

// `C2> get a`, `B0 close`, `B1 version 1.5.22`.
Step read_peer_step(std::string_view line) {
  Step step;
  step.node = line[0] == 'B';
  std::size_t at = 1;
  step.index = step.node ? 0 : 1;
  if (at < line.size() && std::isdigit(static_cast<unsigned char>(line[at])) != 0)
    step.index = static_cast<unsigned>(line[at++] - '0');
  if (at == line.size()) throw std::runtime_error("unknown step");
  if (line[at] == ' ') {
    const std::string_view rest = line.substr(at + 1);
    const std::size_t blank = std::min(rest.find(' '), rest.size());
    step.kind = kind_named(rest.substr(0, blank));
    step.bytes = rest.substr(std::min(blank + 1, rest.size()));
    return step;
  }
  const bool towards_proxy = (line[at] == '>') != step.node;
  step.kind = towards_proxy ? Step::Kind::kSend : Step::Kind::kExpect;
  step.bytes = unescaped(line.substr(std::min(at + 2, line.size())));
  return step;
}

void read_line(std::string_view line, unsigned number, Transcript& transcript) {
  if (line.empty() || line[0] == '#') return;
  Step step;
  if (line.starts_with("nodes ")) {
    transcript.nodes = static_cast<unsigned>(std::stoul(std::string(line.substr(6))));
    return;
  }
  if (line.starts_with("set ")) {
    const std::string_view rest = line.substr(4);
    const std::size_t blank = rest.find(' ');
    if (blank == std::string_view::npos) throw std::runtime_error("a setting needs a value");
    transcript.settings[std::string(rest.substr(0, blank))] = rest.substr(blank + 1);
    return;
  }
  if (line.starts_with("wait ")) {
    step.kind = Step::Kind::kWait;
    step.ms = std::stol(std::string(line.substr(5)));
  } else if (line[0] == 'C' || line[0] == 'B') {
    step = read_peer_step(line);
  } else if (line != "turn") {
    throw std::runtime_error("unknown line");
  }
  step.line = number;
  transcript.steps.push_back(std::move(step));
}

bool is_opaque_mark(std::string_view pattern, std::size_t at) {
  return pattern.size() - at >= 3 && pattern[at] == 'O' && pattern[at + 1] == '@';
}

}  // namespace

Transcript read_transcript(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  Transcript transcript;
  transcript.name = std::filesystem::path(path).stem().string();
  unsigned number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    try {
      read_line(line, number, transcript);
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  return transcript;
}

std::vector<Transcript> read_transcripts(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".wire") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::vector<Transcript> transcripts;
  for (const std::string& path : paths) transcripts.push_back(read_transcript(path));
  return transcripts;
}

std::optional<std::string> fill_in(std::string_view pattern, const Opaques& opaques) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_opaque_mark(pattern, i)) {
      out += pattern[i];
      continue;
    }
    const auto found = opaques.find(pattern[i + 2]);
    if (found == opaques.end()) return std::nullopt;
    out += found->second;
    i += 2;
  }
  return out;
}

std::optional<std::size_t> match(std::string_view pattern, std::string_view text,
                                 Opaques& opaques) {
  std::size_t at = 0;
  Opaques bound = opaques;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_opaque_mark(pattern, i)) {
      if (at == text.size() || text[at++] != pattern[i]) return std::nullopt;
      continue;
    }
    const std::string word(text.substr(at, 5));
    if (word.size() != 5 || word[0] != 'O' || word.find(' ') != std::string::npos)
      return std::nullopt;
    if (bound.emplace(pattern[i + 2], word).first->second != word) return std::nullopt;
    at += 5;
    i += 2;
  }
  opaques = std::move(bound);
  return at;
}

std::string shown(std::string_view bytes) {
  static constexpr std::size_t kShownMax = 300;
  std::string out;
  for (const char c : bytes.substr(0, kShownMax)) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~') {
      static constexpr std::string_view kHex = "0123456789abcdef";
      out += "\\x";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  if (bytes.size() > kShownMax) out += "... (" + std::to_string(bytes.size()) + " bytes)";
  return out;
}

}  // namespace tokenring::test
