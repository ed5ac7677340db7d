/* AVX2: byte shuffles read from 16 entries at once, and give 0 where the index's top bit is set. So the two halves of
 * 256 entries are read by an index each, one of which is always blank, and put together by `or`; the three bits below
 * the top one choose among eight such results, in a tree of blends. Sums of even and odd bytes as in avx512.c.
 */
#include "kernel.h"

#ifdef HAVE_X86_KERNELS
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define VECTOR 32 /* positions */

typedef struct {
    __m256i low, high;  /* index modulo 16; with 256 entries blank where the entry is in the other half */
    __m256i b4, b5, b6; /* bit of the index, as the top bit of its byte */
} Index;

TARGET INLINE Index split(__m256i x, int64_t size)
{
    Index index = {.low = _mm256_and_si256(x, _mm256_set1_epi8(size == 256 ? (char)0x8f : 0x0f))};
    index.high = _mm256_xor_si256(index.low, _mm256_set1_epi8((char)0x80));
    index.b6 = _mm256_add_epi8(x, x);
    index.b5 = _mm256_add_epi8(index.b6, index.b6);
    index.b4 = _mm256_add_epi8(index.b5, index.b5);
    return index;
}

TARGET INLINE __m256i shuffle(const uint8_t *entries, __m256i index)
{
    const __m128i sixteen = _mm_loadu_si128((const __m128i *)entries);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen), index);
}

TARGET INLINE __m256i leaf(const uint8_t *row, int64_t size, int j, Index x)
{
    const __m256i low = shuffle(row + 16 * j, x.low);
    return size == 256 ? _mm256_or_si256(low, shuffle(row + 128 + 16 * j, x.high)) : low;
}

TARGET INLINE __m256i of_two(const uint8_t *row, int64_t size, int j, Index x)
{
    return _mm256_blendv_epi8(leaf(row, size, 2 * j, x), leaf(row, size, 2 * j + 1, x), x.b4);
}

TARGET INLINE __m256i of_four(const uint8_t *row, int64_t size, int j, Index x)
{
    return _mm256_blendv_epi8(of_two(row, size, 2 * j, x), of_two(row, size, 2 * j + 1, x), x.b5);
}

TARGET INLINE __m256i lookup(const uint8_t *row, int64_t size, Index x)
{
    const __m256i first = of_four(row, size, 0, x);
    return size == 64 ? first : _mm256_blendv_epi8(first, of_four(row, size, 1, x), x.b6);
}

/* VECTOR positions; `planes` (1 or 2), `size` and `masked` are constants where this is inlined. */
TARGET INLINE void block(const Table *table, int plane, const uint8_t *panel, const uint8_t *keep, const uint8_t *w,
                         int lanes, uint32_t *sums, int planes, int64_t size, int masked)
{
    const uint8_t *entries = table->entries + plane * table->plane_stride;
    const int64_t row_stride = table->row_stride, plane_stride = table->plane_stride;
    __m256i all[2], odd[2];
    for (int p = 0; p < planes; p++)
        all[p] = odd[p] = _mm256_setzero_si256();
    for (int k = 0; k < lanes; k++) {
        const int64_t at = (int64_t)k * POSITIONS;
        const Index index = split(_mm256_loadu_si256((const __m256i *)(panel + at)), size);
#pragma GCC unroll 2
        for (int p = 0; p < planes; p++) {
            __m256i entry = lookup(entries + row_stride * w[k] + plane_stride * p, size, index);
            if (masked)
                entry = _mm256_and_si256(entry, _mm256_loadu_si256((const __m256i *)(keep + at)));
            all[p] = _mm256_add_epi16(all[p], entry);
            odd[p] = _mm256_add_epi16(odd[p], _mm256_srli_epi16(entry, 8));
        }
    }
    for (int p = 0; p < planes; p++) {
        uint16_t even_sums[16], odd_sums[16];
        const int shift = 8 * (plane + p);
        _mm256_storeu_si256((__m256i *)even_sums, _mm256_sub_epi16(all[p], _mm256_slli_epi16(odd[p], 8)));
        _mm256_storeu_si256((__m256i *)odd_sums, odd[p]);
        for (int i = 0; i < 16; i++) {
            sums[2 * i] += (uint32_t)even_sums[i] << shift;
            sums[2 * i + 1] += (uint32_t)odd_sums[i] << shift;
        }
    }
}

#define SIZES(planes, keep, masked)                                                                                   \
    do {                                                                                                              \
        if (table->size == 64)                                                                                        \
            block(table, plane, panel + i, keep, w, lanes, sums + i, planes, 64, masked);                             \
        else if (table->size == 128)                                                                                  \
            block(table, plane, panel + i, keep, w, lanes, sums + i, planes, 128, masked);                            \
        else                                                                                                          \
            block(table, plane, panel + i, keep, w, lanes, sums + i, planes, 256, masked);                            \
    } while (0)

TARGET void avx2_kernel(const Table *table, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                        int positions, uint32_t *sums)
{
    for (int plane = 0; plane < table->planes; plane += 2)
        for (int i = 0; i < positions; i += VECTOR) {
            const int last = table->planes - plane == 1;
            if (keep && last)
                SIZES(1, keep + i, 1);
            else if (keep)
                SIZES(2, keep + i, 1);
            else if (last)
                SIZES(1, 0, 0);
            else
                SIZES(2, 0, 0);
        }
}
#endif
