/* Runs one table kernel on the problems of the standard input, for processors that Python does not run on here.
 *
 *   run_kernel features      print axs_features()
 *   run_kernel KERNEL        until the input ends, read eight int64 (planes, size, stride of planes, first entry that counts,
 *                            weights, lanes, positions, masked), the table, panel, mask (if masked) and weights; write
 *                            `positions` uint32 sums
 *
 * Every array is as large as kernel.h promises and no larger, so that a sanitiser sees what a kernel reads beyond it.
 */
#include "kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int axs_features(void);

static const struct {
    const char *name;
    Kernel *run;
} KERNELS[] = {
    {"portable", portable_kernel},
#ifdef HAVE_X86_KERNELS
    {"avx2", avx2_kernel},
    {"avx512-vbmi", avx512_kernel},
#endif
#ifdef HAVE_NEON_KERNEL
    {"neon", neon_kernel},
#endif
};

static uint8_t *read_bytes(size_t count)
{
    uint8_t *bytes = malloc(count);
    if (!bytes || fread(bytes, 1, count, stdin) != count) {
        fprintf(stderr, "run_kernel: the input ends within a problem\n");
        exit(3);
    }
    return bytes;
}

int main(int argc, char **argv)
{
    Kernel *kernel = 0;
    if (argc == 2 && !strcmp(argv[1], "features"))
        return printf("%d\n", axs_features()) < 0;
    for (size_t i = 0; argc == 2 && i < sizeof KERNELS / sizeof *KERNELS; i++)
        if (!strcmp(argv[1], KERNELS[i].name))
            kernel = KERNELS[i].run;
    if (!kernel) {
        fprintf(stderr, "run_kernel: name one kernel of this processor\n");
        return 2;
    }
    struct {
        int64_t planes, size, stride, first, weights, lanes, positions, masked;
    } h;
    while (fread(&h, sizeof h, 1, stdin) == 1) {
        uint8_t *entries = read_bytes(h.weights * h.planes * h.stride), *panel = read_bytes(h.lanes * POSITIONS);
        uint8_t *keep = h.masked ? read_bytes(h.lanes * POSITIONS) : 0, *w = read_bytes(h.lanes);
        uint32_t *sums = calloc(POSITIONS, sizeof *sums);
        if (!sums)
            return 3;
        const Table table = {.entries = entries + h.first,
                             .planes = h.planes,
                             .size = h.size,
                             .plane_stride = h.stride,
                             .row_stride = h.planes * h.stride};
        kernel(&table, panel, keep, w, (int)h.lanes, (int)h.positions, sums);
        fwrite(sums, sizeof *sums, h.positions, stdout);
        free(entries);
        free(panel);
        free(keep);
        free(w);
        free(sums);
    }
    return 0;
}
