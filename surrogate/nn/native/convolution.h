/* What the sums of table entries and the products of factors share: a convolution, its blocks and its output. */
#ifndef AXSURROGATE_CONVOLUTION_H
#define AXSURROGATE_CONVOLUTION_H

#include "elementwise.h"

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum {
    SLACK = 512,    /* bytes that may be read behind packed activations */
    CHANNELS = 256, /* of a tile of sums */
    COPY = 32,      /* bytes at a time */
    LINE = 16       /* int32 of a cache line */
};

/* Sums over the windows of a convolution of already padded activations, and what becomes of them.
 *
 * Integers are indices: value minus the smallest value of the operand. Lanes of a window are numbered as torch numbers
 * weights: channel, row, column. With `scale`, the output is
 *
 *     y[c] = scale[c] * (sum f - x_zero * sum wq - w_zero[c] * sum xq + N x_zero w_zero[c]) + bias[c]
 *
 * in float32, the integer rounded once; else it is the sum of f alone, in int32.
 */
typedef struct {
    const uint8_t *x;    /* [images][groups * channels][height][width], and SLACK bytes more */
    const uint8_t *keep; /* as x: 0xff, or 0 where the lane is skipped; NULL if none is */
    const uint8_t *w;    /* [groups * out_channels][channels * kernel_h * kernel_w] */
    void *out;           /* [images][groups * out_channels][out_h][out_w], or channels last */
    Table table;
    int64_t minimum; /* of the table; added once per lane that is not skipped */
    const uint8_t *factors;   /* see dot.c; NULL where the table is all */
    const int64_t *constants; /* per output channel, added to its sums; or NULL */
    int64_t terms, factor_stride, depth;
    int64_t images, channels, height, width, groups, out_channels;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, out_h, out_w;
    int64_t first_lane, end_lane;
    int64_t channels_last; /* layout of the output */
    const float *scale;    /* per output channel, or NULL */
    const float *bias;     /* per output channel, or NULL */
    const int64_t *w_sums; /* per output channel: sum wq */
    const int32_t *w_zero; /* per output channel, or NULL where all are 0 */
    int64_t x_zero, x_minimum;
    int64_t kernel, splits;
    int64_t next_task; /* shared between threads */
    int64_t failures;  /* threads that had no memory */
} Problem;

typedef struct {
    int64_t image, row, column; /* of the output */
    int start, length;          /* within the block */
} Run;

/* A block of output positions. In a raster, rows are as wide as the input's: what lies beyond the output's own width
 * is summed in vain, but a lane is then a single run. */
typedef struct {
    uint8_t *panel, *keep; /* [LANES][POSITIONS] */
    uint8_t *rows;         /* see dot.c; NULL where the table is all */
    uint32_t *tile;        /* [CHANNELS][POSITIONS] */
    Run *runs;
    int n_runs, positions, raster;
    int64_t kept[POSITIONS];     /* lanes that are not skipped */
    uint32_t x_sums[POSITIONS];  /* sum of indices, where needed */
    uint32_t shared[POSITIONS];  /* what all output channels add, beside products of factors */
} Block;

int allocate_block(Block *b, const Problem *p);
void free_block(Block *b);
int raster_is_faster(const Problem *p);
int64_t block_count(const Problem *p, int raster);
void place_block(const Problem *p, Block *b, int64_t number);
void fill_panel(const Problem *p, const Block *b, const uint8_t *source, int64_t group, int64_t first, int lanes,
                uint8_t *panel);
void add_x_sums(Block *b, int lanes);
void write_tile(const Problem *p, const Block *b, int64_t first, int count);

/* Products of factors, see dot.c. */
void transform_panel(const Problem *p, Block *b, int lanes);
void multiply_rows(const Problem *p, Block *b, const uint8_t *w, int lanes, int count);

#endif
