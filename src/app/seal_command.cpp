#include "app/seal_command.hpp"

#include <fmt/format.h>

#include <fstream>

#include "app/key_file.hpp"
#include "app/spelling.hpp"
#include "seal/bytes.hpp"
#include "seal/compress.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kValueBytesMax = std::size_t{128} << 20;  // What a node can be told to take.

int fail(std::ostream& errors, std::string_view what) {
  errors << "tokenring: " << what << '\n';
  return 1;
}

// A value as text that does not stay in memory.
struct Value {
  std::string text;

  Value() = default;
  Value(Value&& other) noexcept = default;
  Value& operator=(Value&&) = delete;
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;
  ~Value() { wipe(text.data(), text.size()); }
};

// All of `in`; nothing where it has more than `bytes_max` bytes.
std::optional<Value> read_all(std::istream& in, std::size_t bytes_max) {
  Value value;
  char block[65536];
  do {
    in.read(block, sizeof block);
    value.text.append(block, static_cast<std::size_t>(in.gcount()));
  } while (in && value.text.size() <= bytes_max);
  wipe(block, sizeof block);
  if (value.text.size() > bytes_max) return std::nullopt;
  return value;
}

Result<std::string, std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return unexpected(fmt::format("{}: cannot read", path));
  const std::optional<Value> value = read_all(file, bytes_max);
  if (!value) return unexpected(fmt::format("{}: has more than {} bytes", path, bytes_max));
  return value->text;
}

Result<Dictionaries, std::string> read_dictionaries(const std::vector<std::string>& paths) {
  Dictionaries all;
  for (const std::string& path : paths) {
    const auto bytes = read_file(path, Dictionary::kBytesMax);
    if (!bytes) return unexpected(bytes.error());
    auto dictionary = Dictionary::make(*bytes);
    if (!dictionary) return unexpected(fmt::format("{}: {}", path, dictionary.error()));
    all.push_back(*std::move(dictionary));
  }
  return all;
}

// What sealing and opening share: keys, and which value it is.
struct Desk {
  std::shared_ptr<const NamespaceKeys> keys;
  Dictionaries dictionaries;
  std::string key;

  [[nodiscard]] ValueIdentity identity(const SealCommand& command) const {
    return {.space = {0}, .client_key = key, .client_flags = command.flags};
  }
};

Result<Desk, std::string> desk_for(const SealCommand& command) {
  Desk desk;
  const std::vector<std::string> names{unescaped_key(command.space)};
  if (names[0].size() > kNamespaceNameBytesMax) {
    return unexpected(fmt::format("a namespace of {} bytes; it has at most {}", names[0].size(),
                                  kNamespaceNameBytesMax));
  }
  desk.key = unescaped_key(command.key);
  if (desk.key.size() > kClientKeyBytesMax) {
    return unexpected(
        fmt::format("a key of {} bytes; it has at most {}", desk.key.size(), kClientKeyBytesMax));
  }
  const KeyringResult keyring = read_key_file(command.keys);
  if (!keyring) return unexpected(keyring.error());
  desk.keys = NamespaceKeys::derive(**keyring, names);
  auto dictionaries = read_dictionaries(command.dictionaries);
  if (!dictionaries) return unexpected(dictionaries.error());
  desk.dictionaries = *std::move(dictionaries);
  return desk;
}

std::string_view reason(OpenOutcome outcome) {
  switch (outcome) {
    case OpenOutcome::kOpened:
      break;
    case OpenOutcome::kPlaintext:
      return "this is no sealed value";
    case OpenOutcome::kMalformed:
      return "it is cut short, or sealed by a later version";
    case OpenOutcome::kUnknownKey:
      return "its master key is not in the key file";
    case OpenOutcome::kAuthFail:
      return "it was changed, or sealed for another key, namespace or flags";
    case OpenOutcome::kExpired:
      return "its time is over";
  }
  return "";
}

std::string key_line(std::string_view word, Entropy& entropy) {
  SecretBytes key(Keyring::kKeyBytes);
  if (!entropy.fill(key.bytes())) return {};
  std::string text(base64_size(key.size()), '\0');
  encode_key_base64(key.bytes(), text.data());
  const bool is_master = word == "primary" || word == "master";
  const std::string id = is_master ? fmt::format(" # {:08x}", Keyring::id_of(key.bytes())) : "";
  return fmt::format("{} {}{}\n", word, text, id);
}

}  // namespace

