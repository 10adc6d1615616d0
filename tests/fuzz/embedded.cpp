// The embedded node under any bytes on several connections, in a store so small that it evicts.
// The input is a program: an operation, a length, that many bytes, and so on. After each operation
// the store's parts must agree, and what was answered must be whole replies.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/assert.hpp"
#include "store/embedded_node.hpp"
#include "tokenring/parse.hpp"
#include "wire/drained.hpp"

using namespace tokenring;

namespace {

constexpr std::size_t kItemBytesMax = 8 << 10;
constexpr std::size_t kReplyBytesMax = 32 << 10;

// Whole replies, one after the other. Those of stats and verbosity are for people.
void check_replies(std::string_view replies) {
  TR_ASSERT(replies.empty() || replies.ends_with("\r\n"));
  while (!replies.empty()) {
    if (replies.starts_with("STAT ") || replies.starts_with("RESET")) {
      replies.remove_prefix(replies.find("\r\n") + 2);
      continue;
    }
    Reply reply;
    const ParsedReply parsed = parse_reply(replies, kItemBytesMax, reply);
    TR_ASSERT(parsed.kind == ParsedReply::Kind::kReply);
    replies.remove_prefix(parsed.consumed);
  }
}

class Harness {
 public:
  void run(unsigned operation, std::string_view bytes) {
    if (operation % 4 == 3) {
      now_.seconds += static_cast<std::int64_t>(bytes.size() * (operation / 4 + 1));
      return;
    }
    Peer& peer = peers_[operation / 4 % peers_.size()];
    peer.unserved += bytes;
    // Where the operation says so the input is the start of a large value.
    if (operation % 4 == 2) peer.unserved.append(bytes.size() * 40, 'x');
    serve(peer);
    TR_ASSERT(node_.consistent());
  }

 private:
  struct Peer {
    EmbeddedNode::Link link;
    std::string unserved;
  };

  void serve(Peer& peer) {
    while (true) {
      OutQueue out;
      const std::size_t done = node_.serve(peer.link, peer.unserved, now_, out, pool_);
      TR_ASSERT(done <= peer.unserved.size());
      peer.unserved.erase(0, done);
      // One more request is begun as long as there is room.
      TR_ASSERT(out.size() < kReplyBytesMax + 2 * kItemBytesMax);
      replies_ = drained(out);
      check_replies(replies_);
      if (done == 0) break;
    }
    TR_ASSERT(peer.unserved.size() <= node_.request_bytes_max());
    TR_ASSERT(pool_.bytes_lent() == 0);
  }

  BufferPool pool_;
  EmbeddedNode node_{
      {.bytes_max = 64 << 10, .item_bytes_max = kItemBytesMax, .reply_bytes_max = kReplyBytesMax}};
  UnixTime now_{1'790'000'000};
  std::array<Peer, 3> peers_;
  std::string replies_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Harness harness;
  while (size >= 2) {
    const unsigned operation = data[0];
    const std::size_t length = std::min<std::size_t>(data[1], size - 2);
    harness.run(operation, {reinterpret_cast<const char*>(data) + 2, length});
    data += 2 + length;
    size -= 2 + length;
  }
  return 0;
}
