/* SPDX-License-Identifier: MIT */
/* The CPU back end, with its work counted. */

#ifndef YOLO_TESTS_COUNTED_H
#define YOLO_TESTS_COUNTED_H

#include "backend/backend.h"

G_BEGIN_DECLS

/* Not thread-safe at the first call. */
const YoloBackend *counted_backend (void);

/* Since the test cleared them: multiply-adds of the convolutions that really ran,
 * and networks made of int8 models. */
extern double counted_work;
extern guint counted_int8_nets;

/* An int8 network of more convolutions in int8 finds nothing: calibration has to
 * find this number. G_MAXUINT: none is harmed. */
extern guint counted_harmless;

G_END_DECLS

#endif
