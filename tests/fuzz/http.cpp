// Any bytes at the admin port: one answer, or a wait for more; and it is never much longer.
#include <algorithm>

#include "app/http.hpp"
#include "base/assert.hpp"

using namespace tokenring;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  constexpr std::size_t kRequestBytesMax = 8192;
  constexpr std::size_t kAnswerBytesMax = 4096;
  static Http http([](const HttpRequest& request) {
    TR_ASSERT(request.bearer.size() < kRequestBytesMax && request.host.size() < kRequestBytesMax);
    TR_ASSERT(request.body.size() < kRequestBytesMax && (request.is_post || request.body.empty()));
    const std::string* const key = request.parameter("key");
    TR_ASSERT(key == nullptr || key->size() < kRequestBytesMax);
    return HttpAnswer{.status = request.path == "/" ? 200 : 404, .body = std::string(1000, 'x')};
  });
  const std::string_view received(reinterpret_cast<const char*>(data),
                                  std::min(size, kRequestBytesMax));
  const auto answer = http.answer(received, false);
  const bool has_head = received.find("\r\n\r\n") != std::string_view::npos;
  const bool may_wait = has_head && received.starts_with("POST ");  // For its body.
  TR_ASSERT(answer.has_value() == has_head || (may_wait && !answer));
  TR_ASSERT(http.answer(received, true).has_value());
  if (!answer) return 0;
  TR_ASSERT(answer->starts_with("HTTP/1.1 ") && answer->size() < kAnswerBytesMax);
  TR_ASSERT(answer->find("Connection: close\r\n") != std::string::npos);
  return 0;
}
