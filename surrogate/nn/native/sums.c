/* Sums of products of a multiplier over the receptive fields of a convolution: packing, blocks and dispatch.
 *
 * Activations are packed once to bytes, channel by channel. A task is a block of output positions and a range of
 * output channels; threads take tasks from a shared counter until none is left. For each task and group, LANES lanes at
 * a time are copied to a panel (lane-major, contiguous along the positions: im2col of that block alone).
 */
#include "kernel.h"
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum {
    SLACK = 16,
    CHANNELS = 256, /* of a tile of sums */
    LINE = 16,      /* int32 of a cache line */
    PIXELS = 64     /* packed at a time */
};

typedef struct {
    const uint8_t *x;    /* [images][groups * channels][height][width], and SLACK bytes more */
    const uint8_t *keep; /* as x: 0xff, or 0 where the lane is skipped; NULL if none is */
    const uint8_t *w;    /* [groups * out_channels][kernel_h * kernel_w * channels] */
    int32_t *out;        /* [images * out_h * out_w][groups * out_channels] */
    Table table;
    int64_t minimum; /* added once per lane that is not skipped */
    int64_t images, channels, height, width, groups, out_channels;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, out_h, out_w;
    int64_t first_lane, end_lane;
    int64_t kernel, splits;
    int64_t next_task; /* shared between threads */
} Problem;

typedef struct {
    int64_t image, row, column; /* of the output */
    int start, length;
} Run;

typedef struct {
    uint8_t *panel, *keep;
    uint32_t *tile;
    Run *runs;
    int n_runs;
    int64_t kept[POSITIONS];
} Block;

/* Bit 0: AVX2; bit 1: AVX-512 with VBMI; bit 2: NEON. The compiler's check of the first two includes that the system
 * saves the registers. */
