/* SPDX-License-Identifier: MIT */
/* The whole against references: pictures through the engine, detections
 * compared with what ONNX Runtime and Ultralytics' pre- and postprocess gave.
 *
 * tests/data/reference-detections.json: the demo's model, fetched into .cache.
 * ../shared/reference/detections.json: more models, where that folder is. */

#include "engine/engine.h"
#include "tests/engine/pictures.h"
#include "postprocess/nms.h"

#include <json-glib/json-glib.h>
#include <stdio.h>

/* How far a detection may be from its reference. Those that the reference has
 * and we have not, or the other way round, must be borderline: their
 * confidence within `threshold` of the threshold, or a better one of their
 * class overlapping by the NMS threshold to within `overlap`. */
typedef struct {
  double iou, confidence, threshold, overlap;
} Tolerance;

static const Tolerance exact = { .99, .005, .005, .01 };
static const Tolerance bf16 = { .98, .02, .02, .03 };
/* Half files: the reference has computed boxes in float16, so its corners are
 * off by up to half a pixel of the network, in boxes of 20 pixels. */
static const Tolerance half = { .97, .005, .005, .01 };
/* 8-bit files run dequantised; the reference has rounded every activation and
 * cut the class logits off at the end of their range: it says .5 where the
 * weights say .9. */
static const Tolerance rounded = { .8, .41, .12, .12 };

/* The same files in int8, as they say: nearly all agree so well. One number that
 * falls to the other side of two steps (another sigmoid does it) changes all that
 * is computed from it, so that a few detections are only near. */
static const Tolerance as_file = { .95, .03, .03, .05 }, near_file = { .85, .1, .1, .1 };

#define CONFIDENCE .25f
#define IOU .7f

typedef struct {
  char *model;                  /* path */
  const char *data;             /* folder of the pictures, or NULL: .cache */
  JsonArray *images;
  guint height, width;          /* 0: the model's */
  YoloPrecision precision;
  Tolerance tolerance;
  const Tolerance *near;        /* for the few that are not within it; or NULL */
} Case;

/* Detections of one picture. */
typedef GArray Found;

static char *source_root, *images_folder;  /* of the cases, to the end */
static JsonParser *demo, *shared;

static void
keep_result (gpointer user_data, gpointer tag, const YoloResult *result)
{
  GArray *detections = tag;

  g_assert_no_error (result->error);
  g_array_append_vals (detections, result->detections, result->n_detections);
}

static GArray *
read_detections (JsonObject *image)
{
  JsonArray *list = json_object_get_array_member (image, "detections");
  GArray *out = g_array_new (FALSE, FALSE, sizeof (YoloObject));

  for (guint i = 0; i < json_array_get_length (list); i++) {
    JsonObject *o = json_array_get_object_element (list, i);
    YoloObject d = { (float) json_object_get_double_member (o, "x1"),
      (float) json_object_get_double_member (o, "y1"),
      (float) json_object_get_double_member (o, "x2"),
      (float) json_object_get_double_member (o, "y2"),
      (float) json_object_get_double_member (o, "confidence"),
      (int) json_object_get_int_member (o, "class_id"), 0, 0 };
    g_array_append_val (out, d);
  }
  return out;
}

static const YoloObject *
at (const Found *found, guint i)
{
  return &g_array_index (found, YoloObject, i);
}

/* Intersection over union; of boxes that clipping left without an area,
 * whether they lie at the same place. */
static double
agreement (const YoloObject *a, const YoloObject *b)
{
  gboolean flat = (a->x2 - a->x1) * (a->y2 - a->y1) <= 0 || (b->x2 - b->x1) * (b->y2 - b->y1) <= 0;

  if (a->class_id != b->class_id)
    return 0;
  if (flat)
    return ABS (a->x1 - b->x1) < 1 && ABS (a->y1 - b->y1) < 1 && ABS (a->x2 - b->x2) < 1
        && ABS (a->y2 - b->y2) < 1;
  return yolo_iou (a, b);
}

/* Whether the threshold of confidence or of NMS decides over it. */
static gboolean
borderline (const YoloObject *d, const Found *others, const Tolerance *t)
{
  if (d->confidence <= CONFIDENCE + t->threshold)
    return TRUE;
  for (guint i = 0; i < others->len; i++) {
    const YoloObject *o = at (others, i);
    if (o->class_id == d->class_id && ABS (yolo_iou (o, d) - IOU) <= t->overlap)
      return TRUE;
  }
  return FALSE;
}

typedef struct {
  guint matched, ties, lost, gained, wrong;
  double iou, confidence;       /* the worst of those that match */
} Score;

