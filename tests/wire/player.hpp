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
  // What is wrong after the last step: bytes that nobody expected.
  [[nodiscard]] std::optional<std::string> finish();

 private:
  [[nodiscard]] std::optional<std::string> expect(const Step& step);
  [[nodiscard]] std::optional<std::string> leftovers();
  void send(const Step& step);
  void act(const Step& step);

  const Transcript& transcript_;
  Rig rig_;
  Opaques opaques_;
  bool turn_due_ = false;
};

// The rig a transcript's settings ask for.
[[nodiscard]] RigOptions rig_options(const Transcript& transcript);

}  // namespace tokenring::test
