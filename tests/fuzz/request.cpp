// Client bytes through the request parser, and what parses through the encoder.
#include <cstdlib>
#include <string>

#include "base/assert.hpp"
#include "tokenring/encode.hpp"
#include "tokenring/parse.hpp"

using namespace tokenring;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view in(reinterpret_cast<const char*>(data), size);
  while (!in.empty()) {
    Request request;
    const ParsedRequest parsed = parse_request(in, request);
    if (parsed.kind == ParsedRequest::Kind::kIncomplete) {
      TR_ASSERT(in.find('\n') == std::string_view::npos);
      break;
    }
    TR_ASSERT(parsed.consumed <= in.size());
    TR_ASSERT(parsed.swallow == 0 || parsed.kind == ParsedRequest::Kind::kError);
    if (parsed.kind == ParsedRequest::Kind::kRequest && request.verb() != Verb::kLocal &&
        request.verb() != Verb::kRefused) {
      std::string_view keys = request.keys;
      Plan plan{.node_key = request.keys.empty() ? request.key : next_word(keys),
                .key_is_base64 = request.key_is_base64};
      TR_ASSERT(plan.node_key.size() <= kKeyBytesMax);
      if (request.has_ttl) plan.ttl = Expiry::from_exptime(request.exptime);
      if (request.has_vivify) plan.vivify = Expiry::from_exptime(request.vivify_exptime);
      std::string out(encoded_size_max(request, plan), '\0');
      const auto written =
          static_cast<std::size_t>(encode_request(request, plan, out.data()) - out.data());
      TR_ASSERT(written <= out.size());
      // One line, which a client cannot make two of.
      const std::size_t lf = std::string_view(out.data(), written).find('\n');
      TR_ASSERT(lf == (is_text_get(request.command) ? std::string_view::npos : written - 1));
    }
    if (parsed.consumed == 0) break;
    in.remove_prefix(parsed.consumed);
  }
  return 0;
}
