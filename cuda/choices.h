/* SPDX-License-Identifier: MIT */
/* Which way each convolution is computed: a first guess at once, the fastest
 * when it has been measured, from a file when it was measured before. */

#ifndef YOLO_CUDA_CHOICES_H
#define YOLO_CUDA_CHOICES_H

#include "cuda/conv.h"

G_BEGIN_DECLS

typedef struct _YoloChoices YoloChoices;

/**
 * yolo_choices_new:
 * @model_sha256: of the model file: part of the name of the file of choices
 * @precision: likewise: who runs in another has other layers, and a file of its own
 *
 * Reads what was measured before from the user's cache folder
 * (XDG_CACHE_HOME/yolo); what is damaged or of another GPU, driver, library or
 * version of this plugin is ignored. The thread that measures starts with the
 * first shape that has not been. The environment variable YOLO_CUDA_TUNE=0
 * keeps everything at the first guess.
 */
YoloChoices *yolo_choices_new (
    YoloCudaDevice *device, const char *model_sha256, const char *precision);
/* Stops measuring, writes the file if anything is new. */
void yolo_choices_free (YoloChoices *choices);

/**
 * yolo_choices_get:
 *
 * The way to compute a shape as far as is known now, which stays valid until
 * yolo_choices_free(). A shape asked for the first time is queued to be
 * measured. In the device's context; thread-safe.
 *
 * Returns: (transfer none): the candidate, or NULL with @error
 */
const YoloConvCandidate *yolo_choices_get (
    YoloChoices *choices, const YoloConvShape *shape, GError **error);

/* Grows when all that was queued has been measured and something better was
 * found: a reason to record networks anew. Any thread. */
guint yolo_choices_generation (YoloChoices *choices);

/* Whether nothing is left to be measured; waits for it up to @timeout_us. */
gboolean yolo_choices_settled (YoloChoices *choices, gint64 timeout_us);

/* Microseconds of all convolutions of a plan as measured; 0 if some have not been. */
double yolo_choices_time (YoloChoices *choices, const YoloPlan *plan);

G_END_DECLS

#endif
