#include <openssl/rand.h>

#include <climits>

#include "tokenring/envelope.hpp"

namespace tokenring {

namespace {

class SystemEntropy final : public Entropy {
 public:
  [[nodiscard]] bool fill(std::span<unsigned char> out) noexcept override {
    return out.size() <= INT_MAX && RAND_bytes(out.data(), static_cast<int>(out.size())) == 1;
  }
};

}  // namespace

Entropy& system_entropy() noexcept {
  static SystemEntropy entropy;
  return entropy;
}

}  // namespace tokenring