int keygen(const KeygenOptions& options, Entropy& entropy, std::ostream& out,
           std::ostream& errors) {
  Value file;
  if (!options.master_only) file.text = "tokenring-keys 1\n";
  const std::vector<std::string_view> words =
      options.master_only ? std::vector<std::string_view>{"master"}
                          : std::vector<std::string_view>{"primary", "blind", "audit"};
  for (const std::string_view word : words) {
    const std::string line = key_line(word, entropy);
    if (line.empty()) return fail(errors, "keygen: no random bytes to be had");
    file.text += line;
  }
  out << file.text << std::flush;
  return out ? 0 : fail(errors, "keygen: cannot write");
}

int list_keys(const std::string& path, std::ostream& out, std::ostream& errors) {
  const KeyringResult keyring = read_key_file(path);
  if (!keyring) return fail(errors, keyring.error());
  for (std::size_t n = 0; n < (*keyring)->master_count(); ++n)
    out << fmt::format("{:08x} {}\n", (*keyring)->key_id(n), n == 0 ? "primary" : "master");
  return out ? 0 : fail(errors, "keys: cannot write");
}

int seal_value(const SealCommand& command, UnixTime now, Entropy& entropy, std::istream& in,
               std::ostream& out, std::ostream& errors) {
  const auto desk = desk_for(command);
  if (!desk) return fail(errors, desk.error());
  const std::optional<Value> plain = read_all(in, kValueBytesMax);
  if (!plain)
    return fail(errors, fmt::format("seal: a value of more than {} bytes", kValueBytesMax));
  Compressor compressor(desk->dictionaries);
  std::string_view content = plain->text;
  SealOptions options{.exp = {command.exp}, .iat = {}, .generation = command.generation};
  if (!desk->dictionaries.empty()) {
    const std::string_view frame = compressor.pack(content, desk->dictionaries.front().get());
    options.zstd = !frame.empty();
    if (options.zstd) content = frame;
  }
  Sealer sealer(desk->keys, entropy);
  std::string sealed(sealed_size(content.size(), command.generation.has_value()), '\0');
  if (sealer.seal(desk->identity(command), content, options, now, sealed.data()) == 0)
    return fail(errors, "seal: no random bytes to be had");
  out << sealed << std::flush;
  return out ? 0 : fail(errors, "seal: cannot write");
}

int open_value(const SealCommand& command, UnixTime now, std::istream& in, std::ostream& out,
               std::ostream& errors) {
  const auto desk = desk_for(command);
  if (!desk) return fail(errors, desk.error());
  const std::optional<Value> sealed = read_all(in, sealed_size(kValueBytesMax, true));
  if (!sealed)
    return fail(errors, fmt::format("open: a value of more than {} bytes", kValueBytesMax));
  Sealer sealer(desk->keys, system_entropy());
  Value opened;
  opened.text.resize(sealed->text.size());
  const OpenResult result =
      sealer.open(desk->identity(command), sealed->text, now, opened.text.data());
  if (!result.opened()) {
    return fail(errors,
                fmt::format("open: {}: {}", name_of(result.outcome), reason(result.outcome)));
  }
  opened.text.resize(result.size);
  Value plain;
  if (result.header.zstd) {
    Compressor compressor(desk->dictionaries);
    const auto size = Compressor::unpacked_size(opened.text, kValueBytesMax);
    if (!size) return fail(errors, fmt::format("open: zstd: {}", name_of(size.error())));
    plain.text.resize(*size);
    const auto done = compressor.unpack(opened.text, kValueBytesMax, plain.text.data());
    if (!done) return fail(errors, fmt::format("open: zstd: {}", name_of(done.error())));
  }
  out << (result.header.zstd ? plain.text : opened.text) << std::flush;
  return out ? 0 : fail(errors, "open: cannot write");
}

int train(const TrainOptions& options, std::istream& in, std::ostream& out, std::ostream& errors) {
  std::vector<std::string> samples;
  for (const std::string& path : options.samples) {
    if (path == "-") {
      for (std::string line; std::getline(in, line);)
        if (!line.empty()) samples.push_back(line);
      continue;
    }
    auto sample = read_file(path, kValueBytesMax);
    if (!sample) return fail(errors, sample.error());
    samples.push_back(*std::move(sample));
  }
  const auto dictionary = train_dictionary(samples, options.bytes);
  if (!dictionary) return fail(errors, fmt::format("train-dictionary: {}", dictionary.error()));
  out << *dictionary << std::flush;
  return out ? 0 : fail(errors, "train-dictionary: cannot write");
}

}  // namespace tokenring
