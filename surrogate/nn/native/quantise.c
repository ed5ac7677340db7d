/* Quantisation of float tensors straight to packed indices, and back. */
#include "convolution.h"
#include <float.h>
#include <math.h>
#include <string.h>

/* Activations are [images][channels][height][width], or, with channels last, [images][height][width][channels]. */
typedef struct {
    const float *x;
    uint8_t *codes;  /* [images][channels][padded_h][padded_w]; around the input, indices of 0; SLACK bytes more */
    uint8_t *inside; /* as x: 1 where nothing was clamped; or NULL */
    int64_t images, channels, height, width, top, left, padded_h, padded_w, channels_last;
    Grid grid;
    int64_t next_part; /* shared between threads, and so is what they find: */
    int32_t smallest, largest, nan, unused;
} Quantisation;

enum { SQUARE = 64, AT_ONCE = 2048, VALUES_OF_A_TASK = 1 << 14 };

/* Channels of an image whose channels are last: squares of pixels and channels are quantised, then transposed. */
static void quantise_last(const Elementwise *loops, const Quantisation *q, const float *x, uint8_t *codes,
                          uint8_t *inside, int count, Grid *grid)
{
    const int64_t plane = q->padded_h * q->padded_w;
    uint8_t square[SQUARE][SQUARE], turned[SQUARE][SQUARE];
    for (int64_t row = 0; row < q->height; row++)
        for (int64_t p0 = 0; p0 < q->width; p0 += SQUARE) {
            const int pixels = q->width - p0 < SQUARE ? (int)(q->width - p0) : SQUARE;
            for (int p = 0; p < pixels; p++) {
                const int64_t at = (row * q->width + p0 + p) * q->channels;
                loops->quantise(x + at, square[p], inside ? inside + at : 0, count, grid);
            }
            for (int c = 0; c < count; c++)
                for (int p = 0; p < pixels; p++)
                    turned[c][p] = square[p][c];
            for (int c = 0; c < count; c++)
                memcpy(codes + c * plane + (q->top + row) * q->padded_w + q->left + p0, turned[c], pixels);
        }
}

/* One channel of an image, into its padding. Rows may be much shorter than a loop over elements likes. */
static void quantise_plane(const Elementwise *loops, const Quantisation *q, const float *x, uint8_t *codes,
                           uint8_t *inside, Grid *grid)
{
    uint8_t rows[AT_ONCE];
    const int64_t fit = AT_ONCE / q->width;
    for (int64_t row = 0; row < q->height;) {
        uint8_t *to = codes + (q->top + row) * q->padded_w + q->left;
        const int64_t left = q->height - row, count = fit < 1 ? 1 : fit < left ? fit : left, at = row * q->width;
        loops->quantise(x + at, fit < 1 ? to : rows, inside ? inside + at : 0, count * q->width, grid);
        for (int64_t i = 0; fit >= 1 && i < count; i++)
            memcpy(to + i * q->padded_w, rows + i * q->width, q->width);
        row += count;
    }
}

/* Channels first .. first + count of an image. */
static void quantise_channels(const Elementwise *loops, const Quantisation *q, int64_t image, int64_t first, int count,
                              Grid *grid)
{
    const int64_t plane = q->padded_h * q->padded_w, area = q->height * q->width, channel = image * q->channels + first;
    const int64_t at = q->channels_last ? image * q->channels * area + first : channel * area;
    const float *x = q->x + at;
    uint8_t *codes = q->codes + channel * plane, *inside = q->inside ? q->inside + at : 0;
    if (plane > area) {
        const int32_t zero = (int32_t)grid->zero - grid->minimum;
        memset(codes, zero, count * plane);
        grid->smallest = zero < grid->smallest ? zero : grid->smallest;
        grid->largest = zero > grid->largest ? zero : grid->largest;
    }
    if (q->channels_last)
        quantise_last(loops, q, x, codes, inside, count, grid);
    else if (plane == area)
        loops->quantise(x, codes, inside, count * area, grid);
    else
        for (int64_t c = 0; c < count; c++)
            quantise_plane(loops, q, x + c * area, codes + c * plane, inside ? inside + c * area : 0, grid);
}