/* The unused one of ours that agrees best with a box, and how well. */
static int
nearest (const YoloObject *box, const Found *ours, const gboolean *used, double *iou)
{
  int best = -1;

  *iou = 0;
  for (guint j = 0; j < ours->len; j++) {
    double a = used[j] ? 0 : agreement (at (ours, j), box);
    if (a > *iou) {
      *iou = a;
      best = (int) j;
    }
  }
  return best;
}

static gboolean
matches (const YoloObject *box, const YoloObject *reference, const Found *ours,
    gboolean *used, const Tolerance *t, double *iou, double *difference)
{
  int best = nearest (box, ours, used, iou);

  *difference = best < 0 ? 1 : ABS (at (ours, (guint) best)->confidence - reference->confidence);
  if (best < 0 || *iou < t->iou || *difference > t->confidence)
    return FALSE;
  used[best] = TRUE;
  return TRUE;
}

/* @candidates: what fp32 finds before NMS, or NULL. Of several anchors on one
 * object whose confidences are equal to within the tolerance, rounding decides
 * which one survives: any of them will do. */
static gboolean
matches_tie (const YoloObject *reference, const Found *candidates, const Found *ours,
    gboolean *used, const Tolerance *t)
{
  double iou, difference;

  for (guint i = 0; candidates && i < candidates->len; i++) {
    const YoloObject *c = at (candidates, i);
    if (ABS (c->confidence - reference->confidence) <= t->confidence
        && agreement (c, reference) > IOU
        && matches (c, reference, ours, used, t, &iou, &difference))
      return TRUE;
  }
  return FALSE;
}

static void
compare (const char *name, const Found *ours, const Found *theirs, const Found *candidates,
    const Tolerance *t, const Tolerance *near, Score *score)
{
  g_autofree gboolean *used = g_new0 (gboolean, ours->len + 1);

  for (guint i = 0; i < theirs->len; i++) {
    const YoloObject *d = at (theirs, i);
    double iou, difference;

    if (matches (d, d, ours, used, t, &iou, &difference)) {
      score->matched++;
      score->iou = MIN (score->iou, iou);
      score->confidence = MAX (score->confidence, difference);
    } else if (matches_tie (d, candidates, ours, used, t)
        || (near && matches (d, d, ours, used, near, &iou, &difference))) {
      score->ties++;
    } else if (borderline (d, theirs, t)) {
      score->lost++;
    } else {
      score->wrong++;
      g_test_message (
          "%s: class %d, %.4f at %.1f %.1f %.1f %.1f of the reference is missing (nearest: "
          "IoU %.4f, confidence %.4f away)",
          name, d->class_id, d->confidence, d->x1, d->y1, d->x2, d->y2, iou, difference);
    }
  }
  for (guint j = 0; j < ours->len; j++) {
    const YoloObject *d = at (ours, j);
    if (used[j])
      continue;
    if (borderline (d, ours, t)) {
      score->gained++;
    } else {
      score->wrong++;
      g_test_message ("%s: class %d, %.4f at %.1f %.1f %.1f %.1f is not in the reference", name,
          d->class_id, d->confidence, d->x1, d->y1, d->x2, d->y2);
    }
  }
}

static void
check_pixels (JsonObject *image, const Picture *picture)
{
  const char *sum = json_object_get_string_member_with_default (image, "sha256", NULL);
  g_autofree char *ours =
      g_compute_checksum_for_data (G_CHECKSUM_SHA256, picture->pixels, picture->size);

  if (sum && !g_str_equal (sum, ours))
    g_test_message ("%s is decoded to other pixels than the reference's",
        json_object_get_string_member (image, "file"));
}

static char *
cached (const char *file)
{
  return g_build_filename (source_root, ".cache", file, NULL);
}

/* Whether all that the case reads has been fetched. */
static gboolean
files_present (const Case *c)
{
  if (!g_file_test (c->model, G_FILE_TEST_EXISTS))
    return FALSE;
  for (guint i = 0; c->data == NULL && i < json_array_get_length (c->images); i++) {
    JsonObject *image = json_array_get_object_element (c->images, i);
    g_autofree char *path = cached (json_object_get_string_member (image, "file"));
    if (!g_file_test (path, G_FILE_TEST_EXISTS))
      return FALSE;
  }
  return TRUE;
}

