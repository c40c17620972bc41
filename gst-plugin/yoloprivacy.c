/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloprivacy.h"

#include "base/text.h"
#include "gst-plugin/yolohold.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloregions.h"
#include "gst-plugin/yolosettings.h"
#include "gst-plugin/yoloshape.h"

#include <math.h>
#include <string.h>

/* A class that is hidden: by its name, or by its number. */
typedef struct {
  GQuark name;                  /* 0: it has a number */
  gint id;
} Class;

/* What the two strings say. Shared by the properties and the frame in hand, constant. */
typedef struct {
  GArray *classes;              /* Class; empty: all */
  GArray *regions;              /* YoloArea; NULL: none */
} Choice;

/* A part of the frame in hand. */
typedef struct {
  gdouble box[4];               /* x1, y1, x2, y2 in pixels of the frame */
  const YoloShape *shape;       /* of the object, or NULL */
} Target;

/* What the redactions of the fixed regions depend on: as long as it stays, they do. */
typedef struct {
  gint width, height;           /* of the canvas, pixels; 0: there are no such redactions */
  guint n_fields, n_components; /* of the canvas */
  gint x, y;                    /* where in the canvas the frame begins, pixels */
  YoloPrivacyStyle style;
} Ground;

struct _YoloHider {
  GstElement *element;          /* borrowed */
  YoloPrivacySettings *settings;        /* borrowed; object lock */
  Choice *choice;               /* owned; object lock */
  gboolean started;             /* object lock */

  /* streaming thread */
  YoloPrivacySettings now;      /* of the frame in hand, without the strings */
  Choice *chosen;               /* owned; for the frame in hand */
  gint width, height;           /* of the frame that the caps describe, pixels */
  GstClockTime duration;        /* of a frame */
  YoloHold hold;
  GArray *targets;              /* Target */
  GByteArray *pixels;           /* of an object's mask */
  GArray *moved;                /* gfloat: a polygon's points in pixels in memory */
  gboolean warned;              /* of a region outside of the frame, since the last caps */
  Ground ground;                /* of what `privacy` begins with */
  YoloPrivacyMark fixed;        /* where that ends */
  YoloPrivacy privacy;
};

GType
yolo_privacy_mode_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    {YOLO_PRIVACY_NONE, "nothing is hidden", "none"},
    {YOLO_PRIVACY_BLUR, "blocks, blended into each other", "blur"},
    {YOLO_PRIVACY_PIXELATE, "blocks of one colour each", "pixelate"},
    {YOLO_PRIVACY_FILL, "black: nothing is left", "fill"},
    {0, NULL, NULL}
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstYoloOverlayPrivacy", values));
  return type;
}

/* What is chosen */

static Choice *
choice_new (void)
{
  Choice *choice = g_atomic_rc_box_new0 (Choice);

  choice->classes = g_array_new (FALSE, FALSE, sizeof (Class));
  return choice;
}

static void
choice_clear (gpointer data)
{
  Choice *choice = data;

  g_array_unref (choice->classes);
  g_clear_pointer (&choice->regions, g_array_unref);
}

static void
choice_unref (Choice *choice)
{
  if (choice != NULL)
    g_atomic_rc_box_release_full (choice, choice_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Choice, choice_unref)

static void
add_class (GArray *classes, const gchar *name, gboolean quoted)
{
  Class class = { .id = -1 };
  guint64 id;

  if (!quoted && g_ascii_string_to_unsigned (name, 10, 0, G_MAXINT, &id, NULL))
    class.id = (gint) id;
  else
    class.name = g_quark_from_string (name);
  g_array_append_val (classes, class);
}

/* Reads a list as yoloinfer's class-ids. What classes there are only the network knows. */
static gboolean
read_classes (Choice *choice, const gchar *string, GError **error)
{
  g_autoptr (GString) name = g_string_new (NULL);
  const gchar *at = string;
  gboolean quoted;

  if (string == NULL || *string == '\0')
    return TRUE;
  /* GStreamer takes the quotes off a value that stands in quotes as a whole */
  if (strchr (string, ',') != NULL)
    add_class (choice->classes, string, TRUE);
  while (*at != '\0') {
    at += at > string;          /* the comma */
    if (!yolo_settings_next_class (&at, name, &quoted) || name->len == 0) {
      g_autofree gchar *shown = yolo_text_printable (string, YOLO_TEXT_MAX_MESSAGE);

      g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
          "privacy-class-ids \"%s\" is not a list of classes: give numbers or names with commas "
          "between them, for instance \"person,2\"; a name that has a comma stands in double "
          "quotes, with its own quotes doubled", shown);
      return FALSE;
    }
    add_class (choice->classes, name->str, quoted);
  }
  return TRUE;
}

