#include "player.hpp"

#include <cctype>
#include <stdexcept>

namespace tokenring::test {

namespace {

// `a@0`: a key that begins with a and belongs to node 0.
std::string with_keys(std::string_view bytes, const Rig& rig) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool is_mark = bytes.size() - i >= 3 && bytes[i + 1] == '@' && bytes[i] >= 'a' &&
                         bytes[i] <= 'z' && bytes[i + 2] >= '0' && bytes[i + 2] <= '9';
    if (!is_mark) {
      out += bytes[i];
      continue;
    }
    out += rig.key_on(bytes.substr(i, 1), static_cast<unsigned>(bytes[i + 2] - '0'));
    i += 2;
  }
  return out;
}

std::string named(const Step& step) {
  return "line " + std::to_string(step.line) + ": " + (step.node ? "B" : "C") +
         std::to_string(step.index);
}

}  // namespace

RigOptions rig_options(const Transcript& transcript) {
  RigOptions options{.nodes = transcript.nodes};
  for (const auto& [name, value] : transcript.settings) {
    if (name == "on_failure" && (value == "error" || value == "miss")) {
      options.pool.on_failure = value == "error" ? OnFailure::kError : OnFailure::kMiss;
    } else if (name == "on_node_down") {
      options.pool.on_node_down = value == "failover" ? OnNodeDown::kFailover
                                  : value == "error"  ? OnNodeDown::kError
                                                      : OnNodeDown::kMiss;
    } else if (name == "failover_ttl_s") {
      options.pool.failover_ttl_s = std::stol(value);
    } else if (name == "on_rejoin") {
      options.pool.on_rejoin = value == "flush" ? OnRejoin::kFlush : OnRejoin::kKeep;
    } else if (name == "coalesce") {
      options.coalesce = value == "true";
    } else if (name == "links_per_node") {
      options.pool.links_per_node = static_cast<std::uint32_t>(std::stoul(value));
    } else if (name == "value_bytes_max") {
      options.limits.value_bytes_max = std::stoul(value);
    } else if (name == "ttl_cap_s") {
      options.life.ttl_cap_s = std::stol(value);
    } else if (name != "runner") {
      throw std::runtime_error(transcript.name + ": unknown setting " + name);
    }
  }
  return options;
}

Player::Player(const Transcript& transcript)
    : transcript_(transcript), rig_(rig_options(transcript)) {}

std::optional<std::string> Player::leftovers() {
  for (unsigned i = 0; i < rig_.clients().size(); ++i)
    if (const ClientPeer& peer = rig_.clients()[i]; peer.open && !peer.inbox.empty())
      return "C" + std::to_string(i) + " got unasked: " + shown(peer.inbox);
  for (unsigned i = 0; i < rig_.nodes().size(); ++i)
    if (!rig_.node(i).inbox.empty())
      return "B" + std::to_string(i) + " got unasked: " + shown(rig_.node(i).inbox);
  return std::nullopt;
}

std::optional<std::string> Player::expect(const Step& step) {
  if (turn_due_) rig_.turn();
  turn_due_ = false;
  if (step.kind == Step::Kind::kEof) {
    if (rig_.client(step.index).gone) return std::nullopt;
    return named(step) + " was not closed";
  }
  std::string& inbox = step.node ? rig_.node(step.index).inbox : rig_.client(step.index).inbox;
  const std::string wanted = with_keys(step.bytes, rig_);
  const auto matched = match(wanted, inbox, opaques_);
  if (!matched) return named(step) + " got " + shown(inbox) + "\n  instead of " + shown(wanted);
  inbox.erase(0, *matched);
  return std::nullopt;
}

void Player::send(const Step& step, const Step* next) {
  const std::string bytes = with_keys(step.bytes, rig_);
  if (!step.node) {
    pending_ += bytes;
  } else if (const auto filled = fill_in(bytes, opaques_)) {
    pending_ += *filled;
  }
  pending_step_ = &step;
  const bool goes_on = next != nullptr && next->kind == Step::Kind::kSend &&
                       next->node == step.node && next->index == step.index;
  if (!goes_on) send_pending();
}

void Player::send_pending() {
  if (pending_step_ == nullptr) return;
  const Step& step = *pending_step_;
  pending_step_ = nullptr;
  const std::string bytes = std::move(pending_);
  pending_.clear();
  if (step.node) return rig_.node_send(step.index, bytes);
  if (!rig_.client(step.index).gone) rig_.client_send(step.index, bytes);
}

void Player::act(std::size_t index) {
  const Step& step = transcript_.steps[index];
  const bool last = index + 1 == transcript_.steps.size();
  switch (step.kind) {
    case Step::Kind::kSend:
      send(step, last ? nullptr : &transcript_.steps[index + 1]);
      break;
    case Step::Kind::kClose:
      step.node ? rig_.node_close(step.index) : rig_.client_close(step.index);
      break;
    case Step::Kind::kEnd:
      rig_.client_end(step.index);
      break;
    case Step::Kind::kRefuse:
      rig_.node(step.index).refuses = true;
      break;
    case Step::Kind::kAccept:
      rig_.node(step.index).refuses = false;
      break;
    case Step::Kind::kVersion:
      rig_.node(step.index).version = step.bytes;
      break;
    case Step::Kind::kWait:
      rig_.advance(step.ms);
      break;
    case Step::Kind::kTurn:
      rig_.turn();
      break;
    case Step::Kind::kExpect:
    case Step::Kind::kEof:
      break;
  }
}

std::optional<std::string> Player::play(std::size_t index) {
  const Step& step = transcript_.steps[index];
  if (step.kind == Step::Kind::kExpect || step.kind == Step::Kind::kEof) return expect(step);
  if (!turn_due_)
    if (const auto wrong = leftovers()) return named(step) + ": before this, " + *wrong;
  const bool waits = step.kind == Step::Kind::kWait || step.kind == Step::Kind::kTurn;
  act(index);
  turn_due_ = !waits;
  return std::nullopt;
}

void Player::play_leniently(std::size_t index) {
  const Step& step = transcript_.steps[index];
  if (step.kind == Step::Kind::kExpect || step.kind == Step::Kind::kEof) {
    static_cast<void>(expect(step));
    return;
  }
  if (!step.node && (step.kind == Step::Kind::kSend || step.kind == Step::Kind::kEnd) &&
      rig_.client(step.index).gone) {
    return;
  }
  act(index);
  turn_due_ = true;
}

std::optional<std::string> Player::finish() {
  rig_.turn();
  return leftovers();
}

}  // namespace tokenring::test
