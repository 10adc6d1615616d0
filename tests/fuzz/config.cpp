// Any text as a configuration: a Config, or one line of error.
#include "app/config.hpp"
#include "base/assert.hpp"

using namespace tokenring;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto config = parse_config({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (config) {
    TR_ASSERT(!config->pools.empty());
    return 0;
  }
  TR_ASSERT(!config.error().empty());
  TR_ASSERT(config.error().find('\n') == std::string::npos);
  return 0;
}
