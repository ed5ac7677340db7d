/* Any processor: the row of one weight stays in the first-level cache while the activations select from it. */
#include "kernel.h"

void portable_kernel(const Table *table, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                     int positions, uint32_t *restrict sums)
{
    for (int k = 0; k < lanes; k++) {
        const uint32_t *row = (const uint32_t *)table->entries + 256 * (int64_t)w[k];
        const uint8_t *x = panel + (int64_t)k * POSITIONS;
        if (keep) {
            const uint8_t *mask = keep + (int64_t)k * POSITIONS;
            for (int i = 0; i < positions; i++)
                sums[i] += mask[i] ? row[x[i]] : 0;
        } else {
            for (int i = 0; i < positions; i++)
                sums[i] += row[x[i]];
        }
    }
}
