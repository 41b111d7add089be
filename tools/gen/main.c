/* tools/gen/main.c: rn_gen_docs DOCUMENT writes one generated document to standard output; tools/gen-docs writes all of them. */
#include <string.h>

#include "tools/gen/gen.h"

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*write)(FILE *out);
  } documents[] = {
    { "configuration", gen_configuration },
    { "sample", gen_sample },
    { "metrics", gen_metrics },
  };
  for (size_t i = 0; argc == 2 && i < sizeof(documents) / sizeof(documents[0]); i++) {
    if (strcmp(argv[1], documents[i].name) == 0) {
      documents[i].write(stdout);
      return fflush(stdout) == 0 ? 0 : 1;
    }
  }
  fprintf(stderr, "usage: %s configuration|sample|metrics\n", argv[0]);
  return 2;
}
