// Every transcript, played against the engine in process; then again with a cut at every step.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "grammar.hpp"
#include "player.hpp"

using namespace tokenring;
using namespace tokenring::test;

namespace {

const std::vector<Transcript>& transcripts() {
  static const std::vector<Transcript> all = read_transcripts(TOKENRING_TRANSCRIPTS);
  return all;
}

bool for_engine(const Transcript& transcript) {
  const auto runner = transcript.settings.find("runner");
  return runner == transcript.settings.end() || runner->second != "sockets";
}

// What a cut does to a rig in the middle of a transcript.
struct Cut {
  std::string name;
  std::function<void(Rig&)> make;
  bool goes_on = true;  // The rest of the transcript follows; else only time passes.
};

std::vector<Cut> cuts_of(const Transcript& transcript) {
  std::vector<Cut> cuts;
  for (const bool goes_on : {true, false}) {
    const std::string more = goes_on ? ", the rest goes on" : ", nobody says more";
    cuts.push_back({"C1 leaves" + more, [](Rig& rig) { rig.client_close(1); }, goes_on});
    cuts.push_back({"C1 ends" + more, [](Rig& rig) { rig.client_end(1); }, goes_on});
    for (unsigned node = 0; node < transcript.nodes; ++node) {
      const std::string name = "B" + std::to_string(node);
      cuts.push_back(
          {name + " closes" + more, [node](Rig& rig) { rig.node_close(node); }, goes_on});
      cuts.push_back({name + " dies" + more,
                      [node](Rig& rig) {
                        rig.node(node).refuses = true;
                        rig.node_close(node);
                      },
                      goes_on});
    }
  }
  return cuts;
}

void check_clients(Rig& rig, std::size_t value_bytes_max) {
  for (unsigned i = 0; i < rig.clients().size(); ++i) {
    ClientPeer& peer = rig.clients()[i];
    if (!peer.open || (peer.gone && peer.all_inbox.empty())) continue;
    const bool goes_on = !peer.gone && ends_between_requests(peer.sent, value_bytes_max);
    if (goes_on) {
      rig.client_send(i, "mn\r\n");
      rig.turn();
    }
    const auto wrong = replies_wrong(peer.sent, peer.all_inbox, value_bytes_max, peer.gone);
    CHECK_MESSAGE(!wrong, "C", i, ": ", wrong.value_or(""));
    if (goes_on) CHECK(peer.all_inbox.ends_with("MN\r\n"));
  }
}

void check_nodes(Rig& rig) {
  for (const NodePeer& node : rig.nodes())
    for (const std::string& sent : node.connections)
      CHECK_MESSAGE(are_whole_commands(sent), "a node was sent ", shown(sent));
}

void check_nothing_left(Rig& rig) {
  rig.leave();
  CHECK(rig.engine().client_count() == 0);
  CHECK(rig.engine().in_flight() == 0);
  CHECK(rig.engine().slot_count() == 0);
  CHECK(rig.engine().pool().bytes_lent() == 0);
}

void play_cut(const Transcript& transcript, const Cut& cut, std::size_t at) {
  static constexpr std::int64_t kAllTimeoutsMs = 6000;
  CAPTURE(transcript.name);
  CAPTURE(at);
  CAPTURE(cut.name);
  Player player(transcript);
  Rig& rig = player.rig();
  for (std::size_t i = 0; i < at; ++i) REQUIRE(!player.play(i));
  player.send_pending();
  cut.make(rig);
  if (cut.goes_on)
    for (std::size_t i = at; i < transcript.steps.size(); ++i) player.play_leniently(i);
  rig.advance(kAllTimeoutsMs);
  check_clients(rig, rig_options(transcript).limits.value_bytes_max);
  check_nodes(rig);
  check_nothing_left(rig);
}

}  // namespace

TEST_CASE("the engine says what every transcript says") {
  REQUIRE(!transcripts().empty());
  for (const Transcript& transcript : transcripts()) {
    if (!for_engine(transcript)) continue;
    Player player(transcript);
    std::optional<std::string> wrong;
    for (std::size_t i = 0; i < transcript.steps.size() && !wrong; ++i) wrong = player.play(i);
    if (!wrong) wrong = player.finish();
    CHECK_MESSAGE(!wrong, transcript.name, ".wire ", wrong.value_or(""));
    if (!wrong) {
      check_clients(player.rig(), rig_options(transcript).limits.value_bytes_max);
      check_nodes(player.rig());
    }
    check_nothing_left(player.rig());
  }
}

TEST_CASE("whatever ends at whatever step, the others are answered and nothing stays") {
  for (const Transcript& transcript : transcripts()) {
    if (!for_engine(transcript)) continue;
    for (const Cut& cut : cuts_of(transcript))
      for (std::size_t at = 0; at <= transcript.steps.size(); ++at) play_cut(transcript, cut, at);
  }
}
