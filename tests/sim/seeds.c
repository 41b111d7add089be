/* tests/sim/seeds.c */
#include "seeds.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool seeds_asked_for(int argc, char **argv, const char *usage, uint64_t count, struct seeds *out) {
  static const struct option longs[] = { { "scenario", required_argument, NULL, 's' },
                                         { "seed", required_argument, NULL, 'n' },
                                         { "seeds", required_argument, NULL, 'c' },
                                         { 0 } };
  int c;
  *out = (struct seeds){ .from = 1, .to = count };
  while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (c == 's') {
      out->scenario = optarg;
    } else if (c == 'n') {
      out->from = out->to = strtoull(optarg, NULL, 10);
    } else if (c == 'c') {
      out->to = strtoull(optarg, NULL, 10);
    } else {
      fputs(usage, stderr);
      return false;
    }
  }
  return true;
}

bool seeds_wanted(const struct seeds *s, const char *scenario) {
  return s->scenario == NULL || strcmp(s->scenario, scenario) == 0;
}
