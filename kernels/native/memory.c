/* Memory of tensors: allocation, packing of matrices into panels, copies. */
#include "lola.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kernels read whole vectors, so up to this many bytes past the end of a tensor. */
enum { SLACK = 256 };
enum { HUGE_PAGE = 2 << 20 };

/* Zeros, aligned to a cache line, from HUGE_PAGE on to huge pages; null when there is no memory. */
EXPORT void *lola_alloc(uint64_t bytes) {
  bytes = lines(bytes) + SLACK;
  if (bytes < HUGE_PAGE) {
    void *p = aligned_alloc(64, bytes);
    return p ? memset(p, 0, bytes) : 0;
  }
  const uint64_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  char *p = mmap(0, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return 0;
  char *aligned = (char *)(((uintptr_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  if (aligned > p) munmap(p, aligned - p);
  if (aligned < p + HUGE_PAGE) munmap(aligned + size, p + HUGE_PAGE - aligned);
#ifdef MADV_HUGEPAGE
  madvise(aligned, size, MADV_HUGEPAGE);
#endif
  return aligned;
}

/* `bytes`: as given to lola_alloc. */
EXPORT void lola_free(void *p, uint64_t bytes) {
  bytes = lines(bytes) + SLACK;
  if (bytes < HUGE_PAGE) free(p);
  else munmap(p, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
}

/* Bytes between the beginning of a page and p. */
static uint64_t in_page(uint64_t p) { return p % (uint64_t)sysconf(_SC_PAGESIZE); }

/*
 * Bytes of an open file from `offset` on; what is written to them stays in memory. Null where the system cannot map it, and
 * where the file ends before kernels stop reading. They lie in memory as in the file, modulo a huge page: else the processor
 * would look up each small page of a huge one.
 */
EXPORT void *lola_map(int32_t file, uint64_t offset, uint64_t bytes) {
  struct stat status;
  if (fstat(file, &status) || (uint64_t)status.st_size < offset + bytes + SLACK) return 0;
  const uint64_t before = in_page(offset), page = (uint64_t)sysconf(_SC_PAGESIZE);
  const uint64_t size = (before + bytes + SLACK + page - 1) / page * page, all = size + HUGE_PAGE;
  char *room = mmap(0, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return 0;
  const uint64_t skip = (offset - before - (uintptr_t)room) % HUGE_PAGE;
  char *p = mmap(room + skip, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, file, offset - before);
  if (p == MAP_FAILED) {
    munmap(room, all);
    return 0;
  }
  if (skip) munmap(room, skip);
  munmap(p + size, HUGE_PAGE - skip);
#ifdef MADV_HUGEPAGE
  /* Where the file system can, what is not in memory yet comes in huge pages. */
  madvise(p, size, MADV_HUGEPAGE);
#endif
  return p + before;
}

/* `bytes`: as given to lola_map. */
EXPORT void lola_unmap(char *p, uint64_t bytes) {
  const uint64_t before = in_page((uintptr_t)p);
  munmap(p - before, before + bytes + SLACK);
}

EXPORT void lola_copy(void *to, const void *from, uint64_t bytes) { memcpy(to, from, bytes); }

/* Rows of a matrix that are packed together: their pieces of one panel are neighbours. */
enum { STRIP = 32 };

static inline void move(char *packed, char *plain, uint64_t bytes, int unpack) {
  if (unpack) memcpy(plain, packed, bytes);
  else memcpy(packed, plain, bytes);
}

/* Between columns [n0, n1) of `rows` rows from row k on of one packed matrix and the same elements, row-major. */
static inline __attribute__((always_inline)) void move_rows(char *matrix, char *plain, uint64_t inner, uint64_t cols,
                                                            uint64_t k, uint64_t rows, uint64_t n0, uint64_t n1,
                                                            int unpack, const uint64_t size) {
  for (uint64_t n = n0; n < n1;) {
    const uint64_t panel = n / PANEL, end = (panel + 1) * PANEL < n1 ? (panel + 1) * PANEL : n1;
    char *to = matrix + ((panel * inner + k) * PANEL + n % PANEL) * size, *from = plain + (n - n0) * size;
    if (end - n == PANEL)
      for (uint64_t r = 0; r < rows; r++) move(to + r * PANEL * size, from + r * cols * size, PANEL * size, unpack);
    else
      for (uint64_t r = 0; r < rows; r++) move(to + r * PANEL * size, from + r * cols * size, (end - n) * size, unpack);
    n = end;
  }
}

static inline __attribute__((always_inline)) void repack(char *packed, char *plain, uint64_t inner, uint64_t cols,
                                                         uint64_t start, uint64_t count, int unpack,
                                                         const uint64_t size) {
  const uint64_t matrix_bytes = (cols + PANEL - 1) / PANEL * PANEL * inner * size;
  for (uint64_t i = start; i < start + count;) {
    const uint64_t k = i / cols % inner, n = i % cols, left = start + count - i;
    uint64_t rows = left / cols < STRIP ? left / cols : STRIP, n1 = cols;
    if (rows > inner - k) rows = inner - k;
    if (n || !rows) {
      rows = 1;
      n1 = n + left < cols ? n + left : cols;
    }
    move_rows(packed + i / cols / inner * matrix_bytes, plain + (i - start) * size, inner, cols, k, rows, n, n1, unpack,
              size);
    i += (rows - 1) * cols + n1 - n;
  }
}

/* Logical elements [start, start + count) of matrices [.., inner, cols] into their packed form, from `plain`, or back. */
EXPORT void lola_repack(void *packed, void *plain, uint64_t inner, uint64_t cols, uint64_t start, uint64_t count,
                        uint32_t unpack, uint32_t size) {
  if (size == 4) repack(packed, plain, inner, cols, start, count, unpack, 4);
  else repack(packed, plain, inner, cols, start, count, unpack, 2);
}
