/* Products of factors by int8 dot products (AVX-512 VNNI): sum_k sum_j u_j(x_k) h_j(w_k).
 *
 * The left factors u_j are unsigned bytes, factors[j][index], the right ones signed bytes, looked up already: `w` is
 * [output channel][depth], `terms` bytes for each lane, then zeros up to a multiple of 4. The table has a single row:
 * what an activation adds whatever the weight (or no entries: nothing). `terms` is 0 where `factors` is NULL.
 *
 * A panel is looked up row by row, a row for each term of each lane. One instruction multiplies four bytes with four:
 * four rows become one of 32-bit words, [position][row], and in vectors of 16 positions, whose order is that of the
 * interleaving instructions within 64 positions, and is undone when sums leave the registers. Sums wrap modulo 2**32,
 * so that only the result must fit.
 */
#include "convolution.h"
#include <string.h>

enum {
    QUAD = 4,    /* bytes that are multiplied at once */
    STRIP = 64,  /* positions of four vectors of words */
    CHUNK = 6    /* output channels whose sums, of a strip, are in registers */
};

/* Right factors of weights, [channels][lanes] indices, as multiply_rows reads them, and the sum of each channel's
 * constants. `right` is [index][terms], `constant` [index]. */
EXPORT void axs_transform_weights(const uint8_t *codes, int64_t channels, int64_t lanes, const int8_t *right,
                                  const int64_t *constant, int64_t terms, int64_t depth, int8_t *w, int64_t *sums)
{
    for (int64_t c = 0; c < channels; c++, codes += lanes, w += depth) {
        sums[c] = 0;
        for (int64_t k = 0; k < lanes; k++) {
            sums[c] += constant[codes[k]];
            for (int64_t j = 0; j < terms; j++)
                w[k * terms + j] = right[codes[k] * terms + j];
        }
        memset(w + lanes * terms, 0, depth - lanes * terms);
    }
}

#ifdef HAVE_X86_KERNELS
#include "avx512.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vnni")))

/* Interleave four rows to words. */
TARGET INLINE void interleave(const __m512i *rows, uint8_t *to)
{
    const __m512i low = _mm512_unpacklo_epi8(rows[0], rows[1]), high = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i next_low = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i next_high = _mm512_unpackhi_epi8(rows[2], rows[3]);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(low, next_low));
    _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(low, next_low));
    _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(high, next_high));
    _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(high, next_high));
}

/* Bring words of 64 positions from the order of interleave() to their own: each vector holds four positions from each
 * 16 of the strip. */
TARGET INLINE void put_in_order(__m512i *v)
{
    const __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44), b = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    const __m512i c = _mm512_shuffle_i32x4(v[0], v[1], 0xee), d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_i32x4(a, b, 0x88);
    v[1] = _mm512_shuffle_i32x4(a, b, 0xdd);
    v[2] = _mm512_shuffle_i32x4(c, d, 0x88);
    v[3] = _mm512_shuffle_i32x4(c, d, 0xdd);
}

/* `registers` (1, 2 or 4 a factor) is a constant where this is inlined. What is beyond the last lane repeats it: its
 * weights are 0. */
TARGET INLINE void transform(const Problem *p, Block *b, int lanes, int registers)
{
    const int quads = (int)(lanes * p->terms + QUAD - 1) / QUAD;
    for (int start = 0; start < b->positions; start += STRIP) {
        uint8_t *to = b->rows + (int64_t)start * QUAD * quads;
        int lane = 0, term = 0;
        for (int q = 0; q < quads; q++, to += STRIP * QUAD) {
            __m512i rows[QUAD], factor[4];
            for (int i = 0; i < QUAD; i++) {
                const __m512i x = _mm512_loadu_si512(b->panel + (int64_t)lane * POSITIONS + start);
                for (int r = 0; r < registers; r++)
                    factor[r] = _mm512_loadu_si512(p->factors + term * p->factor_stride + 64 * r);
                rows[i] = lookup(factor, registers, x);
                if (++term == p->terms) {
                    term = 0;
                    lane += lane + 1 < lanes;
                }
            }
            interleave(rows, to);
        }
    }
}

TARGET void transform_panel(const Problem *p, Block *b, int lanes)
{
    if (p->table.size == 64)
        transform(p, b, lanes, 1);
    else if (p->table.size == 128)
        transform(p, b, lanes, 2);
    else
        transform(p, b, lanes, 4);
}

/* sums += x * w, four bytes a word. By the intrinsic, GCC 12 copies the sums about and spills a third of them. */
TARGET INLINE void add_dot_products(__m512i *sums, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(x), "v"(w));
}

/* Add products to the sums of a strip; `channels` is a constant where this is inlined. */
TARGET INLINE void multiply(const uint8_t *rows, const uint8_t *w, int64_t depth, int quads, uint32_t *tile,
                            int channels)
{
    __m512i sums[CHUNK][4];
#pragma GCC unroll 6
    for (int n = 0; n < channels; n++)
        for (int v = 0; v < 4; v++)
            sums[n][v] = _mm512_setzero_si512();
    for (int q = 0; q < quads; q++, rows += STRIP * QUAD, w += QUAD) {
        __m512i x[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++)
            x[v] = _mm512_loadu_si512(rows + 64 * v);
#pragma GCC unroll 6
        for (int n = 0; n < channels; n++) {
            int32_t word;
            memcpy(&word, w + n * depth, QUAD);
            const __m512i weights = _mm512_set1_epi32(word);
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++)
                add_dot_products(&sums[n][v], x[v], weights);
        }
    }
#pragma GCC unroll 6
    for (int n = 0; n < channels; n++) {
        put_in_order(sums[n]);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            uint32_t *to = tile + n * POSITIONS + 16 * v;
            _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), sums[n][v]));
        }
    }
}

#define CASE(channels)                                                                                                \
    case channels:                                                                                                    \
        multiply(rows, of_chunk, p->depth, quads, tile, channels);                                                    \
        break

TARGET void multiply_rows(const Problem *p, Block *b, const uint8_t *w, int lanes, int count)
{
    const int quads = (int)(lanes * p->terms + QUAD - 1) / QUAD;
    for (int start = 0; start < b->positions; start += STRIP) {
        const uint8_t *rows = b->rows + (int64_t)start * QUAD * quads;
        for (int n = 0; n < count; n += CHUNK) {
            const uint8_t *of_chunk = w + n * p->depth;
            uint32_t *tile = b->tile + n * POSITIONS + start;
            switch (count - n) {
                CASE(1);
                CASE(2);
                CASE(3);
                CASE(4);
                CASE(5);
            default:
                multiply(rows, of_chunk, p->depth, quads, tile, CHUNK);
            }
        }
    }
}
#else
/* Nothing describes such products to the library where axs_features() says that it has none. */
void transform_panel(const Problem *p, Block *b, int lanes)
{
    (void)p, (void)b, (void)lanes;
}

void multiply_rows(const Problem *p, Block *b, const uint8_t *w, int lanes, int count)
{
    (void)p, (void)b, (void)w, (void)lanes, (void)count;
}
#endif