/* What a thread found, joined to what the others did. */
static void join(Quantisation *q, const Grid *found)
{
    int32_t smallest = __atomic_load_n(&q->smallest, __ATOMIC_RELAXED);
    int32_t largest = __atomic_load_n(&q->largest, __ATOMIC_RELAXED);
    while (found->smallest < smallest && !__atomic_compare_exchange_n(&q->smallest, &smallest, found->smallest, 1,
                                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    while (found->largest > largest && !__atomic_compare_exchange_n(&q->largest, &largest, found->largest, 1,
                                                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    __atomic_fetch_or(&q->nan, found->nan, __ATOMIC_RELAXED);
}

/* Range of each channel of x [channels][n]. Returns whether a value is infinite or not a number. */
static int range_of(const float *x, int64_t channels, int64_t n, float *low, float *high)
{
    int infinite = 0;
    for (int64_t c = 0; c < channels; c++)
        infinite |= elementwise()->range(x + c * n, n, low + c, high + c);
    return infinite;
}

/* Which integers stand for a range, see AffineGrid in observers.py, and what is remembered of earlier ranges. */
typedef struct {
    float momentum; /* of the newest range */
    int32_t extend; /* to the union of ranges instead, */
    int32_t first;  /* unless this is the first one */
    int32_t low, high, symmetric;
    float *minimum, *maximum, *scale;
    int32_t *zero;
} Observation;

EXPORT int64_t axs_observation_size(void)
{
    return sizeof(Observation);
}

static float remembered(const Observation *o, float before, float now, int is_low)
{
    if (o->first)
        return now;
    if (o->extend)
        return is_low == (now < before) ? now : before;
    return before + (now - before) * o->momentum;
}

/* Take note of the range of each channel of x [channels][n], and set scales and zero points. Returns whether a value
 * is infinite or not a number; nothing is noted then. `low` and `high` are for work, [channels]. */
EXPORT int axs_observe(const float *x, int64_t channels, int64_t n, float *low, float *high, const Observation *o)
{
    const float tiny = FLT_MIN, steps = (float)(o->high - o->low), middle = (float)((o->high + 1) / 2);
    if (range_of(x, channels, n, low, high))
        return 1;
    for (int64_t c = 0; c < channels; c++) {
        o->minimum[c] = remembered(o, o->minimum[c], low[c], 1);
        o->maximum[c] = remembered(o, o->maximum[c], high[c], 0);
        const float least = o->minimum[c] < 0 ? o->minimum[c] : 0, most = o->maximum[c] > 0 ? o->maximum[c] : 0;
        const float magnitude = -least > most ? -least : most;
        float scale, zero = 0;
        if (!o->symmetric)
            scale = (most - least) / steps;
        else if (o->low < 0)
            scale = magnitude / (float)(o->high > 1 ? o->high : 1);
        else {
            zero = least < 0 ? middle : 0;
            scale = magnitude / (least < 0 ? (o->high - middle > 1 ? o->high - middle : 1) : (float)o->high);
        }
        scale = scale > tiny ? scale : 1;
        if (!o->symmetric) {
            zero = rintf((float)o->low - least / scale);
            zero = zero < (float)o->low ? (float)o->low : zero;
            zero = zero > (float)o->high ? (float)o->high : zero;
        }
        o->scale[c] = scale;
        o->zero[c] = (int32_t)zero;
    }
    return 0;
}

/* What the caller's description of a Quantisation must agree with. */
EXPORT int64_t axs_quantisation_size(void)
{
    return sizeof(Quantisation);
}

/* What each thread of a team calls, with the Quantisation: takes some parts of images, of SQUARE channels each, until
 * none is left. */
EXPORT void axs_quantise(void *quantisation)
{
    Quantisation *q = quantisation;
    const int64_t parts = (q->channels + SQUARE - 1) / SQUARE, all = q->images * parts;
    const int64_t values = q->height * q->width * (q->channels < SQUARE ? q->channels : SQUARE);
    const int64_t together = 1 + VALUES_OF_A_TASK / (values + 1);
    Grid grid = q->grid;
    for (;;) {
        const int64_t begin = __atomic_fetch_add(&q->next_part, together, __ATOMIC_RELAXED);
        const int64_t end = begin + together < all ? begin + together : all;
        if (begin >= all)
            break;
        if (end == all) /* what is read there is never used, but defined */
            memset(q->codes + q->images * q->channels * q->padded_h * q->padded_w, 0, SLACK);
        for (int64_t part = begin; part < end; part++) {
            const int64_t first = part % parts * SQUARE, left = q->channels - first;
            quantise_channels(elementwise(), q, part / parts, first, left < SQUARE ? (int)left : SQUARE, &grid);
        }
    }
    join(q, &grid);
}

/* Weights [channels][lanes], quantised by one scale and zero point, or by one for each channel, and what follows from
 * them. Scale and zero point are written out for each channel. */
typedef struct {
    const float *w, *scale;
    const int32_t *zero;
    int64_t channels, lanes, per_channel;
    float low, high;
    int32_t minimum, unused;
    uint8_t *codes, *inside;
    float *values; /* that the codes stand for */
    int64_t *sums; /* of each channel's integers */
    float *scales;
    int32_t *zeros;
} Weights;

EXPORT int64_t axs_weights_size(void)
{
    return sizeof(Weights);
}

/* Returns whether a weight is not a number. */
EXPORT int axs_quantise_weights(const Weights *q)
{
    Grid grid = {0, 0, q->low, q->high, q->minimum, 255, 0, 0};
    for (int64_t c = 0; c < q->channels; c++) {
        uint8_t *codes = q->codes + c * q->lanes;
        q->scales[c] = grid.scale = q->scale[q->per_channel ? c : 0];
        q->zeros[c] = q->zero[q->per_channel ? c : 0];
        grid.zero = (float)q->zeros[c];
        elementwise()->quantise(q->w + c * q->lanes, codes, q->inside + c * q->lanes, q->lanes, &grid);
        elementwise()->dequantise(codes, q->values + c * q->lanes, q->lanes, &grid);
        q->sums[c] = q->lanes * grid.minimum;
        for (int64_t k = 0; k < q->lanes; k++)
            q->sums[c] += codes[k];
    }
    return grid.nan;
}

/* The values that codes stand for, without their padding. */
EXPORT void axs_dequantise(const Quantisation *q, float *y)
{
    const Elementwise *loops = elementwise();
    const int64_t planes = q->images * q->channels;
    if (q->padded_h == q->height && q->padded_w == q->width) {
        loops->dequantise(q->codes, y, planes * q->height * q->width, &q->grid);
        return;
    }
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t row = 0; row < q->height; row++, y += q->width) {
            const uint8_t *codes = q->codes + (plane * q->padded_h + q->top + row) * q->padded_w + q->left;
            loops->dequantise(codes, y, q->width, &q->grid);
        }
}

/* Set to 0 what was clamped. */
EXPORT void axs_mask(float *values, const uint8_t *inside, int64_t n)
{
    elementwise()->mask(values, inside, n);
}
