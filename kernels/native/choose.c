/* Which instruction sets this build holds and this processor has. */
#include "lola.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Conversions of f16; clang's __builtin_cpu_supports does not know them. */
static int has_f16c(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

/* The kernels of instruction set `index`, from the slowest on: portable, avx2, avx512; null where they cannot run. */
EXPORT const Kernel *lola_kernels(uint32_t index) {
  if (index == 0) return kernels_portable;
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef HAVE_AVX2
  if (index == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
    return kernels_avx2;
#endif
#ifdef HAVE_AVX512
  if (index == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma") && has_f16c())
    return kernels_avx512;
#endif
#endif
  return 0;
}

/* The name of kernel `index`, null after the last. */
EXPORT const char *lola_kernel(const Kernel *kernels, uint32_t index) { return kernels[index].name; }
