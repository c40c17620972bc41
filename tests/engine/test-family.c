/* SPDX-License-Identifier: MIT */
/* Every task and generation against the reference: what Ultralytics finds with the models of
 * ../shared/models, by ../shared/reference, is found by us, on the pictures whose pixels do
 * not depend on a decoder. Skipped where that folder is not. The first argument may be
 * "cuda". */

#include "engine/engine.h"
#include "postprocess/nms.h"
#include "tests/engine/pictures.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIDENCE .25f
#define IOU .7f

/* What the reference and we agree to. */
#define MIN_IOU .999
#define MAX_CONFIDENCE .001
#define MAX_POINT .5            /* pixels of the frame */
#define MAX_ANGLE (.5 * G_PI / 180)
/* of the mask's pixels; and so many of the network's input, at edges */
#define MAX_AREA .02
#define MAX_PIXELS 40

/* Of all detections, so many may lie on a threshold and be lost or gained. */
#define MAX_BORDERLINE .02

typedef struct {
  char *file;                   /* path */
  GPtrArray *entries;           /* of JsonObject, borrowed: one a picture */
} Case;

/* What was found in one picture. */
typedef struct {
  GArray *objects;              /* of YoloObject */
  GArray *points;               /* of float, [objects][keypoints][3] */
  GArray *areas;                /* of double: pixels of the network's input in each mask */
  guint keypoints;
  YoloLetterbox box;            /* how the picture lay in the network's input */
} Found;

static JsonParser *parser;
static char *shared;
static const char *device = "cpu";

/* Counts a mask's pixels where the network sees the picture: its grid and box go back there. */
static double
mask_area (const Found *found, const YoloObjectMask *mask, const int16_t *cells, YoloObject object)
{
  const YoloLetterbox *box = &found->box;
  float gain_x = (float) box->width / (float) box->src_width,
        gain_y = (float) box->height / (float) box->src_height;
  YoloObjectMask grid = *mask;
  g_autofree guint8 *row = g_malloc ((gsize) box->net_width);
  double area = 0;

  grid.x1 = mask->x1 * gain_x + box->pad_x;
  grid.x2 = mask->x2 * gain_x + box->pad_x;
  grid.y1 = mask->y1 * gain_y + box->pad_y;
  grid.y2 = mask->y2 * gain_y + box->pad_y;
  object.x1 = object.x1 * gain_x + box->pad_x;
  object.x2 = object.x2 * gain_x + box->pad_x;
  object.y1 = object.y1 * gain_y + box->pad_y;
  object.y2 = object.y2 * gain_y + box->pad_y;
  for (int y = 0; y < box->net_height; y++) {
    yolo_mask_row (&grid, cells, &object, 0, y, box->net_width, row);
    for (int x = 0; x < box->net_width; x++)
      area += row[x];
  }
  return area;
}

static void
keep_result (gpointer user_data, gpointer tag, const YoloResult *result)
{
  const YoloDetails *details = result->details;
  Found *found = tag;

  g_assert_no_error (result->error);
  g_assert_nonnull (details);
  g_array_append_vals (found->objects, result->detections, result->n_detections);
  found->keypoints = details->keypoints;
  if (details->points != NULL)
    g_array_append_vals (
        found->points, details->points, result->n_detections * details->keypoints * 3);
  for (guint i = 0; details->masks != NULL && i < result->n_detections; i++) {
    double area = mask_area (found, &details->masks[i],
        details->cells + details->masks[i].first, result->detections[i]);
    g_array_append_val (found->areas, area);
  }
}

static double
number (JsonObject *object, const char *name)
{
  return json_object_get_double_member (object, name);
}

/* x, y, w, h in pixels and the angle in radians, named as ours are. */
static YoloObject
turned_box (JsonArray *xywhr)
{
  YoloObject object = { 0 };

  yolo_object_turn (&object, (float) json_array_get_double_element (xywhr, 0),
      (float) json_array_get_double_element (xywhr, 1),
      (float) json_array_get_double_element (xywhr, 2),
      (float) json_array_get_double_element (xywhr, 3),
      (float) json_array_get_double_element (xywhr, 4));
  return object;
}

/* How far two names of the same turned box may differ: angles near 0 and near pi / 2 are
 * neighbours, with the sides exchanged. */
static gboolean
same_turned (const YoloObject *a, const YoloObject *b)
{
  for (int k = -1; k <= 1; k++) {
    double angle = fabs (a->angle - (b->angle + k * G_PI / 2));
    float w = k == 0 ? b->x2 - b->x1 : b->y2 - b->y1, h = k == 0 ? b->y2 - b->y1 : b->x2 - b->x1;
    /* random weights give negative sides too */
    double side = .001 * (fabsf (w) + fabsf (h)) + .05;

    if (angle <= MAX_ANGLE && fabsf (a->x2 - a->x1 - w) <= side
        && fabsf (a->y2 - a->y1 - h) <= side
        && fabsf (a->x1 + a->x2 - b->x1 - b->x2) / 2 <= side
        && fabsf (a->y1 + a->y2 - b->y1 - b->y2) / 2 <= side)
      return TRUE;
  }
  return FALSE;
}

