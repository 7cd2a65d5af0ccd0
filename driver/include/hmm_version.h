/* SPDX-License-Identifier: GPL-2.0 */
/* The one place that knows the version of the modules. */
#ifndef HMM_VERSION_H
#define HMM_VERSION_H

#define HMM_VERSION	"0.1.0"

#endif /* HMM_VERSION_H */
