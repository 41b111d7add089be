/* tools/gen/gen.h: the documents that are made from the declarations in lib/schema. */
#pragma once
#include <stdio.h>

void gen_configuration(FILE *out); /* docs/configuration.md */
void gen_sample(FILE *out);        /* docs/node.sample.yaml */
void gen_metrics(FILE *out);       /* docs/metrics.md */
