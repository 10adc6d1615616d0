#include "ring/placements.hpp"

#include <array>

namespace tokenring {
namespace {

using enum KeyHash;

constexpr KeyHashSet kLibmemcachedHashes{kMd5,     kOneAtATime, kFnv1_32, kFnv1a_32,
                                         kFnv1_64, kFnv1a_64,   kMurmur,  kMurmur3,
                                         kJenkins, kHsieh,      kCrc32};
constexpr KeyHashSet kTwemproxyHashes{kFnv1a_64,   kFnv1_64, kFnv1_32, kFnv1a_32,
                                      kOneAtATime, kMd5,     kMurmur,  kJenkins,
                                      kHsieh,      kCrc16,   kCrc32,   kCrc32a};
constexpr KeyHashSet kModulaHashes{kMd5,      kOneAtATime, kFnv1_32, kFnv1a_32, kFnv1_64,
                                   kFnv1a_64, kMurmur,     kMurmur3, kJenkins,  kHsieh,
                                   kCrc16,    kCrc32,      kCrc32a,  kJava};
constexpr KeyHashSet kSpymemcachedHashes{kMd5, kFnv1_32, kFnv1a_32, kFnv1_64, kFnv1a_64, kCrc32};
constexpr KeyHashSet kXmemcachedHashes{kMd5,      kFnv1_32,    kFnv1a_32, kFnv1_64,
                                       kFnv1a_64, kOneAtATime, kCrc32};
constexpr KeyHashSet kMcproxyHashes{kXxh3, kMd5};

constexpr std::uint64_t kSeatsMax = 65536;

constexpr std::array kRows{
    PlacementRow{.placement = Placement::kKetama,
                 .name = "ketama",
                 .build = build_ketama,
                 .node_name = whole_address_name,
                 .hash = kXxh3,
                 .hashes = {kXxh3},
                 .tagged = true},
    PlacementRow{.placement = Placement::kLibmemcachedWeighted,
                 .name = "libmemcached-weighted",
                 .build = build_libmemcached_weighted,
                 .node_name = libmemcached_name,
                 .hash = kMd5,
                 .hashes = kLibmemcachedHashes},
    PlacementRow{.placement = Placement::kLibmemcachedKetama,
                 .name = "libmemcached-ketama",
                 .build = build_libmemcached_ketama,
                 .node_name = libmemcached_name,
                 .hash = kOneAtATime,
                 .hashes = kLibmemcachedHashes},
    PlacementRow{.placement = Placement::kTwemproxy,
                 .name = "twemproxy",
                 .build = build_libmemcached_weighted,
                 .node_name = twemproxy_name,
                 .hash = kFnv1a_64,
                 .hashes = kTwemproxyHashes},
    PlacementRow{.placement = Placement::kTwemproxyModula,
                 .name = "twemproxy-modula",
                 .build = build_weighted_modula,
                 .node_name = twemproxy_name,
                 .hash = kFnv1a_64,
                 .hashes = kTwemproxyHashes,
                 .ring = false,
                 .weight_total_max = kSeatsMax},
    PlacementRow{.placement = Placement::kLastfm,
                 .name = "lastfm",
                 .build = build_lastfm,
                 .node_name = host_port_name,
                 .hash = kMd5,
                 .hashes = {kMd5}},
    PlacementRow{.placement = Placement::kSpymemcached,
                 .name = "spymemcached",
                 .build = build_spymemcached,
                 .node_name = spymemcached_name,
                 .hash = kMd5,
                 .hashes = kSpymemcachedHashes,
                 .dialect = HashDialect::kJava},
    PlacementRow{.placement = Placement::kXmemcached,
                 .name = "xmemcached",
                 .build = build_xmemcached,
                 .node_name = xmemcached_name,
                 .hash = kMd5,
                 .hashes = kXmemcachedHashes,
                 .dialect = HashDialect::kJava,
                 .weight_total_max = kSeatsMax},
    PlacementRow{.placement = Placement::kEvcache,
                 .name = "evcache",
                 .build = build_spymemcached,
                 .node_name = evcache_name,
                 .hash = kMd5,
                 .hashes = {kMd5},
                 .dialect = HashDialect::kJava},
    PlacementRow{.placement = Placement::kMcproxyRing,
                 .name = "mcproxy-ring",
                 .build = build_mcproxy_ring,
                 .node_name = host_port_name,
                 .hash = kXxh3,
                 .hashes = kMcproxyHashes,
                 .mcproxy = true},
    PlacementRow{.placement = Placement::kMcproxyKetama,
                 .name = "mcproxy-ketama",
                 .build = build_mcproxy_md5_ring,
                 .node_name = host_port_name,
                 .hash = kMd5,
                 .hashes = kMcproxyHashes,
                 .mcproxy = true},
    PlacementRow{.placement = Placement::kMcproxyTwemproxy,
                 .name = "mcproxy-twemproxy",
                 .build = build_mcproxy_md5_ring,
                 .node_name = libmemcached_name,
                 .hash = kMd5,
                 .hashes = kMcproxyHashes,
                 .mcproxy = true},
    PlacementRow{.placement = Placement::kMcproxyEvcache,
                 .name = "mcproxy-evcache",
                 .build = build_mcproxy_md5_ring,
                 .node_name = mcproxy_evcache_name,
                 .hash = kMd5,
                 .hashes = kMcproxyHashes,
                 .mcproxy = true},
    PlacementRow{.placement = Placement::kMcproxyJump,
                 .name = "mcproxy-jump",
                 .build = build_mcproxy_jump,
                 .node_name = whole_address_name,
                 .hash = kXxh3,
                 .hashes = {kXxh3},
                 .mcproxy = true},
    PlacementRow{.placement = Placement::kDalli,
                 .name = "dalli",
                 .build = build_dalli,
                 .node_name = host_port_name,
                 .hash = kCrc32a,
                 .hashes = {kCrc32a}},
    PlacementRow{.placement = Placement::kPymemcache,
                 .name = "pymemcache",
                 .build = build_pymemcache,
                 .node_name = host_port_name,
                 .hash = kMurmur3,
                 .hashes = {kMurmur3}},
    PlacementRow{.placement = Placement::kCrc32Mod,
                 .name = "crc32-mod",
                 .build = build_crc32_mod,
                 .node_name = whole_address_name,
                 .hash = kCrc32a,
                 .hashes = {kCrc32a},
                 .ring = false},
    PlacementRow{.placement = Placement::kModula,
                 .name = "modula",
                 .build = build_modula,
                 .node_name = whole_address_name,
                 .hash = kOneAtATime,
                 .hashes = kModulaHashes,
                 .ring = false},
};

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].placement) != i) return false;
  }
  return true;
}
static_assert(in_enum_order(), "row_of() indexes by the enum");

}  // namespace

std::span<const PlacementRow> placement_rows() noexcept {
  return kRows;
}

const PlacementRow& row_of(Placement placement) noexcept {
  return kRows[static_cast<std::size_t>(placement)];
}

}  // namespace tokenring