/* The case's pictures, in the order of the reference. */
static Picture *
read_pictures (const Case *c)
{
  guint n = json_array_get_length (c->images), n_frames = 0;
  Picture *pictures = g_new0 (Picture, n);
  g_autofree guint *wanted = g_new (guint, n);
  g_autofree Picture *frames = g_new0 (Picture, n);

  for (guint i = 0; i < n; i++) {
    JsonObject *image = json_array_get_object_element (c->images, i);
    const char *file = json_object_get_string_member (image, "file");
    g_autofree char *path = NULL;

    if (!json_object_has_member (image, "frame")) {
      path = c->data ? g_build_filename (c->data, file, NULL) : cached (file);
      pictures[i] = picture_read (path);
    } else if (c->data) {
      g_autofree char *still =
          g_strdup_printf ("vtest_%03d.png", (int) json_object_get_int_member (image, "frame"));
      path = g_build_filename (c->data, still, NULL);
      pictures[i] = picture_read (path);
    } else {
      wanted[n_frames++] = (guint) json_object_get_int_member (image, "frame");
    }
  }
  if (n_frames) {
    g_autofree char *path = cached ("vtest.avi");
    frames_read (path, wanted, n_frames, frames);
    for (guint i = 0, j = 0; i < n; i++) {
      if (pictures[i].pixels == NULL)
        pictures[i] = frames[j++];
    }
  }
  return pictures;
}

/* Runs the pictures, several in a batch. Returns a list for each, or NULL with @error. */
static Found **
detect (const Case *c, YoloPrecision precision, const Picture *pictures, float iou, GError **error)
{
  YoloEngineConfig config = {
    .model_file = c->model, .device = "cpu", .precision = precision
  };
  guint n = json_array_get_length (c->images);
  g_autoptr (YoloEngine) engine = yolo_engine_get (&config, error);

  if (engine == NULL)
    return NULL;
  g_assert_cmpint (yolo_engine_precision (engine), ==, precision);
  const YoloModel *model = yolo_engine_model (engine);
  YoloStream *stream = yolo_engine_open_stream (engine, NULL, n, keep_result, NULL);
  Found **found = g_new0 (Found *, n);

  yolo_engine_set_batching (engine, 4, 0);
  for (guint i = 0; i < n; i++) {
    YoloRequest request = {
      .frame = pictures[i].frame,
      .net_width = c->width ? c->width : model->width,
      .net_height = c->height ? c->height : model->height,
      .confidence = CONFIDENCE,
      .iou = iou,
      .max_detections = iou < 1 ? 300 : 3000,
    };
    found[i] = g_array_new (FALSE, FALSE, sizeof (YoloObject));
    yolo_stream_submit (stream, &request, found[i]);
  }
  yolo_stream_drain (stream);
  yolo_stream_close (stream);
  return found;
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  guint n = json_array_get_length (c->images);
  Score score = { .iou = 1 };

  if (!files_present (c)) {
    g_test_skip (
        "the model or a picture is not here (tests/scripts/fetch.sh model bus zidane vtest)");
    return;
  }
  g_autofree Picture *pictures = read_pictures (c);
  g_autofree Found **found = detect (c, c->precision, pictures, IOU, &error);
  g_autofree Found **candidates = NULL;
  if (g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE)
      || g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION)) {
    g_test_skip (error->message);
    return;
  }
  g_assert_no_error (error);
  if (c->precision == YOLO_PRECISION_BF16)
    candidates = detect (c, YOLO_PRECISION_FP32, pictures, 1, &error);
  g_assert_no_error (error);

  for (guint i = 0; i < n; i++) {
    JsonObject *image = json_array_get_object_element (c->images, i);
    g_autofree char *name = g_strdup_printf ("%s %d", json_object_get_string_member (image, "file"),
        (int) json_object_get_int_member_with_default (image, "frame", 0));
    g_autoptr (GArray) theirs = read_detections (image);

    check_pixels (image, &pictures[i]);
    compare (
        name, found[i], theirs, candidates ? candidates[i] : NULL, &c->tolerance, c->near, &score);
    g_array_unref (found[i]);
    if (candidates)
      g_array_unref (candidates[i]);
    picture_clear (&pictures[i]);
  }
  g_test_message ("%u agree (IoU %.5f or more, confidence within %.5f), %u with a tie; borderline: "
                  "%u lost, %u gained",
      score.matched, score.iou, score.confidence, score.ties, score.lost, score.gained);
  if (score.wrong > 0 || score.matched == 0
      || (c->near ? 6 : 10) * (score.ties + score.lost + score.gained) > MAX (score.matched, 10))
    g_test_fail ();
}

static void
case_free (gpointer data)
{
  Case *c = data;

  g_free (c->model);
  json_array_unref (c->images);
  g_free (c);
}

static void
add (const char *name, const char *model, const char *data, JsonArray *images, guint height,
    guint width, YoloPrecision precision, Tolerance tolerance)
{
  g_autofree char *path =
      g_strdup_printf ("/detections/%s/%s", name, yolo_precision_name (precision));
  Case *c = g_new0 (Case, 1);

  *c = (Case){ g_strdup (model), data, json_array_ref (images), height, width, precision, tolerance,
    precision == YOLO_PRECISION_INT8 ? &near_file : NULL };
  g_test_add_data_func_full (path, c, test_case, case_free);
}

