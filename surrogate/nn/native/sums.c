/* Sums of products of a multiplier over the windows of a convolution: packing, tasks and dispatch.
 *
 * A task is a block of output positions and a range of output channels; threads take tasks from a shared counter until
 * none is left. For each task and group, LANES lanes at a time are copied to a panel.
 */
#include "convolution.h"
#include <string.h>

enum { PIXELS = 64 /* packed at a time */ };

/* Bit 0: AVX2; bit 1: AVX-512 with VBMI; bit 2: NEON; bit 3: VNNI beside bit 1. The compiler's check of those of x86
 * includes that the system saves the registers. */
EXPORT int axs_features(void)
{
#ifdef HAVE_X86_KERNELS
    __builtin_cpu_init();
    const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    const int vbmi = avx512 && __builtin_cpu_supports("avx512vbmi");
    return (__builtin_cpu_supports("avx2") ? 1 : 0) | (vbmi ? 2 : 0) |
           (vbmi && __builtin_cpu_supports("avx512vnni") ? 8 : 0);
#elif defined(HAVE_NEON_KERNEL)
    return 4;
#else
    return 0;
#endif
}

/* What the caller's description of a Problem must agree with. */
EXPORT int64_t axs_problem_size(void)
{
    return sizeof(Problem);
}

static Kernel *kernel_of(int64_t number)
{
#ifdef HAVE_X86_KERNELS
    if (number == 2)
        return avx512_kernel;
    if (number == 1)
        return avx2_kernel;
#elif defined(HAVE_NEON_KERNEL)
    if (number == 3)
        return neon_kernel;
#endif
    (void)number;
    return portable_kernel;
}
/* Transpose [pixels][channels] of indices to bytes [channels][pixels] per image; `keep`, if not NULL, likewise.
 * Returns bits: 1 if an index is `size` (a skipped lane), 2 if one is outside [0, size]. */
EXPORT int axs_pack(const int32_t *x, int64_t images, int64_t pixels, int64_t channels, int32_t size, uint8_t *out,
                    uint8_t *keep)
{
    int32_t skipped = 0, outside = 0;
    for (int64_t n = 0; n < images; n++, x += pixels * channels)
        for (int64_t p0 = 0; p0 < pixels; p0 += PIXELS)
            for (int64_t c0 = 0; c0 < channels; c0 += LINE) {
                uint8_t bytes[LINE][PIXELS], kept[LINE][PIXELS]; /* whole lines are read: strides alias in the cache */
                const int wide = channels - c0 < LINE ? (int)(channels - c0) : LINE;
                const int count = pixels - p0 < PIXELS ? (int)(pixels - p0) : PIXELS;
                for (int p = 0; p < count; p++)
                    for (int c = 0; c < wide; c++) {
                        const int32_t index = x[(p0 + p) * channels + c0 + c];
                        skipped |= index == size;
                        outside |= (uint32_t)index > (uint32_t)size;
                        bytes[c][p] = (uint8_t)index;
                    }
                for (int p = 0; keep && p < count; p++)
                    for (int c = 0; c < wide; c++)
                        kept[c][p] = x[(p0 + p) * channels + c0 + c] == size ? 0 : 0xff;
                for (int c = 0; c < wide; c++) {
                    const int64_t at = (n * channels + c0 + c) * pixels + p0;
                    memcpy(out + at, bytes[c], count);
                    if (keep)
                        memcpy(keep + at, kept[c], count);
                }
            }
    return (skipped ? 1 : 0) | (outside ? 2 : 0);
}

/* Add what lanes in the panel contribute to `count` output channels by products of factors, and to all alike. */
static void add_products(const Problem *p, Block *b, Kernel *kernel, const uint8_t *w, int lanes, int count)
{
    static const uint8_t only_row[LANES] = {0};
    transform_panel(p, b, lanes);
    multiply_rows(p, b, w, lanes, count);
    if (p->table.entries)
        kernel(&p->table, b->panel, 0, only_row, lanes, b->positions, b->shared);
}

/* Sums of output channels first .. first + count of one group, for the positions of a block. */
static void add_channels(const Problem *p, Block *b, Kernel *kernel, int64_t group, int64_t first, int count)
{
    const int64_t depth = p->factors ? p->depth : p->kernel_h * p->kernel_w * p->channels; /* of an output channel */
    const uint8_t *w = p->w + (group * p->out_channels + first) * depth;
    const int shares = p->factors && p->table.entries;
    memset(b->tile, 0, sizeof(uint32_t) * POSITIONS * count);
    if (shares)
        memset(b->shared, 0, sizeof b->shared);
    if (p->w_zero)
        memset(b->x_sums, 0, sizeof b->x_sums);
    if (p->keep)
        memset(b->kept, 0, sizeof b->kept);
    for (int64_t k = p->first_lane; k < p->end_lane; k += LANES) {
        const int lanes = p->end_lane - k < LANES ? (int)(p->end_lane - k) : LANES;
        fill_panel(p, b, p->x, group, k, lanes, b->panel);
        if (p->w_zero)
            add_x_sums(b, lanes);
        if (p->keep) {
            fill_panel(p, b, p->keep, group, k, lanes, b->keep);
            for (int j = 0; j < lanes; j++)
                for (int i = 0; i < b->positions; i++)
                    b->kept[i] += b->keep[j * POSITIONS + i] & 1;
        }
        if (p->factors)
            add_products(p, b, kernel, w + k * p->terms, lanes, count);
        for (int n = 0; !p->factors && n < count; n++)
            kernel(&p->table, b->panel, p->keep ? b->keep : 0, w + n * depth + k, lanes, b->positions,
                   b->tile + n * POSITIONS);
    }
    for (int n = 0; shares && n < count; n++)
        for (int i = 0; i < POSITIONS; i++)
            b->tile[n * POSITIONS + i] += b->shared[i];
    write_tile(p, b, group * p->out_channels + first, count);
}

/* Take tasks until none is left. Returns 0, or 1 if there is no memory. */
static int sum_tasks(Problem *p)
{
    const int64_t out_channels = p->groups * p->out_channels;
    const int64_t share = (out_channels + p->splits - 1) / p->splits;
    Kernel *kernel = kernel_of(p->kernel);
    Block b;
    b.raster = raster_is_faster(p);
    const int64_t tasks = block_count(p, b.raster) * p->splits;
    const int failed = !allocate_block(&b, p);
    while (!failed) {
        const int64_t task = __atomic_fetch_add(&p->next_task, 1, __ATOMIC_RELAXED);
        if (task >= tasks)
            break;
        const int64_t begin = task % p->splits * share;
        const int64_t end = begin + share < out_channels ? begin + share : out_channels;
        place_block(p, &b, task / p->splits);
        for (int64_t c = begin; c < end;) {
            const int64_t group = c / p->out_channels, first = c % p->out_channels;
            int64_t n = p->out_channels - first;
            n = n < end - c ? n : end - c;
            n = n < CHANNELS ? n : CHANNELS;
            add_channels(p, &b, kernel, group, first, (int)n);
            c += n;
        }
    }
    free_block(&b);
    return failed;
}

/* What each thread of a team calls, with the Problem: OpenMP's form of a task. */
EXPORT void axs_sums(void *problem)
{
    if (sum_tasks(problem))
        __atomic_fetch_add(&((Problem *)problem)->failures, 1, __ATOMIC_RELAXED);
}
