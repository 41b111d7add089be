/* The ordinary run of a fuzz target: each file of its corpus as it is, cut short at many places, and changed at random.
 *
 *   replay DIRECTORY [SEED [N]]     the seed is printed, the same one gives the same changes; N: an N-th of the changes, for slow targets */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FILE_BYTES_MAX (1u << 20)
#define CUTS           50
#define CHANGES        100

/* In a block of exactly len bytes, so that the sanitizer sees a read behind its end. */
static void run_one(const uint8_t *data, size_t len) {
  uint8_t *exact = malloc(len > 0 ? len : 1);
  if (exact == NULL)
    abort();
  memcpy(exact, data, len);
  LLVMFuzzerTestOneInput(exact, len);
  free(exact);
}

static void run_file(uint8_t *data, size_t len, struct rn_rng *rng, unsigned int nth) {
  const size_t cuts = CUTS / nth, changes = CHANGES / nth;
  run_one(data, len);
  for (size_t i = 0; i < cuts; i++)
    run_one(data, len * i / cuts);
  for (size_t i = 0; i < changes && len > 0; i++) {
    size_t at = rn_rng_next(rng) % len;
    uint8_t kept = data[at];
    /* Any byte, or one from elsewhere in the file: what is text stays text. */
    data[at] = i % 2 == 0 ? (uint8_t)rn_rng_next(rng) : data[rn_rng_next(rng) % len];
    run_one(data, len);
    if (i % 4 != 0) /* some changes add up */
      data[at] = kept;
  }
}

static size_t read_file(const char *dir, const char *name, uint8_t *out) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", dir, name);
  FILE *f = fopen(path, "rb");
  if (f == NULL) {
    perror(path);
    exit(1);
  }
  size_t n = fread(out, 1, FILE_BYTES_MAX, f);
  fclose(f);
  return n;
}

int main(int argc, char **argv) {
  static uint8_t data[FILE_BYTES_MAX];
  struct dirent **list;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
  unsigned int nth = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 0) : 1;
  int n = argc > 1 && nth > 0 ? scandir(argv[1], &list, NULL, alphasort) : -1;
  if (n < 0) {
    fprintf(stderr, "usage: %s DIRECTORY [SEED [N]]\n", argv[0]);
    return 2;
  }
  int count = 0;
  printf("seed=%" PRIu64 "\n", seed);
  for (int i = 0; i < n; i++) {
    if (list[i]->d_name[0] != '.') {
      struct rn_rng rng;
      rn_rng_init(&rng, seed);
      printf("%s\n", list[i]->d_name);
      fflush(stdout);
      run_file(data, read_file(argv[1], list[i]->d_name, data), &rng, nth);
      count++;
    }
    free(list[i]);
  }
  free(list);
  return count > 0 ? 0 : 1; /* a corpus without files tests nothing */
}