/* The model of an entry of the shared reference, or NULL. Of one that is not
 * kept, the file that gives the same numbers. */
static char *
shared_model (const char *folder, const char *name)
{
  if (g_str_has_suffix (name, "best_fp16.onnx"))
    return cached ("best_fp16.onnx");
  /* Other tasks, and attention. */
  if (strstr (name, "-seg") || strstr (name, "-pose") || strstr (name, "-obb")
      || strstr (name, "-cls") || strstr (name, "yolo11"))
    return NULL;
  /* The same numbers as yolov8n.onnx, again. */
  if (g_str_equal (name, "yolov8n.pt") || g_str_equal (name, "yolov8n_nms.onnx"))
    return NULL;
  if (g_str_equal (name, "yolov8n_b4_384x640.onnx"))
    name = "yolov8n.onnx";
  return g_build_filename (folder, "models", name, NULL);
}

static void
add_shared (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "reference", "detections.json", NULL);
  g_autoptr (GHashTable) lists =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) json_array_unref);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  shared = json_parser_new ();
  if (!g_file_test (path, G_FILE_TEST_EXISTS) || !json_parser_load_from_file (shared, path, NULL))
    return;
  images_folder = g_build_filename (folder, "images", NULL);
  JsonArray *entries = json_node_get_array (json_parser_get_root (shared));
  for (guint i = 0; i < json_array_get_length (entries); i++) {
    const char *name =
        json_object_get_string_member (json_array_get_object_element (entries, i), "model");
    if (!g_hash_table_contains (lists, name)) {
      g_hash_table_insert (lists, g_strdup (name), json_array_new ());
      g_ptr_array_add (names, (gpointer) name);
    }
    json_array_add_element (
        g_hash_table_lookup (lists, name), json_node_copy (json_array_get_element (entries, i)));
  }
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *model = shared_model (folder, name);
    JsonArray *list = g_hash_table_lookup (lists, name);
    JsonNode *size = json_object_get_member (json_array_get_object_element (list, 0), "imgsz");
    Tolerance tolerance = strstr (name, "qdq") || strstr (name, "dynquant") ? rounded
        : strstr (name, "_half") ? half : exact;
    guint height, width;

    if (model == NULL)
      continue;
    if (JSON_NODE_HOLDS_ARRAY (size)) {
      height = (guint) json_array_get_int_element (json_node_get_array (size), 0);
      width = (guint) json_array_get_int_element (json_node_get_array (size), 1);
    } else {
      height = width = (guint) json_node_get_int (size);
    }
    g_autofree char *test = g_strdelimit (g_strdup (name), " /", '-');
    /* Of the 8-bit file of random weights, nothing is left dequantised. */
    if (!strstr (name, "tiny-yolov8_qdq"))
      add (test, model, images_folder, list, height, width, YOLO_PRECISION_FP32, tolerance);
    if (strstr (name, "qdq"))
      add (test, model, images_folder, list, height, width, YOLO_PRECISION_INT8, as_file);
    /* Random weights do not bear rounding: half of their confidences change by more than .02. */
    if (tolerance.iou == exact.iou && !g_str_has_prefix (name, "tiny"))
      add (test, model, images_folder, list, height, width, YOLO_PRECISION_BF16, bf16);
  }
}

int
main (int argc, char **argv)
{
  static const char *const needed[] = { "jpegdec", "pngdec", "avidemux", "avdec_msmpeg4", "appsink",
    NULL };
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  source_root = g_strdup (SOURCE_ROOT);
  if (!elements_present (needed)) {
    printf ("1..0 # SKIP elements are missing\n");
    return 0;
  }

  g_autofree char *path =
      g_build_filename (source_root, "tests", "data", "reference-detections.json", NULL);
  g_autofree char *model = cached ("best_fp16.onnx");
  demo = json_parser_new ();
  json_parser_load_from_file (demo, path, &error);
  g_assert_no_error (error);
  JsonObject *root = json_node_get_object (json_parser_get_root (demo));
  JsonArray *images = json_object_get_array_member (root, "images");
  add ("demo", model, NULL, images, 0, 0, YOLO_PRECISION_FP32, exact);
  add ("demo", model, NULL, images, 0, 0, YOLO_PRECISION_BF16, bf16);

  const char *folder = g_getenv ("YOLO_SHARED");
  g_autofree char *beside = g_build_filename (source_root, "..", "shared", NULL);
  add_shared (folder ? folder : beside);
  return g_test_run ();
}
