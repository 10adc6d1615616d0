// Replies as the client's dialect has them.
#include <algorithm>
#include <array>

#include "tokenring/encode.hpp"
#include "tokenring/parse.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

using Kind = Rendered::Kind;
using wire::write_bytes;
using wire::write_number;

constexpr std::string_view kEnd = "END\r\n";

Rendered line(const ReplyContext& context, std::string_view text, char* to) {
  if (context.quiet) return {Kind::kNothing, to, {}};
  return {Kind::kWritten, write_bytes(to, text), {}};
}

Rendered render_get(const ReplyContext& context, const Reply& reply, char* to) {
  const std::string_view tail = context.ends_get ? kEnd : std::string_view();
  if (reply.code == ReplyCode::kEnd) return {Kind::kWritten, write_bytes(to, tail), {}};
  if (reply.code != ReplyCode::kTextValue) return {Kind::kMismatch, to, {}};
  const bool is_one_piece = reply.line.data() + reply.line.size() == reply.value.data();
  if (is_one_piece) return {Kind::kVerbatim, to, tail};
  return {Kind::kValue, write_bytes(to, reply.line), tail};
}

Rendered render_storage(const ReplyContext& context, const Reply& reply, char* to) {
  switch (reply.code) {
    case ReplyCode::kHeader:
      return line(context, "STORED\r\n", to);
    case ReplyCode::kNotStored:
      return line(context, "NOT_STORED\r\n", to);
    case ReplyCode::kExists:
      return line(context, "EXISTS\r\n", to);
    case ReplyCode::kNotFound:
      return line(context, "NOT_FOUND\r\n", to);
    default:
      return {Kind::kMismatch, to, {}};
  }
}

