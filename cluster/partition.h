/* cluster/partition.h: whether the network has come apart. Many members that go out of reach at about the same time are more likely behind a broken link than
 * dead, and whoever is left on the smaller side should know it. One call looks at the whole table; time is an argument. */
#pragma once
#include "cluster/members.h"

enum rn_partition_state {
  RN_PARTITION_HEALTHY,
  RN_PARTITION_SUSPECT,     /* so many are suspect or have failed; some may still refute */
  RN_PARTITION_PARTITIONED, /* so many have failed */
};

/* So many are at least two, and at least a quarter of those there were. */
#define RN_PARTITION_MIN   2u
#define RN_PARTITION_SHARE 4u

struct rn_partition {
  uint8_t state; /* enum rn_partition_state */
  bool
      minority; /* fewer than half of all are on our side; of two halves it is the one without the member whose id comes first */
  uint32_t reached; /* Alive, ourselves included */
  uint32_t out;     /* suspect, or failed within the window or since from_ns */
  uint64_t
      from_ns; /* PARTITIONED: when the first of those was given up; they count as long as it lasts */
};

/* How things are at now_ns. Failures count for window_ns; aliases and those who left do not count. True: state or side changed. Slow: it walks the table. */
bool rn_partition_look(struct rn_partition *p, const struct rn_members *m, uint64_t now_ns,
                       uint64_t window_ns);
