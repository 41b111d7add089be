/* tools/gen/configuration.c: docs/configuration.md and docs/node.sample.yaml from lib/schema/config.def. */
#include <string.h>

#include "control/config.h"
#include "control/config_table.h"
#include "control/config_value.h"
#include "tools/gen/gen.h"

#define FOR_KEYS(k, id)                                                                            \
  for (const struct rn_config_key *k = rn_config_keys; k < rn_config_keys + RN_CONFIG_KEY_COUNT;   \
       k++)                                                                                        \
    if (k->section == (id))

/* The default as it would stand in a file; NULL: the key is required. */
static const char *default_text(const struct rn_config_key *k, char *out) {
  static struct rn_config cfg;
  rn_config_defaults(&cfg);
  if (k->count_max > 0)
    return "[]";
  if (k->need == REQUIRED)
    return NULL;
  if (k->type == RN_CONFIG_ADDR)
    return k->word;
  if (k->type == RN_CONFIG_ENDPOINT)
    return "\"\"";
  const struct rn_config_section *s = &rn_config_sections[k->section];
  static _Alignas(8) uint8_t item[sizeof(cfg)];
  if (s->item)
    rn_config_section_defaults(k->section, item);
  const uint8_t *base = s->item ? item : (const uint8_t *)&cfg + s->offset;
  return rn_config_value_text(k, base + k->offset, out);
}

/* ---- configuration.md ---- */

static const char intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Made from lib/schema/config.def by tools/gen-docs: do not edit. -->\n"
    "\n"
    "`rpcnetd --config node.yaml` reads one YAML file; `rpcnetd --check --config node.yaml` only "
    "says whether it is\n"
    "right. [node.sample.yaml](node.sample.yaml) has every key as a comment, with its default.\n"
    "\n"
    "The whole file is read whatever is wrong with it. Each mistake is one line with file, line, "
    "column, key, what was\n"
    "found and what is allowed, and while there is one, nothing starts:\n"
    "\n"
    "```\n"
    "node.yaml:7:21: quic.max_idle_timeout: a unit is missing (ns, us, ms, s, m, h); found \"30\"; "
    "allowed: a duration from 100ms to 24h, or none\n"
    "node.yaml:9:3: rpc.max_idle_timeout: no such key; did you mean quic.max_idle_timeout?\n"
    "node.yaml:12:14: limits.half_open: found 2000; allowed: at most limits.connections, which is "
    "1000\n"
    "```\n"
    "\n"
    "Unknown keys, keys given twice, values of another type or unit, and keys that contradict each "
    "other are mistakes.\n"
    "Aliases, tags, directives and a second document are not accepted; files are UTF-8 and have at "
    "most 256 KiB.\n"
    "\n"
    "| value | is written as |\n"
    "|---|---|\n"
    "| duration | a whole number with `ns`, `us`, `ms`, `s`, `m` or `h`: `500ms`, `30s` |\n"
    "| size | bytes, or with `k`, `M`, `G` (the same as `KiB`, `MiB`, `GiB`), or with `kB`, `MB`, "
    "`GB` (powers of 1000): `64k`, `16MiB` |\n"
    "| rate | bytes a second, `B/s`, `KiB/s`, `MiB/s`, `GiB/s`, `kB/s`, `MB/s`, `GB/s`, or bits, "
    "`kbit/s`, `Mbit/s`, `Gbit/s` |\n"
    "| list | `[a, b]`, or one `- a` a line |\n";

static void write_choices(FILE *out, enum rn_config_section_id id) {
  FOR_KEYS(k, id) {
    if (k->type != RN_CONFIG_ENUM)
      continue;
    bool first = true;
    for (size_t i = 0; i < rn_config_choice_count; i++) {
      const struct rn_config_choice *c = &rn_config_choices[i];
      if (c->set != k->of || c->help[0] == 0)
        continue;
      if (first)
        fprintf(out, "\n`%s`:\n\n", k->name);
      fprintf(out, "- `%s`: %s\n", c->word, c->help);
      first = false;
    }
  }
}

