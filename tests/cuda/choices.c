/* SPDX-License-Identifier: MIT */
/* Choices: a first guess at once, the measured one later, from the file the
 * next time; a damaged or foreign file counts for nothing. */

#include <stdio.h>
#include <string.h>

#include "cuda/choices.h"
#include "engine/load.h"
#include "tests/cuda/harness.h"

/* Where the choices of "model" in fp16 are kept. */
static char *kept_file;

static YoloPlan *
make_plan (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (SOURCE_ROOT "/tests/data/micro.onnx", &error);
  g_assert_no_error (error);
  YoloPlan *plan = yolo_plan_new (model, 1, 32, 32, YOLO_F16, YOLO_F16, 8, &error);
  g_assert_no_error (error);
  return plan;
}

/* Asks for all convolutions; their names as one text. */
static char *
get_all (YoloChoices *choices, const YoloPlan *plan)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < plan->n_ops; i++) {
    g_autoptr (GError) error = NULL;
    YoloConvShape shape;

    if (plan->ops[i].type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, &plan->ops[i]);
    const YoloConvCandidate *candidate = yolo_choices_get (choices, &shape, &error);
    g_assert_no_error (error);
    g_string_append_printf (names, "%s;", candidate->name);
  }
  return g_string_free (names, FALSE);
}

static void
test_measure_and_keep (void)
{
  YoloPlan *plan = make_plan ();
  YoloChoices *choices = yolo_choices_new (test_device, "model", "fp16");
  g_autofree char *first = get_all (choices, plan), *measured = NULL, *kept = NULL;

  /* a guess is there before anything has been measured */
  g_assert_cmpuint (strlen (first), >, 0);
  while (!yolo_choices_settled (choices, G_USEC_PER_SEC)) {
  }
  g_assert_cmpfloat (yolo_choices_time (choices, plan), >, 0);
  measured = get_all (choices, plan);
  g_assert_true ((yolo_choices_generation (choices) > 0) == !g_str_equal (first, measured));
  yolo_choices_free (choices);
  kept_file = test_cache_file ();
  g_assert_nonnull (kept_file);

  /* The second start knows them: nothing is queued. */
  choices = yolo_choices_new (test_device, "model", "fp16");
  kept = get_all (choices, plan);
  g_assert_true (yolo_choices_settled (choices, 0));
  g_assert_cmpfloat (yolo_choices_time (choices, plan), >, 0);
  g_assert_cmpstr (kept, ==, measured);
  yolo_choices_free (choices);

  /* Another model's are its own. */
  choices = yolo_choices_new (test_device, "other", "fp16");
  g_free (get_all (choices, plan));
  g_assert_cmpfloat (yolo_choices_time (choices, plan), ==, 0);
  yolo_choices_free (choices);

  /* So are those of the same model in another precision. */
  choices = yolo_choices_new (test_device, "model", "int8");
  g_free (get_all (choices, plan));
  g_assert_cmpfloat (yolo_choices_time (choices, plan), ==, 0);
  yolo_choices_free (choices);
  yolo_plan_free (plan);
}

/* What is not as it was written is not used, whatever was done to it. */
static void
test_damaged (void)
{
  YoloPlan *plan = make_plan ();
  g_autofree char *good = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (kept_file, &good, &length, NULL));
  for (guint i = 0; i < 7; i++) {
    g_autofree char *bad = g_memdup2 (good, length + 1);
    gsize size = length;
    char *name;

    switch (i) {
      case 0:                  /* cut */
        size = length / 2;
        break;
      case 1:                  /* empty */
        size = 0;
        break;
      case 2:                  /* a time made better */
        bad[strlen (good) - 80] ^= 1;
        break;
      case 3:                  /* another GPU */
        bad[strstr (bad, "gpu ") - bad + 5] ^= 1;
        break;
      case 4:                  /* binary */
        memset (bad, 0, size);
        break;
      case 5:
        for (gsize k = 0; k < size; k++)
          bad[k] = (char) (k * 31);
        break;
      default:                 /* a name that no kernel has, with a right sum */
        name = strstr (bad, "\tmma ");
        if (name == NULL)
          name = strstr (bad, "\tsimt");
        g_assert_nonnull (name);
        name[1] = 'X';
        char *last = g_strrstr (bad, "\nsum ");
        g_autofree char *sum = g_compute_checksum_for_data (
            G_CHECKSUM_SHA256, (guchar *) bad, (gsize) (last + 1 - bad));
        memcpy (last + strlen ("\nsum "), sum, strlen (sum));
        break;
    }
    g_assert_true (g_file_set_contents (kept_file, bad, (gssize) size, NULL));
    YoloChoices *choices = yolo_choices_new (test_device, "model", "fp16");
    g_free (get_all (choices, plan));
    /* something has to be measured again */
    g_assert_cmpfloat (yolo_choices_time (choices, plan), ==, 0);
    yolo_choices_free (choices);
  }
  yolo_plan_free (plan);
}

/* What is no file, or larger than any that is written, is refused at once. */
static void
test_refused (void)
{
  for (guint i = 0; i < TEST_UNREADABLE; i++) {
    g_autofree char *why = g_strdup_printf ("%s: %s*; convolutions are measured anew", kept_file,
        test_unreadable (i, kept_file, (goffset) 5 << 20));

    g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, why);
    yolo_choices_free (yolo_choices_new (test_device, "model", "fp16"));
    g_test_assert_expected_messages ();
  }
}

int
main (int argc, char **argv)
{
  int result;

  test_cache_new ();
  g_unsetenv ("YOLO_CUDA_TUNE");
  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  g_test_add_func ("/cuda/choices/measure-and-keep", test_measure_and_keep);
  g_test_add_func ("/cuda/choices/damaged", test_damaged);
  g_test_add_func ("/cuda/choices/refused", test_refused);
  result = g_test_run ();
  test_device_close ();
  test_cache_remove ();
  g_free (kept_file);
  return result;
}