Rendered render_text(const ReplyContext& context, const Reply& reply, char* to) {
  const bool hit = reply.code == ReplyCode::kHeader;
  switch (row_of(context.command).verb) {
    case Verb::kSet:
      return render_storage(context, reply, to);
    case Verb::kDelete:
      if (hit) return line(context, "DELETED\r\n", to);
      if (reply.code == ReplyCode::kNotFound) return line(context, "NOT_FOUND\r\n", to);
      return {Kind::kMismatch, to, {}};
    case Verb::kArithmetic:
      if (reply.code == ReplyCode::kNotFound) return line(context, "NOT_FOUND\r\n", to);
      if (reply.code != ReplyCode::kValue || reply.value.size() > 20)
        return {Kind::kMismatch, to, {}};
      if (context.quiet) return {Kind::kNothing, to, {}};
      return {Kind::kWritten, write_bytes(write_bytes(to, reply.value), "\r\n"), {}};
    case Verb::kGet:
      if (reply.code == ReplyCode::kTouched) return line(context, "TOUCHED\r\n", to);
      if (reply.code == ReplyCode::kTextNotFound) return line(context, "NOT_FOUND\r\n", to);
      return {Kind::kMismatch, to, {}};
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return {Kind::kMismatch, to, {}};
}

bool meta_code_fits(const ReplyContext& context, ReplyCode code) {
  switch (row_of(context.command).verb) {
    case Verb::kGet:
      return code == ReplyCode::kValue || code == ReplyCode::kHeader || code == ReplyCode::kMiss;
    case Verb::kArithmetic:
      if (code == ReplyCode::kValue) return true;
      [[fallthrough]];
    case Verb::kSet:
      if (code == ReplyCode::kNotStored) return true;
      [[fallthrough]];
    case Verb::kDelete:
      return code == ReplyCode::kHeader || code == ReplyCode::kNotFound ||
             code == ReplyCode::kExists;
    case Verb::kDebug:
      return code == ReplyCode::kDebug || code == ReplyCode::kMiss;
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return false;
}

// What q hides: a miss of mg, and the good outcome of ms, md and ma.
bool hidden_by_quiet(const ReplyContext& context, ReplyCode code) {
  if (!context.quiet) return false;
  if (context.command == Command::kMetaGet) return code == ReplyCode::kMiss;
  return code == ReplyCode::kHeader || code == ReplyCode::kValue;
}

// Writes the key where the client asked for it. A node that was asked too (mg) tells it as its item
// was made: in base64 with a b behind it, or as bytes, which may hold blanks. `theirs` is advanced
// behind the node's answer.
char* write_key(const ReplyContext& context, std::string_view& theirs, char* to) {
  to = write_bytes(to, " k");
  bool base64 = context.key_is_base64;
  std::array<char, kKeyBytesMax> decoded;
  std::string_view key = context.key;
  if (theirs.starts_with('k')) {
    if (base64) key = {decoded.data(), decode_base64(context.key, decoded.data())};
    const bool as_bytes = theirs.substr(1).starts_with(key);
    if (as_bytes) {
      base64 = false;
      theirs.remove_prefix(std::min(theirs.size(), 1 + key.size() + 1));
    } else {
      key = next_word(theirs).substr(1);
      base64 = next_word(theirs) == "b";
    }
  }
  to = write_bytes(to, key);
  return base64 ? write_bytes(to, " b") : to;
}

void skip_opaque(std::string_view& theirs) {
  std::string_view behind = theirs;
  std::uint32_t opaque = 0;
  if (wire::parse_opaque(next_word(behind), opaque)) theirs = behind;
}

// Walks the client's flags beside the node's, which come in the same order; what is between client
// and proxy (k, b, O) is put back where the client had it. Of a flag the node did not answer,
// nothing.
char* write_meta_flags(const ReplyContext& context, const Reply& reply, char* to) {
  std::string_view theirs = reply.rest;
  std::string_view asked = context.flags;
  for (std::string_view flag = next_word(asked); !flag.empty(); flag = next_word(asked)) {
    if (flag[0] == 'O') {
      *to++ = ' ';
      to = write_bytes(to, flag);
    } else if (flag[0] == 'k') {
      to = write_key(context, theirs, to);
    } else {
      skip_opaque(theirs);
      if (!theirs.starts_with(flag[0])) continue;
      *to++ = ' ';
      to = write_bytes(to, next_word(theirs));
    }
  }
  // A CAS that we asked for and the client did not comes behind its flags.
  skip_opaque(theirs);
  if (context.matches_hide && theirs.starts_with('c')) next_word(theirs);
  for (skip_opaque(theirs); !theirs.empty(); skip_opaque(theirs)) {
    *to++ = ' ';
    to = write_bytes(to, next_word(theirs));
  }
  return to;
}

// mg with C: the value stays away where the client's CAS is the item's.
bool hides_value(const ReplyContext& context, const Reply& reply) {
  if (!context.matches_hide || reply.code != ReplyCode::kValue) return false;
  const std::string_view text = flag_value(reply.rest, 'c');
  std::uint64_t cas = 0;
  return wire::parse_u64(text, cas) && Cas{cas} == context.cas;
}

Rendered render_meta(const ReplyContext& context, const Reply& reply, char* to) {
  if (!meta_code_fits(context, reply.code)) return {Kind::kMismatch, to, {}};
  if (context.command == Command::kMetaDebug) {
    // The only reply without an opaque: its key has to do. A base64 key comes back re-encoded.
    std::string_view rest = reply.rest;
    if (reply.code == ReplyCode::kDebug && !context.key_is_base64 &&
        !spells_key(next_word(rest), context.key))
      return {Kind::kMismatch, to, {}};
    return {Kind::kWritten, write_bytes(to, reply.line), {}};
  }
  if (hidden_by_quiet(context, reply.code)) return {Kind::kNothing, to, {}};
  if (reply.code == ReplyCode::kValue && !hides_value(context, reply)) {
    to = write_bytes(to, "VA ");
    to = write_number(to, std::uint64_t{reply.value.size()});
    to = write_meta_flags(context, reply, to);
    return {Kind::kValue, write_bytes(to, "\r\n"), {}};
  }
  to = write_bytes(to, reply.code == ReplyCode::kValue ? "HD" : reply.line.substr(0, 2));
  to = write_meta_flags(context, reply, to);
  return {Kind::kWritten, write_bytes(to, "\r\n"), {}};
}

}  // namespace

std::size_t rendered_size_max(const ReplyContext& context, const Reply& reply) noexcept {
  return context.key.size() + context.flags.size() + reply.line.size() + 64;
}

Rendered render_reply(const ReplyContext& context, const Reply& reply, char* to) noexcept {
  if (reply.is_error()) {
    // noreply hides every outcome; q hides none that went wrong.
    const bool hidden = context.quiet && row_of(context.command).dialect == Dialect::kText;
    if (hidden) return {Kind::kNothing, to, {}};
    return {Kind::kWritten, write_bytes(to, reply.line), {}};
  }
  if (is_text_get(context.command)) return render_get(context, reply, to);
  return row_of(context.command).dialect == Dialect::kMeta ? render_meta(context, reply, to)
                                                           : render_text(context, reply, to);
}

}  // namespace tokenring
