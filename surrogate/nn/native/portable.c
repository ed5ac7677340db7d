/* Any processor: the rows of two weights stay in the first-level cache while the activations of two lanes select from
 * them, so that a sum is read and written once for two entries.
 */
#include "kernel.h"

void portable_kernel(const Table *table, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                     int positions, uint32_t *restrict sums)
{
    const uint32_t *entries = (const uint32_t *)table->entries;
    int k = 0;
    for (; !keep && k + 1 < lanes; k += 2) {
        const uint32_t *row = entries + 256 * (int64_t)w[k], *next = entries + 256 * (int64_t)w[k + 1];
        const uint8_t *x = panel + (int64_t)k * POSITIONS, *y = x + POSITIONS;
        for (int i = 0; i < positions; i++)
            sums[i] += row[x[i]] + next[y[i]];
    }
    for (; k < lanes; k++) {
        const uint32_t *row = entries + 256 * (int64_t)w[k];
        const uint8_t *x = panel + (int64_t)k * POSITIONS, *mask = keep ? keep + (int64_t)k * POSITIONS : 0;
        for (int i = 0; i < positions; i++)
            sums[i] += !mask || mask[i] ? row[x[i]] : 0;
    }
}
