/* AVX-512 VBMI: a byte plane of a row is at most four registers; a byte permute reads 64 activations' entries from two
 * of them at once, and the top bit of the index chooses between the two pairs.
 *
 * Even and odd bytes are added in 16-bit lanes of their own: `all` adds whole 16-bit words (odd byte times 256 plus
 * even byte, modulo 2**16), `odd` adds the odd bytes; all - 256 * odd are the even ones.
 */
#include "kernel.h"

#ifdef HAVE_X86_KERNELS
#include "avx512.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi")))
#define VECTORS (POSITIONS / 64)

/* Add the sums of one plane, [even bytes, odd bytes] of 64 positions, times 2**shift. */
TARGET INLINE void add_plane(__m512i all, __m512i odd, int shift, uint32_t *sums)
{
    const __m128i count = _mm_cvtsi32_si128(shift);
    __m512i even = _mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8));
    /* 16-bit pairs (even, odd) are positions (2j, 2j + 1), four pairs in turn from each 128-bit part */
    __m512i low = _mm512_unpacklo_epi16(even, odd), high = _mm512_unpackhi_epi16(even, odd);
    __m512i first = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high);
    __m512i second = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high);
    __m256i parts[4] = {_mm512_castsi512_si256(first), _mm512_extracti64x4_epi64(first, 1),
                        _mm512_castsi512_si256(second), _mm512_extracti64x4_epi64(second, 1)};
    for (int i = 0; i < 4; i++) {
        __m512i wide = _mm512_sll_epi32(_mm512_cvtepu16_epi32(parts[i]), count);
        _mm512_storeu_si512(sums + 16 * i, _mm512_add_epi32(_mm512_loadu_si512(sums + 16 * i), wide));
    }
}

/* `planes` (1 or 2), `registers` (1, 2 or 4 a plane), `vectors` and `masked` are constants where this is inlined. */
TARGET INLINE void block(const uint8_t *table, int64_t stride, int64_t next, const uint8_t *panel, const uint8_t *keep,
                         const uint8_t *w, int lanes, int shift, uint32_t *sums, int planes, int registers,
                         int vectors, int masked)
{
    __m512i all[2][VECTORS], odd[2][VECTORS], row[8];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
#pragma GCC unroll 2
        for (int p = 0; p < planes; p++)
            all[p][v] = odd[p][v] = _mm512_setzero_si512();
    for (int k = 0; k < lanes; k++) {
        const uint8_t *entries = table + stride * w[k], *soon = table + stride * w[k + 4 < lanes ? k + 4 : k];
        if (vectors > 1) /* else a row is used too briefly */
#pragma GCC unroll 8
            for (int r = 0; r < planes * registers; r++)
                __builtin_prefetch(soon + r / registers * next + 64 * (r % registers), 0, 3);
#pragma GCC unroll 8
        for (int r = 0; r < planes * registers; r++)
            row[r] = _mm512_loadu_si512(entries + r / registers * next + 64 * (r % registers));
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const int64_t at = (int64_t)k * POSITIONS + 64 * v;
            const __m512i x = _mm512_loadu_si512(panel + at);
#pragma GCC unroll 2
            for (int p = 0; p < planes; p++) {
                __m512i entry = lookup(row + p * registers, registers, x);
                if (masked)
                    entry = _mm512_and_si512(entry, _mm512_loadu_si512(keep + at));
                all[p][v] = _mm512_add_epi16(all[p][v], entry);
                odd[p][v] = _mm512_add_epi16(odd[p][v], _mm512_srli_epi16(entry, 8));
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
#pragma GCC unroll 2
        for (int p = 0; p < planes; p++)
            add_plane(all[p][v], odd[p][v], shift + 8 * p, sums + 64 * v);
}

#define ARGUMENTS table, stride, next, panel, keep, w, lanes, shift, sums

#define SIZES(planes, vectors, masked)                                                                                \
    do {                                                                                                              \
        if (size == 64)                                                                                               \
            block(ARGUMENTS, planes, 1, vectors, masked);                                                             \
        else if (size == 128)                                                                                         \
            block(ARGUMENTS, planes, 2, vectors, masked);                                                             \
        else                                                                                                          \
            block(ARGUMENTS, planes, 4, vectors, masked);                                                             \
    } while (0)

#define SHAPES(planes)                                                                                                \
    do {                                                                                                              \
        if (keep)                                                                                                     \
            SIZES(planes, VECTORS, 1);                                                                                \
        else if (vectors == 1)                                                                                        \
            SIZES(planes, 1, 0);                                                                                      \
        else if (vectors == 2)                                                                                        \
            SIZES(planes, 2, 0);                                                                                      \
        else if (vectors == 3)                                                                                        \
            SIZES(planes, 3, 0);                                                                                      \
        else                                                                                                          \
            SIZES(planes, VECTORS, 0);                                                                                \
    } while (0)

TARGET void avx512_kernel(const Table *whole, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                          int positions, uint32_t *sums)
{
    const int64_t size = whole->size, stride = whole->row_stride, next = whole->plane_stride;
    const int vectors = (positions + 63) / 64;
    for (int plane = 0; plane < whole->planes; plane += 2) {
        const uint8_t *table = whole->entries + plane * next;
        const int shift = 8 * plane;
        if (whole->planes - plane == 1)
            SHAPES(1);
        else
            SHAPES(2);
    }
}
#endif
