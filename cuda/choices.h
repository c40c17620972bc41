/* SPDX-License-Identifier: MIT */
/* Which way each convolution is computed: the first guess until all ways have been
 * measured, the fastest from then on, or at once where a file has earlier measurements. */

#ifndef YOLO_CUDA_CHOICES_H
#define YOLO_CUDA_CHOICES_H

#include "cuda/conv.h"

G_BEGIN_DECLS

typedef struct _YoloChoices YoloChoices;

/**
 * yolo_choices_new:
 * @model_sha256: the model file's sum, in hexadecimal
 * @precision: the name of the precision that the network runs in; both are part of the
 * name of the file of choices, so that each model and precision has one of its own
 *
 * Reads what was measured before from the user's cache folder
 * (XDG_CACHE_HOME/yolo). A file that is damaged, or was written with another GPU,
 * driver, cuDNN or version of this plugin, is ignored. A thread that measures is
 * started when the first shape is asked for that has not been measured. With
 * YOLO_CUDA_TUNE=0 in the environment every shape keeps its first guess.
 */
YoloChoices *yolo_choices_new (
    YoloCudaDevice *device, const char *model_sha256, const char *precision);
/* Stops measuring, and writes the file if anything new was measured. NULL is allowed. */
void yolo_choices_free (YoloChoices *choices);

/**
 * yolo_choices_get:
 *
 * Gives the best way to compute a shape that is known now; it stays valid until
 * yolo_choices_free(). A shape that is asked for the first time is queued to be
 * measured. Any thread may call this, in the device's context.
 *
 * Returns: (transfer none): the candidate, or NULL with @error
 */
const YoloConvCandidate *yolo_choices_get (
    YoloChoices *choices, const YoloConvShape *shape, GError **error);

/* A number that grows when all that was queued has been measured and something better was
 * found, which is the reason to record networks anew. Any thread may call this. */
guint yolo_choices_generation (YoloChoices *choices);

/* Waits up to @timeout_us microseconds until nothing is left to be measured. Returns whether
 * that is so. */
gboolean yolo_choices_settled (YoloChoices *choices, gint64 timeout_us);

/* The sum of the measured times of a plan's convolutions, in microseconds; 0 if one of them
 * has not been measured. */
double yolo_choices_time (YoloChoices *choices, const YoloPlan *plan);

G_END_DECLS

#endif
