/* tests/sim/seeds.h: what a simulation is asked to run, from its command line. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct seeds {
  const char *scenario; /* NULL: all */
  uint64_t from, to;
};

/* --scenario NAME, --seed N or --seeds COUNT; seeds 1 to count without. False, with usage on stderr: anything else. */
bool seeds_asked_for(int argc, char **argv, const char *usage, uint64_t count, struct seeds *out);
/* Whether a scenario of that name was asked for. */
bool seeds_wanted(const struct seeds *s, const char *scenario);
