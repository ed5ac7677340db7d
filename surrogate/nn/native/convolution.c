/* Blocks of output positions: where their lanes come from (im2col of one block alone), and where their sums go. */
#include "convolution.h"
#include <stdlib.h>
#include <string.h>

/* No larger than the problem needs: of a small layer, clearing them would take longer than its sums, and empty the cache
 * that the caller's own work is in. */
int allocate_block(Block *b, const Problem *p)
{
    const int64_t all = p->end_lane - p->first_lane, lanes = all < LANES ? all : LANES;
    const int64_t channels = p->out_channels < CHANNELS ? p->out_channels : CHANNELS;
    const size_t panel = lanes * POSITIONS + SLACK;
    b->panel = calloc(p->keep ? 2 : 1, panel); /* the kernels read, but never use, what is beyond the last position */
    b->keep = p->keep && b->panel ? b->panel + panel : 0;
    b->tile = malloc(sizeof(uint32_t) * POSITIONS * channels);
    b->runs = malloc(sizeof(Run) * POSITIONS);
    b->rows = p->terms ? malloc(p->terms * LANES * POSITIONS) : 0;
    return b->panel && b->tile && b->runs && (b->rows || !p->terms);
}

void free_block(Block *b)
{
    free(b->panel);
    free(b->rows);
    free(b->tile);
    free(b->runs);
}

/* Blocks of a raster do not cross images. */
static int64_t raster_blocks(const Problem *p)
{
    return ((p->out_h - 1) * p->width + p->out_w + POSITIONS - 1) / POSITIONS;
}

int64_t block_count(const Problem *p, int raster)
{
    if (raster)
        return p->images * raster_blocks(p);
    return (p->images * p->out_h * p->out_w + POSITIONS - 1) / POSITIONS;
}

/* Where few output channels share a panel, it is worth more to fill it fast than to fill it densely. Cycles per lane, as
 * measured: 6 for 64 positions of an output channel, 4 for a copy. */
int raster_is_faster(const Problem *p)
{
    const int64_t in_raster = (p->out_h - 1) * p->width + p->out_w, dense = p->images * p->out_h * p->out_w;
    const int64_t copies = p->images * p->out_h * ((p->out_w + COPY - 1) / COPY);
    const int64_t steps = p->images * ((in_raster + 63) / 64);
    if (p->channels_last || p->stride_h > 1 || p->stride_w > 1)
        return 0;
    return steps * (6 * p->out_channels + 4) < dense / 64 * 6 * p->out_channels + 4 * copies;
}

/* Take block `number`; `raster` is set already. */
void place_block(const Problem *p, Block *b, int64_t number)
{
    const int64_t width = b->raster ? p->width : p->out_w;
    int64_t image = 0, first = number * POSITIONS, end = p->images * p->out_h * p->out_w;
    if (b->raster) {
        image = number / raster_blocks(p);
        first = number % raster_blocks(p) * POSITIONS;
        end = (p->out_h - 1) * width + p->out_w;
    }
    b->positions = end - first < POSITIONS ? (int)(end - first) : POSITIONS;
    b->n_runs = 0;
    for (int start = 0; start < b->positions;) {
        const int64_t position = first + start, column = position % width, left = width - column;
        const int64_t row = position / width;
        Run run = {b->raster ? image : row / p->out_h, b->raster ? row : row % p->out_h, column, start,
                   left < b->positions - start ? (int)left : b->positions - start};
        start += run.length;
        b->runs[b->n_runs++] = run;
    }
}

/* Copy lanes of one group to a panel. Runs are copied COPY bytes at a time, in order: what is too much is overwritten by
 * the next run, or lies in the slack behind buffer and panel. */
void fill_panel(const Problem *p, const Block *b, const uint8_t *source, int64_t group, int64_t first, int lanes,
                uint8_t *panel)
{
    const int64_t plane = p->height * p->width, window = p->kernel_h * p->kernel_w;
    for (int k = 0; k < lanes; k++, panel += POSITIONS) {
        const int64_t lane = first + k, channel = lane / window, pixel = lane % window;
        const int64_t down = pixel / p->kernel_w * p->dilation_h, right = pixel % p->kernel_w * p->dilation_w;
        const uint8_t *lanes_of = source + (group * p->channels + channel) * plane + down * p->width + right;
        const int64_t image = p->groups * p->channels * plane;
        if (b->raster) {
            const Run *run = b->runs;
            memcpy(panel, lanes_of + run->image * image + run->row * p->width + run->column, POSITIONS);
            continue;
        }
        for (int r = 0; r < b->n_runs; r++) {
            const Run *run = b->runs + r;
            const uint8_t *from =
                lanes_of + run->image * image + run->row * p->stride_h * p->width + run->column * p->stride_w;
            uint8_t *to = panel + run->start;
            if (p->stride_w == 1)
                for (int i = 0; i < run->length; i += COPY)
                    memcpy(to + i, from + i, COPY);
            else
                for (int i = 0; i < run->length; i++)
                    to[i] = from[i * p->stride_w];
        }
    }
}

