/* Sums of table entries: what the kernels share.
 *
 * A kernel adds, for up to POSITIONS output positions and one output channel, the entries that the weights of up to
 * LANES lanes select: sums[i] += sum_k table[w[k]][panel[k][i]]. Entries are unsigned (value minus the table's
 * minimum) and sums wrap modulo 2**32; the caller adds the minimum once per lane and takes care that the true sum fits
 * in int32, so that wrapping undoes itself.
 */
#ifndef AXSURROGATE_KERNEL_H
#define AXSURROGATE_KERNEL_H

#include <stdint.h>

enum {
    POSITIONS = 256, /* a row of the table, in registers, is used for so many positions */
    LANES = 128      /* so many bytes can be added in 16 bits: 256 * 255 < 2**16 */
};

typedef struct {
    const uint8_t *entries; /* [weight][plane][size] bytes, or [weight][256] int32 for the portable kernel */
    int64_t planes;         /* bytes of an entry, 1 to 4 */
    int64_t size;           /* entries of a row: 64, 128 or 256 */
    int64_t plane_stride;   /* bytes from a plane of a row to the next, and from a row to the next: a kernel may be */
    int64_t row_stride;     /* given one half of each row, if no activation selects from the other */
} Table;

/* panel: [lanes][POSITIONS]; keep: the same shape, 0xff or 0 where a lane is skipped, or NULL;
 * bits of an index beyond a row's size are ignored; sums: [POSITIONS], of which those beyond `positions` may become anything. */
typedef void Kernel(const Table *table, const uint8_t *panel, const uint8_t *keep, const uint8_t *w, int lanes,
                    int positions, uint32_t *sums);

Kernel portable_kernel;

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#ifdef __x86_64__
#define HAVE_X86_KERNELS 1
Kernel avx2_kernel, avx512_kernel;
#elif defined(__aarch64__)
#define HAVE_NEON_KERNEL 1
Kernel neon_kernel;
#endif
#else
#define INLINE static inline
#endif

#endif
