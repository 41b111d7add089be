/* control/sandbox.h: the system calls that rpcnet-control may make once it runs. */
#pragma once

/* For all threads, those of the thread pool included; what is not in the table fails with EPERM. RN_OK or RN_ERR_SYS. */
int rn_control_sandbox(void);