static void write_section(FILE *out, enum rn_config_section_id id, const char *title) {
  char allowed[RN_CONFIG_ALLOWED_BYTES], value[RN_CONFIG_VALUE_BYTES];
  fprintf(out, "\n## %s\n\n%s.\n\n", title, rn_config_sections[id].help);
  fprintf(out, "| key | meaning | allowed | default |\n|---|---|---|---|\n");
  FOR_KEYS(k, id) {
    const char *dflt = default_text(k, value);
    bool unset = dflt != NULL && strcmp(dflt, "\"\"") == 0;
    fprintf(out, "| `%s` | %s | %s | %s%s%s |\n", k->name, k->help,
            rn_config_allowed(k, false, allowed), unset || dflt == NULL ? "" : "`",
            dflt == NULL ? "required"
            : unset      ? "not set"
                         : dflt,
            unset || dflt == NULL ? "" : "`");
  }
  write_choices(out, id);
}

void gen_configuration(FILE *out) {
  fputs(intro, out);
  for (size_t i = 0; i < RN_CONFIG_SECTION_COUNT; i++) {
    enum rn_config_section_id id = (enum rn_config_section_id)i;
    if (rn_config_sections[i].item)
      continue;
    write_section(out, id, rn_config_sections[i].name);
    FOR_KEYS(k, id) {
      char title[64];
      if (k->type != RN_CONFIG_ITEM)
        continue;
      snprintf(title, sizeof(title), "%s.%s[]", rn_config_sections[i].name, k->name);
      write_section(out, (enum rn_config_section_id)k->of, title);
    }
  }
}

/* ---- node.sample.yaml ---- */

#define SAMPLE_COLUMNS 100

/* text behind indent and "# ", broken at blanks. */
static void write_comment(FILE *out, const char *indent, const char *text) {
  size_t room = SAMPLE_COLUMNS - strlen(indent) - 2;
  while (*text != 0) {
    size_t n = strlen(text);
    if (n > room)
      for (n = room; n > 0 && text[n] != ' ';)
        n--;
    fprintf(out, "%s# %.*s\n", indent, (int)n, text);
    text += n;
    while (*text == ' ')
      text++;
  }
}

static void write_item_example(FILE *out, const struct rn_config_key *list) {
  char value[RN_CONFIG_VALUE_BYTES];
  const char *lead = "- ";
  FOR_KEYS(k, (enum rn_config_section_id)list->of) {
    const char *dflt = default_text(k, value);
    fprintf(out, "  #   %s%s: %s\n", lead, k->name, dflt != NULL ? dflt : k->text);
    lead = "  ";
  }
}

static void write_key(FILE *out, const struct rn_config_key *k) {
  char allowed[RN_CONFIG_ALLOWED_BYTES], value[RN_CONFIG_VALUE_BYTES],
      text[RN_CONFIG_ALLOWED_BYTES + 512];
  const char *dflt = default_text(k, value);
  snprintf(text, sizeof(text), "%s. Allowed: %s.", k->help, rn_config_allowed(k, false, allowed));
  write_comment(out, "  ", text);
  if (k->need == OPTIONAL && k->type != RN_CONFIG_ITEM)
    fprintf(out, "  # %s: %s\n", k->name, dflt);
  else if (k->type != RN_CONFIG_ITEM)
    fprintf(out, "  %s: %s\n", k->name, k->text);
  else {
    fprintf(out, "  # %s:\n", k->name);
    write_item_example(out, k);
  }
}

void gen_sample(FILE *out) {
  fputs("# A node's configuration: every key, with its default as a comment. What stands here "
        "without one has to be\n"
        "# given. docs/configuration.md says more. Made from lib/schema/config.def by "
        "tools/gen-docs.\n",
        out);
  for (size_t i = 0; i < RN_CONFIG_SECTION_COUNT; i++) {
    const struct rn_config_section *s = &rn_config_sections[i];
    if (s->item)
      continue;
    fputs("\n", out);
    write_comment(out, "", s->help);
    fprintf(out, "%s:\n", s->name);
    FOR_KEYS(k, (enum rn_config_section_id)i)
    write_key(out, k);
  }
}