static gboolean
same_points (const Found *found, guint i, JsonArray *points)
{
  for (guint k = 0; k < found->keypoints; k++) {
    const float *ours = &g_array_index (found->points, float, 3 * (i * found->keypoints + k));
    JsonArray *theirs = json_array_get_array_element (points, k);

    /* the reference clips points to the picture */
    float x = CLAMP (ours[0], 0, (float) found->box.src_width),
          y = CLAMP (ours[1], 0, (float) found->box.src_height);
    if (hypot (x - json_array_get_double_element (theirs, 0),
            y - json_array_get_double_element (theirs, 1))
            > MAX_POINT
        || (json_array_get_length (theirs) > 2
            && fabs (ours[2] - json_array_get_double_element (theirs, 2)) > .002))
      return FALSE;
  }
  return json_array_get_length (points) == found->keypoints;
}

/* Whether our object number i is the reference's detection. */
static gboolean
same_object (const Found *found, guint i, JsonObject *theirs)
{
  const YoloObject *ours = &g_array_index (found->objects, YoloObject, i);

  if (ours->class_id != json_object_get_int_member (theirs, "class_id")
      || fabs (ours->confidence - number (theirs, "confidence")) > MAX_CONFIDENCE)
    return FALSE;
  if (json_object_has_member (theirs, "xywhr")) {
    YoloObject box = turned_box (json_object_get_array_member (theirs, "xywhr"));
    return same_turned (ours, &box);
  }
  YoloObject box = { .x1 = (float) number (theirs, "x1"), .y1 = (float) number (theirs, "y1"),
    .x2 = (float) number (theirs, "x2"), .y2 = (float) number (theirs, "y2") };
  if (yolo_iou (ours, &box) < MIN_IOU
      && (fabsf (ours->x1 - box.x1) > .05f || fabsf (ours->y1 - box.y1) > .05f
          || fabsf (ours->x2 - box.x2) > .05f || fabsf (ours->y2 - box.y2) > .05f))
    return FALSE;
  if (json_object_has_member (theirs, "keypoints")
      && !same_points (found, i, json_object_get_array_member (theirs, "keypoints")))
    return FALSE;
  /* the reference counts pixels of the borders too, into which boxes reach that it has clipped
   * afterwards */
  if (json_object_has_member (theirs, "mask_area_px") && box.x1 > 0 && box.y1 > 0
      && box.x2 < (float) found->box.src_width && box.y2 < (float) found->box.src_height) {
    double area = number (theirs, "mask_area_px"),
           own = g_array_index (found->areas, double, i);
    if (fabs (own - area) > MAX_AREA * area + MAX_PIXELS) {
      g_test_message ("mask of %.0f pixels, not %.0f", own, area);
      return FALSE;
    }
  }
  return TRUE;
}

/* How many of the reference's are missing, and how many of ours it has not. */
static guint
count_differences (const Found *found, JsonArray *theirs)
{
  g_autofree gboolean *used = g_new0 (gboolean, found->objects->len + 1);
  guint missing = 0, matched = 0;

  for (guint k = 0; k < json_array_get_length (theirs); k++) {
    JsonObject *detection = json_array_get_object_element (theirs, k);
    guint i = 0;

    while (i < found->objects->len && (used[i] || !same_object (found, i, detection)))
      i++;
    if (i == found->objects->len)
      g_test_message ("class %d, %.4f of the reference is missing",
          (int) json_object_get_int_member (detection, "class_id"),
          number (detection, "confidence"));
    used[i] = TRUE;
    matched += i < found->objects->len;
    missing += i == found->objects->len;
  }
  return missing + found->objects->len - matched;
}

static guint
count_top5 (const Found *found, JsonArray *theirs)
{
  guint wrong = 0, n = json_array_get_length (theirs);

  g_assert_cmpuint (found->objects->len, ==, n);
  for (guint k = 0; k < n; k++) {
    JsonObject *class = json_array_get_object_element (theirs, k);
    const YoloObject *ours = &g_array_index (found->objects, YoloObject, k);

    wrong += ours->class_id != json_object_get_int_member (class, "class_id")
        || fabs (ours->confidence - number (class, "confidence")) > MAX_CONFIDENCE;
  }
  return wrong;
}