/* Add the indices of a panel's lanes. */
void add_x_sums(Block *b, int lanes)
{
    uint16_t sums[POSITIONS] = {0}; /* which hold those of LANES bytes */
    elementwise()->add_rows(b->panel, POSITIONS, lanes, sums, POSITIONS);
    for (int i = 0; i < POSITIONS; i++)
        b->x_sums[i] += sums[i];
}

/* What is to be added to the sums of an output channel, the same for all positions. */
static uint32_t constant_of(const Problem *p, int64_t channel)
{
    const int64_t lanes = p->end_lane - p->first_lane;
    int64_t constant = p->keep ? 0 : lanes * p->minimum;
    if (p->constants)
        constant += p->constants[channel];
    if (p->scale) {
        const int64_t w_zero = p->w_zero ? p->w_zero[channel] : 0;
        constant += lanes * w_zero * (p->x_zero - p->x_minimum) - p->x_zero * p->w_sums[channel];
    }
    return (uint32_t)constant;
}

/* Finish `count` sums of one output channel; the integers wrap on the way, the result fits. */
static void finish(const Problem *p, const Block *b, int64_t channel, uint32_t constant, const uint32_t *sums,
                   int first, int count, void *to)
{
    if (p->scale) {
        const uint32_t w_zero = p->w_zero ? (uint32_t)p->w_zero[channel] : 0;
        elementwise()->rescale(sums, b->x_sums + first, count, constant, w_zero, p->scale[channel],
                               p->bias ? p->bias[channel] : 0, to);
    } else if (p->keep)
        for (int i = 0; i < count; i++)
            ((int32_t *)to)[i] = (int32_t)(sums[i] + (uint32_t)(b->kept[first + i] * p->minimum));
    else
        for (int i = 0; i < count; i++)
            ((int32_t *)to)[i] = (int32_t)(sums[i] + constant);
}

/* Channels first: a run of one image is contiguous in the output, but for what a raster has beyond its rows. */
static void write_planes(const Problem *p, const Block *b, int64_t first, int count)
{
    const int64_t plane = p->out_h * p->out_w, out_channels = p->groups * p->out_channels;
    for (int n = 0; n < count; n++) {
        const int64_t channel = first + n;
        const uint32_t constant = constant_of(p, channel), *sums = b->tile + n * POSITIONS;
        for (int r = 0; r < b->n_runs;) {
            const Run *run = b->runs + r;
            int length = run->length;
            if (b->raster) {
                const int64_t left = p->out_w - run->column;
                length = left < length ? (int)left : length;
                r++;
            } else
                for (r++; r < b->n_runs && b->runs[r].image == run->image; r++)
                    length += b->runs[r].length;
            if (length <= 0)
                continue;
            const int64_t at = (run->image * out_channels + channel) * plane + run->row * p->out_w + run->column;
            finish(p, b, channel, constant, sums + run->start, run->start, length, (int32_t *)p->out + at);
        }
    }
}

/* Channels last: finished in squares of whole cache lines, which are transposed. */
static void write_rows(const Problem *p, const Block *b, int64_t first, int count)
{
    const int64_t out_channels = p->groups * p->out_channels;
    const int64_t position = (b->runs->image * p->out_h + b->runs->row) * p->out_w + b->runs->column;
    uint32_t constants[LINE];
    for (int n0 = 0; n0 < count; n0 += LINE) {
        const int wide = count - n0 < LINE ? count - n0 : LINE;
        for (int n = 0; n < wide; n++)
            constants[n] = constant_of(p, first + n0 + n);
        for (int i0 = 0; i0 < b->positions; i0 += LINE) {
            int32_t square[LINE][LINE];
            const int high = b->positions - i0 < LINE ? b->positions - i0 : LINE;
            for (int n = 0; n < wide; n++)
                finish(p, b, first + n0 + n, constants[n], b->tile + (n0 + n) * POSITIONS + i0, i0, LINE, square[n]);
            for (int i = 0; i < high; i++) {
                int32_t *to = (int32_t *)p->out + (position + i0 + i) * out_channels + first + n0;
                for (int n = 0; n < wide; n++)
                    to[n] = square[n][i];
            }
        }
    }
}

/* Write a tile of sums, `count` output channels from `first` on (of all groups). */
void write_tile(const Problem *p, const Block *b, int64_t first, int count)
{
    if (p->channels_last)
        write_rows(p, b, first, count);
    else
        write_planes(p, b, first, count);
}
