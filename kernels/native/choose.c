/* Which instruction sets this build holds and this processor has. */
#include "lola.h"

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Conversions of f16; clang's __builtin_cpu_supports does not know them. */
static int has_f16c(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

static inline int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma") && has_f16c();
}
#endif

/*
 * What the kernels of the matrix unit lack here, those in int8 or those in bf16, or null. Of systems Linux only is known to
 * grant the unit, process by process.
 */
static const char *amx_lacks(uint32_t bf16) {
#if defined(HAVE_AMX_INT8) && defined(__x86_64__) && defined(__linux__)
  enum { VNNI = 1 << 11, TILE_BF16 = 1 << 22, TILE = 1 << 24, TILE_INT8 = 1 << 25, CONVERT_BF16 = 1 << 5 };
  enum { TILE_DATA = 18, GET_SUPPORTED = 0x1021 };
  unsigned a, b, c, d, more, granted_by_system[2] = {0};
  __builtin_cpu_init();
  if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & VNNI) || !(d & TILE) || !(d & TILE_INT8))
    return "the processor has no AMX";
  if (bf16 && (!(d & TILE_BF16) || !__get_cpuid_count(7, 1, &more, &b, &c, &d) || !(more & CONVERT_BF16)))
    return "the processor has no AMX with bf16";
  if (syscall(SYS_arch_prctl, GET_SUPPORTED, granted_by_system) || !(granted_by_system[0] >> TILE_DATA & 1))
    return "the system does not let programs use the processor's AMX";
  return 0;
#else
  (void)bf16;
  return "this build has no kernels for AMX";
#endif
}

/* Asks the system for the matrix unit, for all threads from now on; null, or what is missing. */
EXPORT const char *lola_permit_amx(uint32_t bf16) {
  const char *lacks = amx_lacks(bf16);
#if defined(__x86_64__) && defined(__linux__)
  enum { TILE_DATA = 18, REQUEST = 0x1023 };
  if (!lacks && syscall(SYS_arch_prctl, REQUEST, TILE_DATA)) lacks = "the system refuses this process the use of AMX";
#endif
  return lacks;
}

/* Kernels of set `index`, from the slowest on: portable, avx2, avx512, amx_int8, amx; null where they cannot run. */
EXPORT const Kernel *lola_kernels(uint32_t index) {
  if (index == 0) return kernels_portable;
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef HAVE_AVX2
  if (index == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
    return kernels_avx2;
#endif
#ifdef HAVE_AVX512
  if (index == 2 && has_avx512()) return kernels_avx512;
#endif
#ifdef HAVE_AMX_INT8
  if (index == 3 && !amx_lacks(0)) return kernels_amx_int8;
#endif
#ifdef HAVE_AMX
  if (index == 4 && !amx_lacks(1)) return kernels_amx;
#endif
#endif
  return 0;
}

/* What this library was built for: a line for its functions, and one for each kernel's bindings and parameters. */
EXPORT const char *lola_signatures(void) { return SIGNATURES; }

/* The name of kernel `index`, null after the last. */
EXPORT const char *lola_kernel(const Kernel *kernels, uint32_t index) { return kernels[index].name; }