EXPORT int axs_features(void)
{
#ifdef HAVE_X86_KERNELS
    __builtin_cpu_init();
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    return (__builtin_cpu_supports("avx2") ? 1 : 0) | (avx512 && __builtin_cpu_supports("avx512vbmi") ? 2 : 0);
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

/* Split positions first .. first + count into runs along rows of the output. */
static int split_into_runs(const Problem *p, int64_t first, int count, Run *runs)
{
    int n = 0;
    for (int start = 0; start < count; n++) {
        const int64_t position = first + start, column = position % p->out_w, left = p->out_w - column;
        Run run = {position / p->out_w / p->out_h, position / p->out_w % p->out_h, column, start,
                   left < count - start ? (int)left : count - start};
        start += run.length;
        runs[n] = run;
    }
    return n;
}

/* Copy lanes of one group to a panel. Runs are copied 16 bytes at a time, in order: what is too much is overwritten by
 * the next run, or lies in the slack behind buffer and panel. */
static void fill_panel(const Problem *p, const Block *b, const uint8_t *source, int64_t group, int64_t first, int lanes,
                       uint8_t *panel)
{
    const int64_t plane = p->height * p->width;
    for (int k = 0; k < lanes; k++, panel += POSITIONS) {
        const int64_t lane = first + k, channel = lane % p->channels, pixel = lane / p->channels;
        const int64_t down = pixel / p->kernel_w * p->dilation_h, right = pixel % p->kernel_w * p->dilation_w;
        for (int r = 0; r < b->n_runs; r++) {
            const Run *run = b->runs + r;
            const uint8_t *from = source + ((run->image * p->groups + group) * p->channels + channel) * plane +
                                  (run->row * p->stride_h + down) * p->width + run->column * p->stride_w + right;
            uint8_t *to = panel + run->start;
            if (p->stride_w == 1)
                for (int i = 0; i < run->length; i += SLACK)
                    memcpy(to + i, from + i, SLACK);
            else
                for (int i = 0; i < run->length; i++)
                    to[i] = from[i * p->stride_w];
        }
    }
}

/* Transpose a tile of sums to the output, with the minimum of every lane; by squares of whole cache lines. */
static void write_sums(const Problem *p, const Block *b, int channels, int positions, int32_t *out)
{
    const int64_t out_channels = p->groups * p->out_channels;
    for (int i0 = 0; i0 < positions; i0 += LINE)
        for (int n0 = 0; n0 < channels; n0 += LINE) {
            int32_t square[LINE][LINE];
            const int wide = channels - n0 < LINE ? channels - n0 : LINE;
            const int count = positions - i0 < LINE ? positions - i0 : LINE;
            for (int n = 0; n < wide; n++)
                for (int i = 0; i < LINE; i++)
                    square[i][n] = (int32_t)b->tile[(n0 + n) * POSITIONS + i0 + i];
            for (int i = 0; i < count; i++) {
                const uint32_t offset = (uint32_t)(b->kept[i0 + i] * p->minimum);
                for (int n = 0; n < wide; n++)
                    out[(i0 + i) * out_channels + n0 + n] = (int32_t)((uint32_t)square[i][n] + offset);
            }
        }
}

/* Sums of output channels first .. first + count of one group, for the positions of a block. */
static void add_channels(const Problem *p, Block *b, Kernel *kernel, int64_t group, int64_t first, int count,
                         int64_t position, int positions)
{
    const int64_t all_lanes = p->kernel_h * p->kernel_w * p->channels, out_channels = p->groups * p->out_channels;
    const uint8_t *w = p->w + (group * p->out_channels + first) * all_lanes;
    memset(b->tile, 0, sizeof(uint32_t) * POSITIONS * count);
    for (int i = 0; i < positions; i++)
        b->kept[i] = p->keep ? 0 : p->end_lane - p->first_lane;
    for (int64_t k = p->first_lane; k < p->end_lane; k += LANES) {
        const int lanes = p->end_lane - k < LANES ? (int)(p->end_lane - k) : LANES;
        fill_panel(p, b, p->x, group, k, lanes, b->panel);
        if (p->keep) {
            fill_panel(p, b, p->keep, group, k, lanes, b->keep);
            for (int j = 0; j < lanes; j++)
                for (int i = 0; i < positions; i++)
                    b->kept[i] += b->keep[j * POSITIONS + i] & 1;
        }
        for (int n = 0; n < count; n++)
            kernel(&p->table, b->panel, p->keep ? b->keep : 0, w + n * all_lanes + k, lanes, positions,
                   b->tile + n * POSITIONS);
    }
    write_sums(p, b, count, positions, p->out + position * out_channels + group * p->out_channels + first);
}

static int allocate(Block *b)
{
    const size_t panel = LANES * POSITIONS + SLACK;
    b->panel = calloc(2, panel); /* what the kernels read beyond the last position is defined, though never used */
    b->keep = b->panel ? b->panel + panel : 0;
    b->tile = malloc(sizeof(uint32_t) * POSITIONS * CHANNELS);
    b->runs = malloc(sizeof(Run) * POSITIONS);
    return b->panel && b->tile && b->runs;
}

/* Take tasks until none is left. Returns 0, or 1 if there is no memory. */
EXPORT int axs_sums(Problem *p)
{
    const int64_t positions = p->images * p->out_h * p->out_w, out_channels = p->groups * p->out_channels;
    const int64_t blocks = (positions + POSITIONS - 1) / POSITIONS;
    const int64_t share = (out_channels + p->splits - 1) / p->splits;
    Kernel *kernel = kernel_of(p->kernel);
    Block b;
    const int failed = !allocate(&b);
    while (!failed) {
        const int64_t task = __atomic_fetch_add(&p->next_task, 1, __ATOMIC_RELAXED);
        if (task >= blocks * p->splits)
            break;
        const int64_t position = task / p->splits * POSITIONS, begin = task % p->splits * share;
        const int64_t end = begin + share < out_channels ? begin + share : out_channels;
        const int count = positions - position < POSITIONS ? (int)(positions - position) : POSITIONS;
        b.n_runs = split_into_runs(p, position, count, b.runs);
        for (int64_t c = begin; c < end;) {
            const int64_t group = c / p->out_channels, first = c % p->out_channels;
            int64_t n = p->out_channels - first;
            n = n < end - c ? n : end - c;
            n = n < CHANNELS ? n : CHANNELS;
            add_channels(p, &b, kernel, group, first, (int)n, position, count);
            c += n;
        }
    }
    free(b.panel);
    free(b.tile);
    free(b.runs);
    return failed;
}
