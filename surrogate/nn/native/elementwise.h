/* Loops over the elements of a tensor, compiled for several instruction sets. */
#ifndef AXSURROGATE_ELEMENTWISE_H
#define AXSURROGATE_ELEMENTWISE_H

#include "kernel.h"

/* q = clamp(round(x / scale) + zero, low, high), rounding half to even; the index is q minus the operand's minimum. */
typedef struct {
    float scale, zero, low, high;
    int32_t minimum;
    int32_t smallest, largest; /* index found so far */
    int32_t nan;               /* whether a value was not a number */
} Grid;

typedef struct {
    /* Smallest and largest value, and whether any is infinite or not a number. */
    int (*range)(const float *x, int64_t n, float *low, float *high);
    /* Indices of n values, and (unless NULL) bytes that are 1 where nothing was clamped. */
    void (*quantise)(const float *x, uint8_t *codes, uint8_t *inside, int64_t n, Grid *grid);
    /* y = (index + minimum - zero) * scale */
    void (*dequantise)(const uint8_t *codes, float *y, int64_t n, const Grid *grid);
    /* Set to 0 what was clamped. */
    void (*mask)(float *values, const uint8_t *inside, int64_t n);
    /* Add rows of n bytes, `stride` apart, to 16-bit sums. */
    void (*add_rows)(const uint8_t *rows, int64_t stride, int count, uint16_t *sums, int n);
    /* y = (sum + constant - factor * other) * scale + bias: the integer wraps on the way and is rounded once */
    void (*rescale)(const uint32_t *sums, const uint32_t *other, int n, uint32_t constant, uint32_t factor,
                    float scale, float bias, float *y);
} Elementwise;

/* Those for this processor. */
const Elementwise *elementwise(void);

#endif
