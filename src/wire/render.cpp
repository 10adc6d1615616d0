// Replies as the client's dialect has them.
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

// The flag of `letter` in a reply's flags, without its letter; empty when it is not there.
std::string_view flag_value(std::string_view flags, char letter) {
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
    if (flag[0] == letter) return flag.substr(1);
  return {};
}

Rendered render_get(const ReplyContext& context, const Reply& reply, char* to) {
  const std::string_view tail = context.ends_get ? kEnd : std::string_view();
  if (reply.code == ReplyCode::kMiss) return {Kind::kWritten, write_bytes(to, tail), {}};
  if (reply.code != ReplyCode::kValue) return {Kind::kMismatch, to, {}};
  // We asked for `f v` or `f c v`: the flags come first, the CAS second.
  std::string_view rest = reply.rest;
  const std::string_view flags = next_word(rest);
  if (flags.size() < 2 || flags[0] != 'f') return {Kind::kMismatch, to, {}};
  to = write_bytes(to, "VALUE ");
  to = write_bytes(to, context.key);
  *to++ = ' ';
  to = write_bytes(to, flags.substr(1));
  *to++ = ' ';
  to = write_number(to, std::uint64_t{reply.value.size()});
  if (context.command == Command::kGets || context.command == Command::kGats) {
    const std::string_view cas = next_word(rest);
    if (cas.size() < 2 || cas[0] != 'c') return {Kind::kMismatch, to, {}};
    *to++ = ' ';
    to = write_bytes(to, cas.substr(1));
  }
  return {Kind::kValue, write_bytes(to, "\r\n"), tail};
}

Rendered render_storage(const ReplyContext& context, const Reply& reply, char* to) {
  switch (reply.code) {
    case ReplyCode::kHeader: return line(context, "STORED\r\n", to);
    case ReplyCode::kNotStored: return line(context, "NOT_STORED\r\n", to);
    case ReplyCode::kExists: return line(context, "EXISTS\r\n", to);
    case ReplyCode::kNotFound: return line(context, "NOT_FOUND\r\n", to);
    default: return {Kind::kMismatch, to, {}};
  }
}

Rendered render_text(const ReplyContext& context, const Reply& reply, char* to) {
  const bool hit = reply.code == ReplyCode::kHeader;
  switch (row_of(context.command).verb) {
    case Verb::kSet: return render_storage(context, reply, to);
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
      if (context.command != Command::kTouch) return render_get(context, reply, to);
      if (hit) return line(context, "TOUCHED\r\n", to);
      if (reply.code == ReplyCode::kMiss) return line(context, "NOT_FOUND\r\n", to);
      return {Kind::kMismatch, to, {}};
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused: break;
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
    case Verb::kDebug: return code == ReplyCode::kDebug || code == ReplyCode::kMiss;
    case Verb::kLocal:
    case Verb::kRefused: break;
  }
  return false;
}

// What q hides: a miss of mg, and the good outcome of ms, md and ma.
bool hidden_by_quiet(const ReplyContext& context, ReplyCode code) {
  if (!context.quiet) return false;
  if (context.command == Command::kMetaGet) return code == ReplyCode::kMiss;
  return code == ReplyCode::kHeader || code == ReplyCode::kValue;
}

// Walks the client's flags beside the node's, which come in the same order; what is between client
// and proxy (k, b, O) is put back where the client had it. Of a flag the node did not answer, nothing.
char* write_meta_flags(const ReplyContext& context, const Reply& reply, char* to) {
  std::string_view theirs = reply.rest;
  std::string_view next = next_word(theirs);
  const auto skip_opaque = [&] {
    std::uint32_t opaque = 0;
    if (wire::parse_opaque(next, opaque)) next = next_word(theirs);
  };
  std::string_view asked = context.flags;
  for (std::string_view flag = next_word(asked); !flag.empty(); flag = next_word(asked)) {
    if (flag[0] == 'O') {
      *to++ = ' ';
      to = write_bytes(to, flag);
    } else if (flag[0] == 'k') {
      to = write_bytes(to, " k");
      to = write_bytes(to, context.key);
      if (context.key_is_base64) to = write_bytes(to, " b");
    } else {
      skip_opaque();
      if (!next.empty() && next[0] == flag[0]) {
        *to++ = ' ';
        to = write_bytes(to, next);
        next = next_word(theirs);
      }
    }
  }
  // A CAS that we asked for and the client did not comes behind its flags.
  skip_opaque();
  if (context.matches_hide && next.size() > 1 && next[0] == 'c') next = next_word(theirs);
  for (skip_opaque(); !next.empty(); next = next_word(theirs), skip_opaque()) {
    *to++ = ' ';
    to = write_bytes(to, next);
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
  if (context.command == Command::kMetaDebug)
    return {Kind::kWritten, write_bytes(to, reply.line), {}};
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
  return row_of(context.command).dialect == Dialect::kMeta ? render_meta(context, reply, to)
                                                           : render_text(context, reply, to);
}

}  // namespace tokenring