static gboolean
read_regions (Choice *choice, const gchar *string, GError **error)
{
  g_autofree gchar *shown = NULL;

  if (yolo_areas_parse (string, &choice->regions))
    return TRUE;
  shown = yolo_text_printable (string, YOLO_TEXT_MAX_MESSAGE);
  g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "privacy-regions \"%s\" " YOLO_ROI_IS_WRONG, shown);
  return FALSE;
}

/* (transfer full): NULL with @error */
static Choice *
read_choice (const gchar *class_ids, const gchar *regions, GError **error)
{
  g_autoptr (Choice) choice = choice_new ();

  if (!read_classes (choice, class_ids, error) || !read_regions (choice, regions, error))
    return NULL;
  return g_steal_pointer (&choice);
}

static void
set_string (YoloHider *hider, gchar **string, const gchar *value)
{
  g_autoptr (GError) error = NULL;
  Choice *choice;
  gboolean started;

  GST_OBJECT_LOCK (hider->element);
  const gchar *class_ids = string == &hider->settings->class_ids ? value
      : hider->settings->class_ids;
  const gchar *regions = string == &hider->settings->regions ? value : hider->settings->regions;

  choice = read_choice (class_ids, regions, &error);
  started = hider->started;
  if (choice != NULL || !started) {
    choice_unref (hider->choice);
    hider->choice = choice;
    g_free (*string);
    *string = g_strdup (value);
  }
  GST_OBJECT_UNLOCK (hider->element);
  if (choice == NULL && started)
    GST_ELEMENT_WARNING (
        hider->element, LIBRARY, SETTINGS, ("%s", error->message), ("it stays as it was"));
}

void
yolo_hider_set_class_ids (YoloHider *hider, const gchar *string)
{
  set_string (hider, &hider->settings->class_ids, string);
}

void
yolo_hider_set_regions (YoloHider *hider, const gchar *string)
{
  set_string (hider, &hider->settings->regions, string);
}

YoloHider *
yolo_hider_new (GstElement *element, YoloPrivacySettings *settings)
{
  YoloHider *hider = g_new0 (YoloHider, 1);

  hider->element = element;
  hider->settings = settings;
  hider->targets = g_array_new (FALSE, FALSE, sizeof (Target));
  hider->pixels = g_byte_array_new ();
  hider->moved = g_array_new (FALSE, FALSE, sizeof (gfloat));
  yolo_hold_init (&hider->hold);
  yolo_privacy_init (&hider->privacy);
  return hider;
}

void
yolo_hider_free (YoloHider *hider)
{
  if (hider == NULL)
    return;
  choice_unref (hider->choice);
  choice_unref (hider->chosen);
  g_array_unref (hider->targets);
  g_byte_array_unref (hider->pixels);
  g_array_unref (hider->moved);
  yolo_hold_clear (&hider->hold);
  yolo_privacy_clear (&hider->privacy);
  g_free (hider);
}

gboolean
yolo_hider_start (YoloHider *hider, GError **error)
{
  gboolean ok;

  GST_OBJECT_LOCK (hider->element);
  if (hider->choice == NULL)
    hider->choice = read_choice (hider->settings->class_ids, hider->settings->regions, error);
  ok = hider->started = hider->choice != NULL;
  GST_OBJECT_UNLOCK (hider->element);
  hider->width = hider->height = 0;
  yolo_hold_reset (&hider->hold);
  return ok;
}

void
yolo_hider_stop (YoloHider *hider)
{
  GST_OBJECT_LOCK (hider->element);
  hider->started = FALSE;
  GST_OBJECT_UNLOCK (hider->element);
}

/* Frames */

void
yolo_hider_flush (YoloHider *hider)
{
  yolo_hold_reset (&hider->hold);
}

void
yolo_hider_set_size (YoloHider *hider, const GstVideoInfo *info)
{
  const gint width = GST_VIDEO_INFO_WIDTH (info), height = GST_VIDEO_INFO_HEIGHT (info);

  if (hider->width > 0 && hider->height > 0)
    yolo_hold_scale (
        &hider->hold, (gdouble) width / hider->width, (gdouble) height / hider->height);
  hider->width = width;
  hider->height = height;
  hider->warned = FALSE;
  hider->ground.width = 0;
  hider->duration = info->fps_n > 0
      ? gst_util_uint64_scale (GST_SECOND, (guint64) info->fps_d, (guint64) info->fps_n)
      : GST_SECOND / 25;
}

