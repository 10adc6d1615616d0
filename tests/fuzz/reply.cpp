// Node bytes through the reply parser, and what parses through the renderer in every command's
// place.
#include <string>

#include "base/assert.hpp"
#include "tokenring/encode.hpp"
#include "tokenring/parse.hpp"

using namespace tokenring;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view in(reinterpret_cast<const char*>(data), size);
  while (!in.empty()) {
    Reply reply;
    const ParsedReply parsed = parse_reply(in, 1 << 20, reply);
    if (parsed.kind != ParsedReply::Kind::kReply) {
      TR_ASSERT(parsed.kind == ParsedReply::Kind::kMalformed || parsed.needed > in.size());
      break;
    }
    TR_ASSERT(parsed.consumed > 0 && parsed.consumed <= in.size());
    for (std::size_t i = 0; i < kCommandRows.size(); ++i) {
      ReplyContext context{.command = static_cast<Command>(i), .cas = {}, .key = "a", .flags = {}};
      context.flags = "c O12 k v s t";
      context.key_is_base64 = i % 2 == 1;
      context.matches_hide = context.command == Command::kMetaGet;
      std::string out(rendered_size_max(context, reply), '\0');
      const Rendered rendered = render_reply(context, reply, out.data());
      TR_ASSERT(static_cast<std::size_t>(rendered.end - out.data()) <= out.size());
    }
    in.remove_prefix(parsed.consumed);
  }
  return 0;
}
