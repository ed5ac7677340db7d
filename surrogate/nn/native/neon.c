/* NEON, which every 64-bit ARM processor has: a table instruction reads from 64 entries in four registers and leaves
 * alone what lies elsewhere (`tbx`), so that a plane of 256 entries is four of them, with the index 64 lower each time.
 * VECTORS vectors of positions select from four registers before the next four are loaded.
 */
#include "kernel.h"

#ifdef HAVE_NEON_KERNEL
#include <arm_neon.h>

#define BYTES 16  /* of a vector */
#define VECTORS 4 /* index, entry and two accumulators each, beside four registers of the row: all in registers */

INLINE void add_four(uint16x4_t found, int32x4_t shift, uint32_t *sums)
{
    vst1q_u32(sums, vaddq_u32(vld1q_u32(sums), vshlq_u32(vmovl_u16(found), shift)));
}

/* One plane of BYTES * VECTORS positions; `quarters` and `masked` are constants where this is inlined. */
INLINE void block(const uint8_t *table, int64_t stride, const uint8_t *panel, const uint8_t *keep, const uint8_t *w,
                  int lanes, int shift, uint32_t *sums, int quarters, int masked)
{
    uint16x8_t low[VECTORS], high[VECTORS]; /* sums of the first and the last eight positions of a vector */
    for (int v = 0; v < VECTORS; v++)
        low[v] = high[v] = vdupq_n_u16(0);
    for (int k = 0; k < lanes; k++) {
        const uint8_t *row = table + stride * w[k];
        const int64_t at = (int64_t)k * POSITIONS;
        uint8x16_t x[VECTORS], entry[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            x[v] = vandq_u8(vld1q_u8(panel + at + BYTES * v), vdupq_n_u8((uint8_t)(64 * quarters - 1)));
#pragma GCC unroll 4
        for (int q = 0; q < quarters; q++) {
            const uint8x16x4_t part = vld1q_u8_x4(row + 64 * q);
            for (int v = 0; v < VECTORS; v++) {
                entry[v] = q ? vqtbx4q_u8(entry[v], part, x[v]) : vqtbl4q_u8(part, x[v]);
                x[v] = vsubq_u8(x[v], vdupq_n_u8(64));
            }
        }
        for (int v = 0; v < VECTORS; v++) {
            if (masked)
                entry[v] = vandq_u8(entry[v], vld1q_u8(keep + at + BYTES * v));
            low[v] = vaddw_u8(low[v], vget_low_u8(entry[v]));
            high[v] = vaddw_high_u8(high[v], entry[v]);
        }
    }
    const int32x4_t by = vdupq_n_s32(shift);
    for (int v = 0; v < VECTORS; v++, sums += BYTES) {
        add_four(vget_low_u16(low[v]), by, sums);
        add_four(vget_high_u16(low[v]), by, sums + 4);
        add_four(vget_low_u16(high[v]), by, sums + 8);
        add_four(vget_high_u16(high[v]), by, sums + 12);
    }
}

#define SIZES(keep, masked)                                                                                           \
    do {                                                                                                              \
        if (size == 64)                                                                                               \
            block(table, stride, panel + i, keep, w, lanes, 8 * plane, sums + i, 1, masked);                          \
        else if (size == 128)                                                                                         \
            block(table, stride, panel + i, keep, w, lanes, 8 * plane, sums + i, 2, masked);                          \
        else                                                                                                          \
            block(table, stride, panel + i, keep, w, lanes, 8 * plane, sums + i, 4, masked);                          \
    } while (0)

void neon_kernel(const Table *whole, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                 int positions, uint32_t *sums)
{
    const int64_t size = whole->size, stride = whole->row_stride;
    for (int plane = 0; plane < whole->planes; plane++) {
        const uint8_t *table = whole->entries + plane * whole->plane_stride;
        for (int i = 0; i < positions; i += BYTES * VECTORS) {
            if (keep)
                SIZES(keep + i, 1);
            else
                SIZES(0, 0);
        }
    }
}
#endif
