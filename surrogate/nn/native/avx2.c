/* AVX2: byte shuffles read from 16 entries at once; the bits of the index above the lowest four choose among the
 * results, in a tree of blends. Sums of even and odd bytes as in avx512.c.
 */
#include "kernel.h"

#ifdef HAVE_X86_KERNELS
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define VECTORS 2

typedef struct {
    __m256i low;            /* index modulo 16 */
    __m256i b4, b5, b6, b7; /* bit of the index, as the top bit of its byte */
} Index;

TARGET INLINE __m256i leaf(const uint8_t *row, int j, Index x)
{
    __m128i entries = _mm_loadu_si128((const __m128i *)(row + 16 * j));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), x.low);
}

TARGET INLINE __m256i of_32(const uint8_t *row, int j, Index x)
{
    return _mm256_blendv_epi8(leaf(row, 2 * j, x), leaf(row, 2 * j + 1, x), x.b4);
}

TARGET INLINE __m256i of_64(const uint8_t *row, int j, Index x)
{
    return _mm256_blendv_epi8(of_32(row, 2 * j, x), of_32(row, 2 * j + 1, x), x.b5);
}

TARGET INLINE __m256i of_128(const uint8_t *row, int j, Index x)
{
    return _mm256_blendv_epi8(of_64(row, 2 * j, x), of_64(row, 2 * j + 1, x), x.b6);
}

TARGET INLINE __m256i lookup(const uint8_t *row, int64_t size, __m256i x)
{
    Index index = {.low = _mm256_and_si256(x, _mm256_set1_epi8(15)), .b7 = x};
    index.b6 = _mm256_add_epi8(x, x);
    index.b5 = _mm256_add_epi8(index.b6, index.b6);
    index.b4 = _mm256_add_epi8(index.b5, index.b5);
    if (size == 64)
        return of_64(row, 0, index);
    if (size == 128)
        return of_128(row, 0, index);
    return _mm256_blendv_epi8(of_128(row, 0, index), of_128(row, 1, index), index.b7);
}

/* One plane of 32 * VECTORS positions; `size` and `masked` are constants where this is inlined. */
TARGET INLINE void block(const uint8_t *table, int64_t stride, const uint8_t *panel, const uint8_t *keep,
                         const uint8_t *w, int lanes, int shift, uint32_t *sums, int64_t size, int masked)
{
    __m256i all[VECTORS], odd[VECTORS];
    for (int v = 0; v < VECTORS; v++)
        all[v] = odd[v] = _mm256_setzero_si256();
    for (int k = 0; k < lanes; k++) {
        const uint8_t *row = table + stride * w[k];
        for (int v = 0; v < VECTORS; v++) {
            const int64_t at = (int64_t)k * POSITIONS + 32 * v;
            __m256i entry = lookup(row, size, _mm256_loadu_si256((const __m256i *)(panel + at)));
            if (masked)
                entry = _mm256_and_si256(entry, _mm256_loadu_si256((const __m256i *)(keep + at)));
            all[v] = _mm256_add_epi16(all[v], entry);
            odd[v] = _mm256_add_epi16(odd[v], _mm256_srli_epi16(entry, 8));
        }
    }
    for (int v = 0; v < VECTORS; v++) {
        uint16_t even_sums[16], odd_sums[16];
        __m256i even = _mm256_sub_epi16(all[v], _mm256_slli_epi16(odd[v], 8));
        _mm256_storeu_si256((__m256i *)even_sums, even);
        _mm256_storeu_si256((__m256i *)odd_sums, odd[v]);
        for (int i = 0; i < 16; i++) {
            sums[32 * v + 2 * i] += (uint32_t)even_sums[i] << shift;
            sums[32 * v + 2 * i + 1] += (uint32_t)odd_sums[i] << shift;
        }
    }
}

#define SIZES(masked)                                                                                                 \
    do {                                                                                                              \
        if (size == 64)                                                                                               \
            block(table, stride, panel + i, keep + i * (masked), w, lanes, 8 * plane, sums + i, 64, masked);          \
        else if (size == 128)                                                                                         \
            block(table, stride, panel + i, keep + i * (masked), w, lanes, 8 * plane, sums + i, 128, masked);         \
        else                                                                                                          \
            block(table, stride, panel + i, keep + i * (masked), w, lanes, 8 * plane, sums + i, 256, masked);         \
    } while (0)

TARGET void avx2_kernel(const Table *whole, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                        int positions, uint32_t *sums)
{
    const int64_t size = whole->size, stride = whole->row_stride;
    for (int plane = 0; plane < whole->planes; plane++) {
        const uint8_t *table = whole->entries + plane * whole->plane_stride;
        for (int i = 0; i < positions; i += 32 * VECTORS) {
            if (keep)
                SIZES(1);
            else
                SIZES(0);
        }
    }
}
#endif