/* Takes what the properties say at this frame. */
static void
take_settings (YoloHider *hider)
{
  GST_OBJECT_LOCK (hider->element);
  hider->now = *hider->settings;
  if (hider->chosen != hider->choice) {
    choice_unref (hider->chosen);
    hider->chosen = hider->choice != NULL ? g_atomic_rc_box_acquire (hider->choice) : NULL;
    hider->ground.width = 0;
  }
  GST_OBJECT_UNLOCK (hider->element);
  hider->now.class_ids = hider->now.regions = NULL;     /* they may be freed from here on */
}

/* Whether an object is of a class that is hidden. Classes of the whole frame are no objects
 * in it, and are only if they are named. */
static gboolean
is_chosen (const Choice *choice, const YoloMetaObject *object, const YoloShape *shape)
{
  for (guint i = 0; i < choice->classes->len; i++) {
    const Class *class = &g_array_index (choice->classes, Class, i);

    if (class->name != 0 ? class->name == object->label : class->id == object->label_id)
      return TRUE;
  }
  return choice->classes->len == 0 && !(shape != NULL && shape->flags & YOLO_SHAPE_WHOLE);
}

gboolean
yolo_hider_begin (YoloHider *hider, GstBuffer *buffer, const GArray *objects)
{
  Target target = { 0 };
  guint at = 0;

  g_array_set_size (hider->targets, 0);
  take_settings (hider);
  if (hider->now.mode == YOLO_PRIVACY_NONE || hider->chosen == NULL) {
    yolo_hold_reset (&hider->hold);
    return FALSE;
  }
  yolo_hold_begin (&hider->hold, GST_BUFFER_PTS (buffer), hider->duration, hider->now.hold);
  for (guint i = 0; i < objects->len; i++) {
    const YoloMetaObject *object = &g_array_index (objects, YoloMetaObject, i);

    target = (Target){
      { object->x, object->y, (gdouble) object->x + object->w, (gdouble) object->y + object->h },
      yolo_shape_get (object->shape),
    };
    if (yolo_hold_see (
            &hider->hold, object, is_chosen (hider->chosen, object, target.shape)))
      g_array_append_val (hider->targets, target);
  }
  target.shape = NULL;          /* a shape of before is not that of now */
  while (yolo_hold_next (&hider->hold, &at, target.box))
    g_array_append_val (hider->targets, target);

  /* an empty buffer stands for a gap: there are no pixels */
  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP) && gst_buffer_get_size (buffer) == 0)
    return FALSE;
  return hider->targets->len > 0 || hider->chosen->regions != NULL;
}

/* The object's pixels and the margin around them. FALSE: its mask shows nothing. */
static gboolean
add_mask (YoloHider *hider, const YoloCanvas *canvas, const YoloPrivacyStyle *style,
    const Target *target, gint x, gint y)
{
  const gfloat box[4] = { (gfloat) target->box[0], (gfloat) target->box[1],
    (gfloat) target->box[2], (gfloat) target->box[3] };
  const gdouble margin = hider->now.margin;
  YoloBitmap bitmap;

  if (target->shape->mask_width == 0 || target->shape->mask_height == 0)
    return FALSE;
  bitmap = yolo_shape_bitmap (target->shape, box, hider->width, hider->height, hider->pixels);
  return yolo_privacy_add_pixels (&hider->privacy, canvas, style, bitmap.pixels, x + bitmap.x,
      y + bitmap.y, bitmap.width, bitmap.height, (gint) ceil (margin * bitmap.width),
      (gint) ceil (margin * bitmap.height));
}

/* The object's turned box, made larger around its middle by the margin. */
static gboolean
add_turned (YoloHider *hider, const YoloCanvas *canvas, const YoloPrivacyStyle *style,
    const Target *target, gint x, gint y)
{
  const gfloat *corners = target->shape->corners;
  const gdouble larger = 1 + 2 * hider->now.margin;
  gdouble middle[2] = { 0 };
  gfloat points[8];

  if (!(target->shape->flags & YOLO_SHAPE_TURNED))
    return FALSE;
  for (guint i = 0; i < 8; i++)
    middle[i % 2] += corners[i] / 4;
  for (guint i = 0; i < 8; i++)
    points[i] = (gfloat) ((middle[i % 2] + (corners[i] - middle[i % 2]) * larger)
            * (i % 2 ? hider->height : hider->width)
        + (i % 2 ? y : x));
  return yolo_privacy_add_polygon (&hider->privacy, canvas, style, points, 4);
}

