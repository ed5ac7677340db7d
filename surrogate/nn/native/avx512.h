/* A row of up to 256 bytes in registers, from which 64 indices select at once. */
#ifndef AXSURROGATE_AVX512_H
#define AXSURROGATE_AVX512_H

#include "kernel.h"
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw,avx512vbmi"))) INLINE __m512i lookup(const __m512i *row, int registers,
                                                                              __m512i x)
{
    if (registers == 1)
        return _mm512_permutexvar_epi8(x, row[0]);
    __m512i low = _mm512_permutex2var_epi8(row[0], x, row[1]);
    if (registers == 2)
        return low;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, _mm512_permutex2var_epi8(row[2], x, row[3]));
}

#endif
