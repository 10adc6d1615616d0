// Player: plays a transcript against a Rig, step by step.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "rig.hpp"
#include "transcript.hpp"

namespace tokenring::test {

class Player {
 public:
  // `transcript` must outlive the player.
  explicit Player(const Transcript& transcript);

  [[nodiscard]] Rig& rig() noexcept { return rig_; }
  // Plays step `index`; what is wrong, if anything.
  [[nodiscard]] std::optional<std::string> play(std::size_t index);
  // After a cut: plays it as far as it still makes sense. What was expected may not come any more,
  // and what a node would say to a request it never got is not said.
  void play_leniently(std::size_t index);
  // What was sent in a row and would go with more of it goes now.
  void send_pending();
  // What is wrong after the last step: bytes that nobody expected.
  [[nodiscard]] std::optional<std::string> finish();

 private:
  [[nodiscard]] std::optional<std::string> expect(const Step& step);
  [[nodiscard]] std::optional<std::string> leftovers();
  void send(const Step& step, const Step* next);
  void act(std::size_t index);

  const Transcript& transcript_;
  Rig rig_;
  Opaques opaques_;
  std::string pending_;  // Of a peer that goes on to send: all in a row reaches the proxy at once.
  const Step* pending_step_ = nullptr;  // The last of it.
  bool turn_due_ = false;
};

// The rig a transcript's settings ask for.
[[nodiscard]] RigOptions rig_options(const Transcript& transcript);

}  // namespace tokenring::test