static void
add_target (YoloHider *hider, const YoloCanvas *canvas, const YoloPrivacyStyle *style,
    const Target *target, gint x, gint y)
{
  const gdouble more_x = hider->now.margin * (target->box[2] - target->box[0]),
                more_y = hider->now.margin * (target->box[3] - target->box[1]);

  if (target->shape != NULL && hider->now.masks
      && (add_mask (hider, canvas, style, target, x, y)
          || add_turned (hider, canvas, style, target, x, y)))
    return;
  yolo_privacy_add_box (&hider->privacy, canvas, style,
      (gdouble[4]){ x + target->box[0] - more_x, y + target->box[1] - more_y,
          x + target->box[2] + more_x, y + target->box[3] + more_y });
}

/* FALSE: the region lies outside of the frame. */
static gboolean
add_region (YoloHider *hider, const YoloCanvas *canvas, const YoloPrivacyStyle *style,
    const YoloArea *region, gint x, gint y)
{
  const YoloRegion *box = &region->box;
  const gdouble left = (gdouble) x + box->x, top = (gdouble) y + box->y;

  if (region->n_points == 0)
    return yolo_privacy_add_box (&hider->privacy, canvas, style,
        (gdouble[4]){ left, top, left + box->width, top + box->height });
  g_array_set_size (hider->moved, 2 * region->n_points);
  for (guint i = 0; i < 2 * region->n_points; i++)
    g_array_index (hider->moved, gfloat, i) =
        (gfloat) region->points[i] + (gfloat) (i % 2 ? y : x);
  return yolo_privacy_add_polygon (
      &hider->privacy, canvas, style, (const gfloat *) hider->moved->data, region->n_points);
}

static gboolean
is_same_ground (const Ground *a, const Ground *b)
{
  return a->width == b->width && a->height == b->height && a->n_fields == b->n_fields
      && a->n_components == b->n_components && a->x == b->x && a->y == b->y
      && a->style.mode == b->style.mode && a->style.blocks == b->style.blocks
      && memcmp (&a->style.color, &b->style.color, sizeof a->style.color) == 0;
}

/* Makes the redactions those of the fixed regions, which stay from frame to frame as long as
 * nothing that they depend on changes. */
static void
add_regions (YoloHider *hider, const YoloCanvas *canvas, const YoloPrivacyStyle *style, gint x,
    gint y)
{
  const Ground ground = { canvas->width, canvas->height, canvas->n_fields, canvas->n_components,
    x, y, *style };

  if (is_same_ground (&ground, &hider->ground)) {
    yolo_privacy_back_to (&hider->privacy, &hider->fixed);
    return;
  }
  yolo_privacy_reset (&hider->privacy);
  for (guint i = 0; hider->chosen->regions != NULL && i < hider->chosen->regions->len; i++) {
    const YoloArea *region = &g_array_index (hider->chosen->regions, YoloArea, i);

    if (add_region (hider, canvas, style, region, x, y) || hider->warned)
      continue;
    hider->warned = TRUE;
    GST_ELEMENT_WARNING (hider->element, LIBRARY, SETTINGS,
        ("privacy-regions: region number %u lies outside of the frame and hides nothing; give "
         "pixels within %dx%d", i + 1, hider->width, hider->height), (NULL));
  }
  hider->ground = ground;
  hider->fixed = yolo_privacy_mark (&hider->privacy);
}

YoloPrivacy *
yolo_hider_add (
    YoloHider *hider, const YoloCanvas *canvas, gint x, gint y, const YoloColor *black)
{
  const YoloPrivacyStyle style = {
    .mode = hider->now.mode == YOLO_PRIVACY_BLUR ? YOLO_REDACTION_BLUR
        : hider->now.mode == YOLO_PRIVACY_PIXELATE ? YOLO_REDACTION_PIXELATE
                                                   : YOLO_REDACTION_FILL,
    .blocks = hider->now.blocks,
    .color = *black,
  };

  add_regions (hider, canvas, &style, x, y);
  for (guint i = 0; i < hider->targets->len; i++)
    add_target (hider, canvas, &style, &g_array_index (hider->targets, Target, i), x, y);
  return &hider->privacy;
}
