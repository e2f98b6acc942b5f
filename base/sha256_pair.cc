// Two states run through the same rounds, lane by lane, so that one lane's instructions fill the
// other's waits. Words of a block are big-endian; the two registers of a state hold its words in
// the order ABEF and CDGH, as the instructions require.
#include "base/sha256_pair.h"

#include "base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace base {
namespace {

#if defined(__x86_64__)

constexpr size_t kLanes = 2;
constexpr size_t kBlock = 64;     // bytes
constexpr int kRoundGroups = 16;  // of four rounds each

alignas(16) constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// The eight words of each lane's state.
using State = std::array<std::array<uint32_t, 8>, kLanes>;

bool has_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1u << 29)) != 0;
  return sha && __builtin_cpu_supports("sse4.1");
}

// `count` blocks from each of `from`.
__attribute__((target("sha,sse4.1"))) void compress(State& state,
                                                    std::array<const uint8_t*, kLanes> from,
                                                    size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[kLanes], cdgh[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    auto* words = reinterpret_cast<const __m128i*>(state[lane].data());
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    abef[lane] = _mm_alignr_epi8(badc, efgh, 8);
    cdgh[lane] = _mm_blend_epi16(efgh, badc, 0xF0);
  }
  for (; count > 0; --count) {
    __m128i abef_before[kLanes], cdgh_before[kLanes], schedule[kLanes][4];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
      for (size_t i = 0; i < 4; ++i) {
        auto* words = reinterpret_cast<const __m128i*>(from[lane]) + i;
        schedule[lane][i] = _mm_shuffle_epi8(_mm_loadu_si128(words), big_endian);
      }
      from[lane] += kBlock;
    }
#pragma GCC unroll 16
    for (int group = 0; group < kRoundGroups; ++group) {
      auto* constants = reinterpret_cast<const __m128i*>(kRoundConstants) + group;
      __m128i constant = _mm_load_si128(constants);
#pragma GCC unroll 2
      for (size_t lane = 0; lane < kLanes; ++lane) {
        __m128i* words = schedule[lane];
        __m128i input = _mm_add_epi32(words[group % 4], constant);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], input);
        input = _mm_shuffle_epi32(input, 0x0E);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], input);
        if (group + 4 >= kRoundGroups) continue;  // no further words are needed
        __m128i last = words[(group + 3) % 4];
        __m128i next = _mm_sha256msg1_epu32(words[group % 4], words[(group + 1) % 4]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(last, words[(group + 2) % 4], 4));
        words[group % 4] = _mm_sha256msg2_epu32(next, last);
      }
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    __m128i feba = _mm_shuffle_epi32(abef[lane], 0x1B);
    __m128i dchg = _mm_shuffle_epi32(cdgh[lane], 0xB1);
    auto* words = reinterpret_cast<__m128i*>(state[lane].data());
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

// Whole blocks, then the rest followed by the end mark and the message's length. `before` is what
// the state has processed already, in bytes.
std::array<Sha256, 2> finish(State state, uint64_t before, ByteView first, ByteView second) {
  size_t blocks = first.size() / kBlock, rest = first.size() % kBlock;
  compress(state, {first.data(), second.data()}, blocks);
  size_t end = rest + 9 <= kBlock ? kBlock : 2 * kBlock;
  uint8_t tails[kLanes][2 * kBlock] = {};
  uint64_t bits = (before + first.size()) * 8;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    ByteView tail = (lane == 0 ? first : second).subspan(blocks * kBlock);
    std::copy(tail.begin(), tail.end(), tails[lane]);
    tails[lane][rest] = 0x80;
    for (size_t i = 0; i < 8; ++i) tails[lane][end - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  compress(state, {tails[0], tails[1]}, end / kBlock);
  std::array<Sha256, 2> out;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t i = 0; i < 32; ++i)
      out[lane][i] = static_cast<uint8_t>(state[lane][i / 4] >> (24 - 8 * (i % 4)));
  }
  return out;
}

// The state after one block that is the key, each byte mixed with `pad`.
State keyed(const Key256& key, uint8_t pad) {
  std::array<uint8_t, kBlock> block{};
  std::copy(key.begin(), key.end(), block.begin());
  for (uint8_t& byte : block) byte ^= pad;
  State state{kInitial, kInitial};
  compress(state, {block.data(), block.data()}, 1);
  return state;
}

#endif

}  // namespace

std::array<Sha256, 2> sha256_pair(ByteView first, ByteView second) {
  CHECK(first.size() == second.size());
#if defined(__x86_64__)
  static const bool kFast = has_instructions();
  if (kFast) return finish({kInitial, kInitial}, 0, first, second);
#endif
  return {sha256(first), sha256(second)};
}

std::array<Sha256, 2> hmac_sha256_pair(const Key256& key, ByteView first, ByteView second) {
  CHECK(first.size() == second.size());
#if defined(__x86_64__)
  static const bool kFast = has_instructions();
  if (kFast) {
    auto inner = finish(keyed(key, 0x36), kBlock, first, second);
    return finish(keyed(key, 0x5c), kBlock, inner[0], inner[1]);
  }
#endif
  return {hmac_sha256(key, first), hmac_sha256(key, second)};
}

}  // namespace base
