/* docs/node.sample.yaml is a file that loads, and what its comments say are the defaults. */
#include "tests/unit/control/config_case.h"

#include <ctype.h>

#include "util/err.h"

static char *read_sample(void) {
  const char *root = getenv("RN_SOURCE_ROOT");
  char path[4096];
  assert_non_null(root);
  snprintf(path, sizeof(path), "%s/docs/node.sample.yaml", root);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  char *text = calloc(1, 65536);
  assert_non_null(text);
  assert_true(fread(text, 1, 65535, f) > 0);
  fclose(f);
  return text;
}

/* Takes "# " away before what looks like "key: value" and before the lines of a list of items, and drops other comments. */
static void uncomment(char *text) {
  char *out = text;
  for (char *line = text; *line != 0;) {
    char *end = strchrnul(line, '\n'), *next = *end != 0 ? end + 1 : end;
    bool comment = strncmp(line, "  # ", 4) == 0;
    char *word = line + 4;
    if (comment) {
      word += strspn(word, " -");
      size_t name = strspn(word, "abcdefghijklmnopqrstuvwxyz_0123456789");
      comment = name == 0 || word[name] != ':' || (word[name + 1] != ' ' && word[name + 1] != '\n');
      if (!comment)
        memmove(line + 2, line + 4, (size_t)(next - line - 4)), next -= 0, end -= 2;
    }
    if (!comment && line[0] != '#') {
      size_t n = (size_t)(end - line);
      memmove(out, line, n);
      out += n;
      *out++ = '\n';
    }
    line = next;
  }
  *out = 0;
}

/* Routes, of which there is one as an example, need a cluster. */
static void enable_cluster(char *text) {
  char *enabled = strstr(text, "\ncluster:\n  enabled: false\n");
  assert_non_null(enabled);
  memcpy(enabled + strlen("\ncluster:\n  enabled: "), "true ", 5);
}

static void the_sample_loads(void **state) {
  (void)state;
  char *text = read_sample();
  struct config_case c;
  config_load_good(&c, text);
  assert_string_equal(c.cfg.port.interface, "eth0");
  config_done(&c);
  free(text);
}

static void its_comments_are_the_defaults(void **state) {
  (void)state;
  char *text = read_sample();
  struct config_case with, without;
  config_load_good(&without, text);
  uncomment(text);
  enable_cluster(text);
  config_load_good(&with, text);
  assert_int_equal(with.cfg.rpc.methods_count, 1); /* an example, which is no default */
  assert_string_equal(with.cfg.rpc.methods[0].name, "sleep");
  memset(with.cfg.rpc.methods, 0, sizeof(with.cfg.rpc.methods));
  with.cfg.rpc.methods_count = 0;
  assert_int_equal(with.cfg.director.routes_count, 1);
  assert_string_equal(with.cfg.director.routes[0].method, "Inference.*");
  memset(with.cfg.director.routes, 0, sizeof(with.cfg.director.routes));
  with.cfg.director.routes_count = 0;
  with.cfg.cluster.enabled = false;
  assert_memory_equal(&with.cfg, &without.cfg, sizeof(with.cfg));
  config_done(&with);
  config_done(&without);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_sample_loads),
    cmocka_unit_test(its_comments_are_the_defaults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
