/* dataplane/port/drivers.h: the drivers, for port.c's list. */
#pragma once
#include "dataplane/port/port.h"

extern const struct rn_port_driver rn_port_af_packet; /* af_packet.c */
extern const struct rn_port_driver rn_port_null;      /* null.c */
