/* Random numbers by counting: Philox 4×32-10 (Salmon et al. 2011), the twin of src/base/random.ts. */
#ifndef PHILOX_H
#define PHILOX_H
#include "vector.h"

/* A 64-bit lane for each counter. */
enum { COUNTERS = VW / 2 };
typedef uint64_t vu64 __attribute__((vector_size(4 * VW)));

/* Of the low halves of the lanes, the high halves being anything. */
INLINE vu64 wide_product(vu64 a, uint32_t factor) {
#if VW == 16
  return (vu64)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(factor));
#elif VW == 8
  return (vu64)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(factor));
#else
  return (a & 0xffffffff) * factor;
#endif
}

/* All four words for each counter (c0 + i, c1, c2, 0), i < COUNTERS, in order; what lies above a lane's low half is noise. */
INLINE void philox_words(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2, vi words[2]) {
  /* Even lanes count the first half, odd lanes the second: neighbours come apart below. */
  vu64 lane = {0};
  UNROLL
  for (uint32_t i = 0; i < COUNTERS; i++) lane[i] = i / 2 + i % 2 * (COUNTERS / 2);
  vu64 c[4] = {lane + c0, (vu64){0} + c1, (vu64){0} + c2, {0}};
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
    const vu64 a = wide_product(c[0], 0xd2511f53), b = wide_product(c[2], 0xcd9e8d57);
    c[0] = (b >> 32) ^ c[1] ^ k0;
    c[2] = (a >> 32) ^ c[3] ^ k1;
    c[1] = b;
    c[3] = a;
  }
  const vu64 first = (c[0] & 0xffffffff) | c[1] << 32, second = (c[2] & 0xffffffff) | c[3] << 32;
#if VW == 16
  words[0] = (vi)_mm512_unpacklo_epi64((__m512i)first, (__m512i)second);
  words[1] = (vi)_mm512_unpackhi_epi64((__m512i)first, (__m512i)second);
#elif VW == 8
  words[0] = (vi)_mm256_unpacklo_epi64((__m256i)first, (__m256i)second);
  words[1] = (vi)_mm256_unpackhi_epi64((__m256i)first, (__m256i)second);
#else
  words[0] = (vi)(vu64){first[0], second[0]};
  words[1] = (vi)(vu64){first[1], second[1]};
#endif
}

/* Word 0 for the counter (c0, c1, 0, 0). */
static uint32_t philox(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1) {
  vi words[2];
  philox_words(k0, k1, c0, c1, 0, words);
  return (uint32_t)words[0][0];
}

#endif
