// The same bytes in other pieces come to the same: requests, replies and the embedded node, over
// all transcripts and fuzzing inputs, cut at each position, at pairs of them, byte by byte, and at
// random.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "../sim/random.hpp"
#include "../wire/player.hpp"
#include "store/embedded_node.hpp"
#include "tokenring/parse.hpp"
#include "wire/drained.hpp"

using namespace tokenring;
using namespace tokenring::test;

namespace {

struct Input {
  std::string name;
  std::string bytes;
};

std::vector<Input> corpus(const std::string& name) {
  std::vector<Input> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(TOKENRING_CORPORA "/" + name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.push_back(
        {entry.path().filename().string(), {std::istreambuf_iterator<char>(file), {}}});
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const Input& a, const Input& b) { return a.name < b.name; });
  return inputs;
}

const std::vector<Transcript>& transcripts() {
  static const std::vector<Transcript> all = read_transcripts(TOKENRING_TRANSCRIPTS);
  return all;
}

// What the first client says in each transcript, and the corpus of requests.
std::vector<Input> client_inputs() {
  std::vector<Input> inputs = corpus("request");
  for (const Transcript& transcript : transcripts()) {
    Input input{transcript.name, {}};
    for (const Step& step : transcript.steps)
      if (!step.node && step.kind == Step::Kind::kSend) input.bytes += step.bytes;
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// Where to cut, in order.
using Cuts = std::vector<std::size_t>;

Pieces pieces_at(const Cuts& cuts) {
  return [cuts](std::size_t at) {
    const auto next = std::upper_bound(cuts.begin(), cuts.end(), at);
    return next == cuts.end() ? SIZE_MAX : *next - at;
  };
}

// Each position of a short text; of a longer one those near its line ends, and some more.
Cuts positions_in(std::string_view text) {
  static constexpr std::size_t kShort = 120;
  static constexpr std::size_t kMost = 120;
  Cuts all;
  const std::size_t stride = text.size() / 50 + 1;
  for (std::size_t at = 1; at < text.size(); ++at) {
    const std::string_view around = text.substr(at - std::min<std::size_t>(at, 2), 4);
    if (text.size() <= kShort || at % stride == 0 ||
        (all.size() < kMost && around.find('\n') != std::string_view::npos))
      all.push_back(at);
  }
  return all;
}

// Calls f with each way to cut `text`.
void for_each_chunking(std::string_view text, const std::function<void(const Cuts&)>& f) {
  static constexpr std::size_t kPairsUpTo = 32;
  static constexpr std::size_t kBytewiseUpTo = 20'000;
  static constexpr std::uint64_t kSeeds = 10;
  for (const std::size_t at : positions_in(text)) f({at});
  if (text.size() <= kPairsUpTo)
    for (std::size_t i = 1; i < text.size(); ++i)
      for (std::size_t j = i + 1; j < text.size(); ++j) f({i, j});
  Cuts all;
  for (std::size_t at = 1; at < std::min(text.size(), kBytewiseUpTo); ++at) all.push_back(at);
  f(all);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    sim::Random random(seed);
    const std::size_t most = std::max<std::size_t>(text.size() / (1 + random.below(30)), 2);
    Cuts cuts;
    for (std::size_t at = 1 + random.below(most); at < text.size(); at += 1 + random.below(most))
      cuts.push_back(at);
    f(cuts);
  }
}

// A store's memory, for it is not small to set up a large one.
std::size_t room_for(std::string_view text) {
  return std::max<std::size_t>(128 << 10, 4 * text.size());
}

// ---- A client's bytes, through the engine to embedded nodes and back.

// What came of it. The counters in a reply to stats hang on the pieces.
struct Outcome {
  std::string received;
  bool gone = false;
  std::vector<std::uint64_t> items = {};
  std::vector<std::uint64_t> bytes = {};
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::string without_stats(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    if (!text.starts_with("STAT ")) out += text.substr(0, end);
    text.remove_prefix(end);
  }
  return out;
}

class Service {
 public:
  // `text`: what will be asked, for the nodes to have room for it.
  explicit Service(std::string_view text)
      : rig_({.nodes = 2, .pool = {.on_failure = OnFailure::kError}}) {
    for (int i = 0; i < 2; ++i)
      nodes_.push_back(std::make_unique<EmbeddedNode>(StoreOptions{.bytes_max = room_for(text)}));
  }

  // `turns`: what was asked so far is answered between two pieces.
  Outcome run(std::string_view text, const Cuts& cuts, bool turns) {
    rig_.cut_nodes(pieces_at(cuts));
    const Pieces pieces = pieces_at(cuts);
    for (std::size_t at = 0; at < text.size() && !rig_.client(1).gone;) {
      const std::size_t n = std::min(pieces(at), text.size() - at);
      rig_.client_send(1, text.substr(at, n));
      at += n;
      if (turns) answer();
    }
    answer();
    Outcome outcome{without_stats(rig_.client(1).all_inbox), rig_.client(1).gone};
    for (const auto& node : nodes_) {
      outcome.items.push_back(node->stats().store.items);
      outcome.bytes.push_back(node->stats().store.bytes);
    }
    return outcome;
  }
  // All that node `index` was sent.
  [[nodiscard]] const std::string& sent_to(unsigned index) {
    return rig_.node(index).connections.back();
  }

 private:
  void answer() {
    rig_.turn();
    for (bool busy = true; busy;) {
      busy = false;
      for (unsigned i = 0; i < nodes_.size(); ++i) busy |= serve(i);
      rig_.turn();
    }
  }
  bool serve(unsigned index) {
    NodePeer& peer = rig_.node(index);
    OutQueue replies;
    peer.inbox.erase(
        0, nodes_[index]->serve(states_[index], peer.inbox, rig_.now().unix_time, replies, pool_));
    const std::string text = drained(replies);
    rig_.node_send(index, text);
    return !text.empty();
  }

  BufferPool pool_;
  Rig rig_;
  std::vector<std::unique_ptr<EmbeddedNode>> nodes_;
  std::array<EmbeddedNode::Link, 2> states_;
};

// ---- The embedded node alone.

std::string node_replies(std::string_view text, const Cuts& cuts) {
  EmbeddedNode node({.bytes_max = room_for(text)});
  BufferPool pool;
  const Pieces pieces = pieces_at(cuts);
  std::string unserved;
  std::string replies;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = std::min(pieces(at), text.size() - at);
    unserved += text.substr(at, n);
    at += n;
    OutQueue out;
    while (const std::size_t done = node.serve(unserved, {1'790'000'000}, out, pool))
      unserved.erase(0, done);
    replies += drained(out);
  }
  REQUIRE(node.consistent());
  return replies;
}

// Says the first difference of two texts.
std::string difference(std::string_view a, std::string_view b) {
  const auto at = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  const std::size_t from = at - std::min<std::size_t>(at, 40);
  return "at " + std::to_string(at) + ": " + shown(a.substr(from, 80)) + "\n  or " +
         shown(b.substr(from, 80));
}

// What a node is sent hangs on the pieces where a number is changed (what comes in a later input
// than a read has an mn in front), and where a get is served as it comes.
bool hangs_on_pieces(const Transcript& transcript) {
  return std::any_of(transcript.steps.begin(), transcript.steps.end(), [](const Step& step) {
    const std::string_view text = step.bytes;
    return !step.node && (text.find("ma ") != text.npos || text.find("cr ") != text.npos ||
                          (text.size() > kLineBytesMax && text.find('\n') == text.npos));
  });
}

}  // namespace

TEST_CASE("the start of a reply is incomplete, or already what the whole is") {
  for (const Input& input : corpus("reply")) {
    CAPTURE(input.name);
    std::string_view rest = input.bytes;
    while (!rest.empty()) {
      Reply whole;
      const ParsedReply parsed = parse_reply(rest, 1 << 20, whole);
      for (std::size_t n = 0; n < rest.size(); ++n) {
        Reply reply;
        const ParsedReply part = parse_reply(rest.substr(0, n), 1 << 20, reply);
        if (part.kind == ParsedReply::Kind::kIncomplete) {
          REQUIRE(part.needed > n);
          if (parsed.kind == ParsedReply::Kind::kReply) REQUIRE(part.needed <= parsed.consumed);
          continue;
        }
        REQUIRE(part.kind == parsed.kind);
        if (part.kind == ParsedReply::Kind::kMalformed) break;
        REQUIRE(part.consumed == parsed.consumed);
        REQUIRE(reply.code == whole.code);
        REQUIRE(reply.value == whole.value);
        REQUIRE(reply.rest == whole.rest);
        break;
      }
      if (parsed.kind != ParsedReply::Kind::kReply) break;
      rest.remove_prefix(parsed.consumed);
    }
  }
}

TEST_CASE("a client's bytes come to the same in whatever pieces") {
  for (const Input& input : client_inputs()) {
    CAPTURE(input.name);
    const Outcome whole = Service(input.bytes).run(input.bytes, {}, true);
    for_each_chunking(input.bytes, [&](const Cuts& cuts) {
      CAPTURE(cuts.front());
      CAPTURE(cuts.size());
      for (const bool turns : {true, false}) {
        const Outcome outcome = Service(input.bytes).run(input.bytes, cuts, turns);
        REQUIRE_MESSAGE(outcome == whole, difference(whole.received, outcome.received));
      }
    });
  }
}

TEST_CASE("the embedded node's replies are the same in whatever pieces it is asked") {
  for (const Input& input : client_inputs()) {
    CAPTURE(input.name);
    Service service(input.bytes);
    static_cast<void>(service.run(input.bytes, {}, true));
    for (const std::string& text : {input.bytes, service.sent_to(0), service.sent_to(1)}) {
      const std::string whole = node_replies(text, {});
      for_each_chunking(text, [&](const Cuts& cuts) {
        const std::string replies = node_replies(text, cuts);
        REQUIRE_MESSAGE(replies == whole, difference(whole, replies));
      });
    }
  }
}

TEST_CASE("transcripts say the same when nodes and clients speak in pieces") {
  for (const Transcript& transcript : transcripts()) {
    CAPTURE(transcript.name);
    std::string longest;
    std::string run;
    for (const Step& step : transcript.steps) {
      run = step.kind == Step::Kind::kSend ? run + step.bytes : std::string();
      if (run.size() > longest.size()) longest = run;
    }
    const bool cut_clients = !hangs_on_pieces(transcript);
    for_each_chunking(longest, [&](const Cuts& cuts) {
      CAPTURE(cuts.front());
      CAPTURE(cuts.size());
      Player player(transcript);
      player.rig().cut_nodes(pieces_at(cuts));
      if (cut_clients) player.rig().cut_clients(pieces_at(cuts));
      std::optional<std::string> wrong;
      for (std::size_t i = 0; i < transcript.steps.size() && !wrong; ++i) wrong = player.play(i);
      if (!wrong) wrong = player.finish();
      REQUIRE_MESSAGE(!wrong, wrong.value_or(""));
    });
  }
}
