/* Each loop is written once, and compiled by VARIANT for each instruction set. */
#include "elementwise.h"
#include <float.h>

enum { PARTS = 32 };

INLINE int range(const float *restrict x, int64_t n, float *low, float *high)
{
    float smallest[PARTS], largest[PARTS]; /* of every PARTS-th value: a compiler may not reorder comparisons itself */
    int32_t infinite[PARTS];
    for (int j = 0; j < PARTS; j++) {
        smallest[j] = FLT_MAX;
        largest[j] = -FLT_MAX;
        infinite[j] = 0;
    }
    int64_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int j = 0; j < PARTS; j++) {
            const float value = x[i + j];
            smallest[j] = value < smallest[j] ? value : smallest[j];
            largest[j] = value > largest[j] ? value : largest[j];
            infinite[j] |= !(value <= FLT_MAX && value >= -FLT_MAX);
        }
    for (int j = 0; i + j < n; j++) {
        const float value = x[i + j];
        smallest[j] = value < smallest[j] ? value : smallest[j];
        largest[j] = value > largest[j] ? value : largest[j];
        infinite[j] |= !(value <= FLT_MAX && value >= -FLT_MAX);
    }
    *low = smallest[0];
    *high = largest[0];
    for (int j = 1; j < PARTS; j++) {
        *low = smallest[j] < *low ? smallest[j] : *low;
        *high = largest[j] > *high ? largest[j] : *high;
        infinite[0] |= infinite[j];
    }
    return infinite[0];
}

/* Rounding adds and subtracts 1.5 * 2**23: exact for |x / scale| < 2**22, and what is larger is clamped anyway. */
INLINE void quantise(const float *restrict x, uint8_t *restrict codes, uint8_t *restrict inside, int64_t n,
                            Grid *grid)
{
    const float scale = grid->scale, zero = grid->zero, low = grid->low, high = grid->high;
    const float magic = 12582912.0f, most = 4194304.0f;
    const int32_t minimum = grid->minimum;
    int32_t smallest = grid->smallest, largest = grid->largest, nan = 0;
    for (int64_t i = 0; i < n; i++) {
        float t = x[i] / scale;
        nan |= t != t;
        t = t > -most ? t : -most;
        t = t < most ? t : most;
        const float rounded = (t + magic - magic) + zero;
        float clamped = rounded > low ? rounded : low;
        clamped = clamped < high ? clamped : high;
        const int32_t code = (int32_t)clamped - minimum;
        smallest = code < smallest ? code : smallest;
        largest = code > largest ? code : largest;
        codes[i] = (uint8_t)code;
        if (inside)
            inside[i] = rounded == clamped;
    }
    grid->smallest = smallest;
    grid->largest = largest;
    grid->nan |= nan;
}

INLINE void dequantise(const uint8_t *restrict codes, float *restrict y, int64_t n, const Grid *grid)
{
    const float scale = grid->scale, zero = grid->zero;
    const int32_t minimum = grid->minimum;
    for (int64_t i = 0; i < n; i++)
        y[i] = ((float)(codes[i] + minimum) - zero) * scale;
}

INLINE void mask(float *restrict values, const uint8_t *restrict inside, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        values[i] = inside[i] ? values[i] : 0.0f;
}

INLINE void add_rows(const uint8_t *restrict rows, int64_t stride, int count, uint16_t *restrict sums, int n)
{
    for (int k = 0; k < count; k++)
        for (int i = 0; i < n; i++)
            sums[i] += rows[k * stride + i];
}

INLINE void rescale(const uint32_t *restrict sums, const uint32_t *restrict other, int n, uint32_t constant,
                           uint32_t factor, float scale, float bias, float *restrict y)
{
    if (factor)
        for (int i = 0; i < n; i++)
            y[i] = (float)(int32_t)(sums[i] + constant - factor * other[i]) * scale + bias;
    else
        for (int i = 0; i < n; i++)
            y[i] = (float)(int32_t)(sums[i] + constant) * scale + bias;
}

#define VARIANT(name, target)                                                                                         \
    target static int name##_range(const float *x, int64_t n, float *low, float *high)                                \
    {                                                                                                                 \
        return range(x, n, low, high);                                                                                \
    }                                                                                                                 \
    target static void name##_quantise(const float *x, uint8_t *codes, uint8_t *inside, int64_t n, Grid *grid)        \
    {                                                                                                                 \
        quantise(x, codes, inside, n, grid);                                                                          \
    }                                                                                                                 \
    target static void name##_dequantise(const uint8_t *codes, float *y, int64_t n, const Grid *grid)                 \
    {                                                                                                                 \
        dequantise(codes, y, n, grid);                                                                                \
    }                                                                                                                 \
    target static void name##_mask(float *values, const uint8_t *inside, int64_t n)                                   \
    {                                                                                                                 \
        mask(values, inside, n);                                                                                      \
    }                                                                                                                 \
    target static void name##_add_rows(const uint8_t *rows, int64_t stride, int count, uint16_t *sums, int n)         \
    {                                                                                                                 \
        add_rows(rows, stride, count, sums, n);                                                                       \
    }                                                                                                                 \
    target static void name##_rescale(const uint32_t *sums, const uint32_t *other, int n, uint32_t constant,          \
                                      uint32_t factor, float scale, float bias, float *y)                             \
    {                                                                                                                 \
        rescale(sums, other, n, constant, factor, scale, bias, y);                                                    \
    }                                                                                                                 \
    static const Elementwise name = {name##_range, name##_quantise, name##_dequantise, name##_mask, name##_add_rows, name##_rescale};

VARIANT(baseline, )
#ifdef HAVE_X86_KERNELS
VARIANT(avx2, __attribute__((target("avx2"))))
VARIANT(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))))
#endif

const Elementwise *elementwise(void)
{
#ifdef HAVE_X86_KERNELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return &avx512;
    if (__builtin_cpu_supports("avx2"))
        return &avx2;
#endif
    return &baseline;
}
