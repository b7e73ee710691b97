/*
 * A run: steps in order, each cut into phases, each phase into tiles that any thread may take. A phase is over when its
 * tiles are done, not when all threads have arrived: a thread that the system has put aside holds up nothing but its tile.
 */
#include "lola.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void *lola_alloc(uint64_t bytes);
void lola_free(void *p, uint64_t bytes);

/* How long a thread looks for the next phase before it sleeps. */
#define SPIN_SECONDS 30e-6

typedef struct {
  const Kernel *kernels;
  uint32_t threads; /* with the caller's */
  pthread_t *handles;
  /* High half: the phase's serial number. Low half: tiles left to take. Taken by compare and swap, so never twice. */
  _Alignas(64) _Atomic uint64_t ticket;
  _Alignas(64) _Atomic uint32_t done;
  _Alignas(64) _Atomic int running, cancelled, closing;
  _Atomic uint32_t sleepers;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  /* Of the current phase; changed only while none of its tiles is left. */
  Step *steps;
  uint32_t count, step, phase, tiles;
  Plan plan;
  double began;
  char *scratch;
  uint64_t scratch_bytes, shared, each;
} Pool;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static Worker worker_of(const Pool *pool, uint32_t index) {
  return (Worker){pool->threads, pool->scratch, pool->scratch + pool->shared + index * pool->each};
}

static const Kernel *kernel_of(const Pool *pool) { return &pool->kernels[pool->steps[pool->step].kernel]; }

/* Ends the phase and opens the next one that has tiles, or ends the run. Called by one thread at a time. */
static void advance(Pool *pool) {
  const Worker worker = worker_of(pool, 0);
  uint32_t tiles = 0;
  while (!tiles) {
    if (++pool->phase == pool->plan.phases) {
      const double now = seconds();
      pool->steps[pool->step].seconds = now - pool->began;
      pool->began = now;
      pool->phase = 0;
      if (++pool->step == pool->count) break;
      kernel_of(pool)->plan(&pool->steps[pool->step], &pool->plan);
    }
    if (atomic_load(&pool->cancelled)) break;
    tiles = kernel_of(pool)->tiles(&pool->steps[pool->step], pool->phase, &worker);
  }
  pool->tiles = tiles;
  atomic_store(&pool->done, 0);
  atomic_store(&pool->ticket, ((atomic_load(&pool->ticket) >> 32) + 1) << 32 | tiles);
  /* Last: from here on the caller may open the next run, whose ticket must not be overwritten. */
  if (!tiles) atomic_store(&pool->running, 0);
  /* One tile is this thread's own: nobody need wake for it. */
  if (tiles != 1 && atomic_load(&pool->sleepers)) {
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
  }
}

/* Takes and runs a tile; 0 if there was none. */
static int take(Pool *pool, uint32_t index) {
  uint64_t ticket = atomic_load(&pool->ticket);
  while ((uint32_t)ticket) {
    if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) continue;
    const Worker worker = worker_of(pool, index);
    const uint32_t tiles = pool->tiles;
    kernel_of(pool)->tile(&pool->steps[pool->step], pool->phase, tiles - (uint32_t)ticket, &worker);
    if (atomic_fetch_add(&pool->done, 1) + 1 == tiles) advance(pool);
    return 1;
  }
  return 0;
}

/* The caller's thread (index 0) waits for the end of the run as well; the others for the end of the pool. */
static int waiting(Pool *pool, uint32_t index) {
  return !(uint32_t)atomic_load(&pool->ticket) && (index ? !atomic_load(&pool->closing) : atomic_load(&pool->running));
}

/* Until there is a tile, or nothing more to wait for, or (if not 0) the deadline on the realtime clock has passed. */
static void idle(Pool *pool, uint32_t index, const struct timespec *deadline) {
  const double until = seconds() + SPIN_SECONDS;
  do {
    for (int i = 0; i < 32; i++) {
      if (!waiting(pool, index)) return;
      relax();
    }
  } while (seconds() < until);
  pthread_mutex_lock(&pool->lock);
  atomic_fetch_add(&pool->sleepers, 1);
  int late = 0;
  while (waiting(pool, index) && !late) {
    if (deadline) late = pthread_cond_timedwait(&pool->wake, &pool->lock, deadline);
    else pthread_cond_wait(&pool->wake, &pool->lock);
  }
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->lock);
}

/*
 * Results too small to be normal become 0 in this thread, since arithmetic with them is up to 100 times slower: the way back
 * through attention makes many (300 against 70 ms measured). What is read from weights keeps them. Returns what was set before.
 */
