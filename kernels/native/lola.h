/* The native engine's contract with `src/device/cpu`: tensors come as bindings, work as an array of steps. */
#ifndef LOLA_H
#define LOLA_H
#include <stddef.h>
#include <stdint.h>

/* Element types of bindings, numbered as in src/device/cpu/library.ts. */
enum { F32, F16, BF16, U32 };

/* Columns of one packed panel: a matrix [.., K, N] is stored as [.., ceil(N / PANEL), K, PANEL], zero beyond N. */
enum { PANEL = 16, BINDINGS = 8, PARAMS = 16 };

typedef struct {
  void *data;
  uint64_t count; /* logical elements */
  uint32_t type;
  uint32_t reserved;
} Binding;

/* One recorded operation; `params` holds the struct of the kernel's TypeScript twin, 4 bytes a field. */
typedef struct {
  uint32_t kernel; /* index into the instruction set's table */
  uint32_t reserved;
  Binding bind[BINDINGS];
  uint32_t params[PARAMS];
  double seconds; /* out: how long the step took */
} Step;

/* What a kernel asks for before a run: elements that each binding must have, and scratch memory in bytes. */
typedef struct {
  uint64_t need[BINDINGS];
  uint64_t shared, each; /* for all threads together, for each thread */
  uint32_t phases;       /* tiles of one phase run in any order; phases one after the other */
} Plan;

/* What a running tile may use besides its step. */
typedef struct {
  uint32_t threads;
  char *shared; /* one for all threads; lives for the whole step */
  char *own;    /* this thread's; lives for one tile */
} Worker;

/* The C twin of `area/op_pass` is `area_op_pass`, a macro that initialises one of these: C has no constant structs. */
typedef struct {
  const char *name;
  void (*plan)(const Step *step, Plan *plan);
  /* How many tiles the phase has; called once, by one thread, after the phase before has ended. */
  uint32_t (*tiles)(const Step *step, uint32_t phase, const Worker *worker);
  void (*tile)(const Step *step, uint32_t phase, uint32_t tile, const Worker *worker);
} Kernel;

/* One instruction set's kernels, ended by a null name. */
extern const Kernel kernels_portable[], kernels_avx2[], kernels_avx512[], kernels_amx_int8[], kernels_amx[];

#define EXPORT __attribute__((visibility("default")))

static inline uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }
static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
/* Panels of rows are of equal height, or one less: panel i starts at this row. */
static inline uint32_t panel_row(uint32_t rows, uint32_t panels, uint32_t i) { return (uint64_t)rows * i / panels; }
/* Bytes up to the next cache line. */
static inline uint64_t lines(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

#endif