static void
run_picture (YoloStream *stream, const YoloModel *model, JsonObject *entry, Found *found)
{
  guint size = (guint) json_object_get_int_member (entry, "imgsz");
  g_autofree char *path = g_build_filename (
      shared, "images", json_object_get_string_member (entry, "file"), NULL);
  Picture picture = picture_read (path);
  YoloRequest request = { .frame = picture.frame, .net_width = size, .net_height = size,
    .confidence = CONFIDENCE, .iou = IOU, .max_detections = 300 };

  yolo_letterbox_frame (&found->box, &picture.frame, (int) size, (int) size);
  yolo_stream_submit (stream, &request, found);
  yolo_stream_drain (stream);
  picture_clear (&picture);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  YoloEngineConfig config = { .model_file = c->file, .device = device,
    .precision = YOLO_PRECISION_FP32 };
  g_autoptr (YoloEngine) engine = yolo_engine_get (&config, &error);
  guint differences = 0, all = 0;

  g_assert_no_error (error);
  YoloStream *stream = yolo_engine_open_stream (engine, NULL, 1, keep_result, NULL);
  /* on the driver that stands in for a GPU, one picture takes seconds */
  for (guint k = 0; k < (strcmp (device, "cpu") == 0 ? c->entries->len : 1); k++) {
    JsonObject *entry = g_ptr_array_index (c->entries, k);
    Found found = { .objects = g_array_new (FALSE, FALSE, sizeof (YoloObject)),
      .points = g_array_new (FALSE, FALSE, sizeof (float)),
      .areas = g_array_new (FALSE, FALSE, sizeof (double)) };
    gboolean classes = json_object_has_member (entry, "top5");
    JsonArray *theirs = json_object_get_array_member (entry, classes ? "top5" : "detections");

    run_picture (stream, yolo_engine_model (engine), entry, &found);
    guint wrong = classes ? count_top5 (&found, theirs) : count_differences (&found, theirs);
    g_test_message ("%s: %u of %u differ, we have %u",
        json_object_get_string_member (entry, "file"), wrong, json_array_get_length (theirs),
        found.objects->len);
    differences += wrong;
    all += json_array_get_length (theirs);
    g_array_unref (found.objects);
    g_array_unref (found.points);
    g_array_unref (found.areas);
  }
  yolo_stream_close (stream);
  g_assert_cmpuint (all, >, 0);
  g_assert_cmpfloat (differences, <=, MAX_BORDERLINE * all);
}

static void
case_free (gpointer data)
{
  Case *c = data;

  g_free (c->file);
  g_ptr_array_unref (c->entries);
  g_free (c);
}

static Case *
add_case (const char *folder, const char *model)
{
  g_autofree char *test = g_strdelimit (g_strconcat ("/family/", model, NULL), ".", '-');
  Case *c = g_new0 (Case, 1);

  c->file = g_build_filename (shared, "models", folder, model, NULL);
  c->entries = g_ptr_array_new ();
  g_test_add_data_func_full (test, c, test_case, case_free);
  return c;
}

/* The checkpoint that a file was exported from, if there is one and its head is the same. */
static char *
checkpoint_of (const char *folder, const char *model)
{
  g_autoptr (GString) name = g_string_new (model);
  g_autofree char *path = NULL;

  g_string_replace (name, ".onnx", ".pt", 1);
  path = g_build_filename (shared, "models", folder, name->str, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS) ? g_strdup (name->str) : NULL;
}

/* The case of a model file, made when it is first asked for. */
static Case *
case_of (GHashTable *cases, const char *folder, const char *model)
{
  Case *c = g_hash_table_lookup (cases, model);

  if (c == NULL) {
    c = add_case (folder, model);
    g_hash_table_insert (cases, g_strdup (model), c);
  }
  return c;
}

/* A test of each model of the reference, and of the checkpoint that it was exported from. */
static void
add_reference (JsonArray *entries, const char *folder)
{
  g_autoptr (GHashTable) cases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < json_array_get_length (entries); i++) {
    JsonObject *entry = json_array_get_object_element (entries, i);
    const char *model = json_object_get_string_member (entry, "model");
    g_autofree char *checkpoint = checkpoint_of (folder, model);

    if (!g_str_has_suffix (json_object_get_string_member (entry, "file"), ".png"))
      continue;
    /* on the driver that stands in for a GPU each takes half a minute, and what a file becomes
     * does not depend on the device */
    if (strcmp (device, "cpu") == 0)
      g_ptr_array_add (case_of (cases, folder, model)->entries, entry);
    if (checkpoint != NULL)
      g_ptr_array_add (case_of (cases, folder, checkpoint)->entries, entry);
  }
}

int
main (int argc, char **argv)
{
  static const char *const needed[] = { "pngdec", "appsink", NULL };
  const char *folder = g_getenv ("YOLO_SHARED");

  g_test_init (&argc, &argv, NULL);
  if (argc > 1 && g_str_equal (argv[1], "cuda"))
    device = "cuda";
  gst_init (&argc, &argv);
  shared = folder != NULL ? g_strdup (folder)
                          : g_build_filename (SOURCE_ROOT, "..", "shared", NULL);
  g_autofree char *path = g_build_filename (shared, "reference", "family.json", NULL);
  parser = json_parser_new ();
  if (!elements_present (needed) || !g_file_test (path, G_FILE_TEST_EXISTS)
      || !json_parser_load_from_file (parser, path, NULL)) {
    printf ("1..0 # SKIP the reference or elements are missing\n");
    return 0;
  }
  add_reference (json_node_get_array (json_parser_get_root (parser)), "family");
  return g_test_run ();
}