static uint32_t flush_subnormals(void) {
#if defined(__x86_64__)
  const uint32_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 1 << 15);
  return before;
#else
  return 0;
#endif
}

static void restore_subnormals(uint32_t before) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(before);
#else
  (void)before;
#endif
}

typedef struct {
  Pool *pool;
  uint32_t index;
} Start;

static void *serve(void *argument) {
  const Start start = *(Start *)argument;
  free(argument);
  flush_subnormals();
  while (!atomic_load(&start.pool->closing))
    if (!take(start.pool, start.index)) idle(start.pool, start.index, 0);
  return 0;
}

/* Stops the threads and frees the pool; not during a run. */
EXPORT void lola_close(Pool *pool) {
  pthread_mutex_lock(&pool->lock);
  atomic_store(&pool->closing, 1);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (uint32_t i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], 0);
  free(pool->handles);
  if (pool->scratch) lola_free(pool->scratch, pool->scratch_bytes);
  free(pool);
}

/* A pool of threads − 1 sleeping threads and the caller's, with the kernels of one instruction set; null on failure. */
EXPORT Pool *lola_open(const Kernel *kernels, uint32_t threads) {
  Pool *pool = aligned_alloc(64, lines(sizeof(Pool)));
  if (!pool) return 0;
  memset(pool, 0, sizeof(Pool));
  pool->kernels = kernels;
  pool->threads = 1;
  pool->handles = calloc(threads, sizeof(pthread_t));
  pthread_mutex_init(&pool->lock, 0);
  pthread_cond_init(&pool->wake, 0);
  /* Signals are for the caller's thread. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (uint32_t i = 1; i < threads && pool->handles; i++) {
    Start *start = malloc(sizeof(Start));
    if (!start) break;
    *start = (Start){pool, i};
    if (pthread_create(&pool->handles[i], 0, serve, start)) {
      free(start);
      break;
    }
    pool->threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, 0);
  if (pool->threads == threads) return pool;
  lola_close(pool);
  return 0;
}

/* Opens a run. −1: it goes; −2: no memory for scratch; else 16 · step + binding, of a binding that is too small. */
EXPORT int32_t lola_start(Pool *pool, Step *steps, uint32_t count) {
  uint64_t shared = 0, each = 0;
  for (uint32_t i = 0; i < count; i++) {
    Plan plan = {0};
    pool->kernels[steps[i].kernel].plan(&steps[i], &plan);
    for (int b = 0; b < BINDINGS; b++)
      if (plan.need[b] > steps[i].bind[b].count) return 16 * i + b;
    if (lines(plan.shared) > shared) shared = lines(plan.shared);
    if (lines(plan.each) > each) each = lines(plan.each);
    if (i == 0) pool->plan = plan;
  }
  /* A line more for each thread, so that no two share one; and room for reads of whole vectors at the end. */
  each += 64;
  const uint64_t bytes = shared + pool->threads * each + 64;
  if (bytes > pool->scratch_bytes) {
    char *scratch = lola_alloc(bytes);
    if (!scratch) return -2;
    if (pool->scratch) lola_free(pool->scratch, pool->scratch_bytes);
    pool->scratch = scratch;
    pool->scratch_bytes = bytes;
  }
  if (!count) return -1;
  pool->shared = shared;
  pool->each = each;
  pool->steps = steps;
  pool->count = count;
  pool->step = 0;
  pool->phase = UINT32_MAX;
  pool->began = seconds();
  atomic_store(&pool->cancelled, 0);
  atomic_store(&pool->running, 1);
  advance(pool);
  return -1;
}

/* Works on the run for about so long; 1 when the run has ended. The other threads go on meanwhile and afterwards. */
EXPORT uint32_t lola_work(Pool *pool, uint32_t microseconds) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  const double until = seconds() + microseconds * 1e-6;
  deadline.tv_nsec += microseconds % 1000000 * 1000;
  deadline.tv_sec += microseconds / 1000000 + deadline.tv_nsec / 1000000000;
  deadline.tv_nsec %= 1000000000;
  const uint32_t before = flush_subnormals();
  while (atomic_load(&pool->running)) {
    if (!take(pool, 0)) idle(pool, 0, &deadline);
    if (seconds() > until) break;
  }
  restore_subnormals(before);
  return !atomic_load(&pool->running);
}

/* The run ends after the tiles that were taken and the phase they belong to. */
EXPORT void lola_cancel(Pool *pool) { atomic_store(&pool->cancelled, 1); }
