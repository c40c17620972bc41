/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-yolooverlay
 * @title: yolooverlay
 *
 * Draws the detections of a frame into it: a box, as it is turned, and a label with class,
 * confidence and, where there is one, the track's number; the object's mask, tinted and with
 * its edge; its points, joined where they are those of a person; the way that a tracked one has
 * come. Where the classes are the whole frame's, they are written at its upper left, one below
 * the other. The frame is neither converted nor copied; one without detections passes untouched.
 *
 * With privacy=blur, pixelate or fill, objects and fixed regions are made unrecognisable first.
 *
 * |[
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! yoloinfer model-file=yolov8n.onnx ! \
 *     yolooverlay ! videoconvert ! autovideosink
 * ]|
 */

#include "gst-plugin/gstyolooverlay.h"

#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yoloclass.h"
#include "gst-plugin/yolocuda.h"
#include "gst-plugin/yolodrawer.h"
#include "gst-plugin/yolofigure.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloorientation.h"
#include "gst-plugin/yoloprivacy.h"
#include "gst-plugin/yoloproperty.h"
#include "gst-plugin/yolotext.h"
#include "gst-plugin/yolotrail.h"
#include "gst-plugin/yolounpack.h"
#include "gst-plugin/yolovideo.h"
#include "gst-plugin/yolowatch.h"
#include "gst-plugin/yolozonesdraw.h"
#include "gst-plugin/yolozonesmeta.h"

#include <math.h>

GST_DEBUG_CATEGORY_STATIC (yolooverlay_debug);
#define GST_CAT_DEFAULT yolooverlay_debug

enum
{
  PROP_LINE_WIDTH = 1,
  PROP_SHOW_LABELS,
  PROP_SHOW_CONFIDENCE,
  PROP_SHOW_IDS,
  PROP_SHOW_TRAILS,
  PROP_TRAIL_LENGTH,
  PROP_SHOW_MASKS,
  PROP_MASK_OPACITY,
  PROP_SHOW_POINTS,
  PROP_SHOW_ZONES,
  PROP_FONT,
  PROP_ORIENTATION,
  PROP_SHOW_BOXES,
  PROP_PRIVACY,
  PROP_PRIVACY_CLASS_IDS,
  PROP_PRIVACY_REGIONS,
  PROP_PRIVACY_BLOCKS,
  PROP_PRIVACY_MASKS,
  PROP_PRIVACY_MARGIN,
  PROP_PRIVACY_HOLD,
  N_PROPERTIES
};

/* What the properties say. */
typedef struct {
  guint line_width;             /* pixels; 0: by the frame's height */
  gboolean show_labels, show_confidence, show_ids, show_trails, show_masks, show_points,
      show_zones, show_boxes;
  guint64 trail_length;         /* ns */
  guint mask_opacity;           /* percent */
  char *font;                   /* owned */
  GstVideoOrientationMethod orientation;
  YoloPrivacySettings privacy;
} Settings;

#define PLAYING GST_PARAM_MUTABLE_PLAYING

static const YoloProperty properties[N_PROPERTIES] = {
  [PROP_LINE_WIDTH] = { "line-width", "Line width",
      "Width of the boxes' lines in pixels (0 = by the height of the frame: "
      "1 up to 404 rows, 4 at 1080)", PLAYING,
      YOLO_UINT (Settings, line_width, 0, 1000, 0) },
  [PROP_SHOW_LABELS] = { "show-labels", "Show labels",
      "Whether to write the class of an object on its box", PLAYING,
      YOLO_BOOLEAN (Settings, show_labels, TRUE) },
  [PROP_SHOW_CONFIDENCE] = { "show-confidence", "Show confidence",
      "Whether to write the confidence of a detection on its box", PLAYING,
      YOLO_BOOLEAN (Settings, show_confidence, TRUE) },
  [PROP_SHOW_IDS] = { "show-ids", "Show track ids",
      "Whether to write the number of an object's track, if it has one, on its box", PLAYING,
      YOLO_BOOLEAN (Settings, show_ids, TRUE) },
  [PROP_SHOW_TRAILS] = { "show-trails", "Show trails",
      "Whether to draw the way of the middle of each object that has a track; such objects have "
      "the colour of their track then, and not that of their class", PLAYING,
      YOLO_BOOLEAN (Settings, show_trails, FALSE) },
  [PROP_TRAIL_LENGTH] = { "trail-length", "Trail length",
      "How far back the trails reach, in ns", PLAYING,
      YOLO_UINT64 (Settings, trail_length, 1, 3600 * GST_SECOND, 2 * GST_SECOND) },
  [PROP_SHOW_MASKS] = { "show-masks", "Show masks",
      "Whether to draw the shapes that a segmenting model finds", PLAYING,
      YOLO_BOOLEAN (Settings, show_masks, TRUE) },
  [PROP_MASK_OPACITY] = { "mask-opacity", "Mask opacity",
      "How much a mask hides what is below it, in percent; its edge hides all", PLAYING,
      YOLO_UINT (Settings, mask_opacity, 0, 100, 40) },
  [PROP_SHOW_POINTS] = { "show-points", "Show points",
      "Whether to draw the points that a pose model finds, and lines between those of a person "
      "(17 points, as in COCO); a point that is less than half visible is left out", PLAYING,
      YOLO_BOOLEAN (Settings, show_points, TRUE) },
  [PROP_SHOW_ZONES] = { "show-zones", "Show zones",
      "Whether to draw yolozones' lines, with an arrow and the counts of both directions, and its "
      "zones, with how many objects are inside", PLAYING,
      YOLO_BOOLEAN (Settings, show_zones, TRUE) },
  [PROP_FONT] = { "font", "Font",
      "Pango font description, for example \"Sans Bold\" or \"Monospace 18\" "
      "(without a size: 1/45 of the height of the frame, at least 10 pixels)", PLAYING,
      YOLO_STRING (Settings, font, "Sans Bold") },
  [PROP_ORIENTATION] = { "orientation", "Orientation",
      "How frames become upright where they are shown, as videoflip's video-direction, so that "
      "labels can be read there (auto: as the stream's tags say)", PLAYING,
      YOLO_ENUM (Settings, orientation, gst_video_orientation_method_get_type,
          GST_VIDEO_ORIENTATION_AUTO) },
  [PROP_SHOW_BOXES] = { "show-boxes", "Show boxes",
      "Whether to draw the boxes of the objects", PLAYING,
      YOLO_BOOLEAN (Settings, show_boxes, TRUE) },
  [PROP_PRIVACY] = { "privacy", "Privacy",
      "How objects and privacy-regions are made unrecognisable, before anything is drawn", PLAYING,
      YOLO_ENUM (Settings, privacy.mode, yolo_privacy_mode_type, YOLO_PRIVACY_NONE) },
  [PROP_PRIVACY_CLASS_IDS] = { "privacy-class-ids", "Privacy class ids",
      "Classes to make unrecognisable, numbers or names, as class-ids of yoloinfer (NULL: all; "
      "classes of a whole frame only if they are named)", PLAYING,
      YOLO_STRING (Settings, privacy.class_ids, NULL) },
  [PROP_PRIVACY_REGIONS] = { "privacy-regions", "Privacy regions",
      "Parts of the frame to make unrecognisable at all times, in pixels: x,y,width,height of "
      "rectangles or x,y of the corners of polygons, with semicolons between them (NULL: none)",
      PLAYING, YOLO_STRING (Settings, privacy.regions, NULL) },
  [PROP_PRIVACY_BLOCKS] = { "privacy-blocks", "Privacy blocks",
      "How many blocks of blur and pixelate lie across the longer side of what is hidden, at most; "
      "fewer hide more", PLAYING,
      YOLO_UINT (Settings, privacy.blocks, 1, YOLO_PRIVACY_MAX_BLOCKS, 8) },
  [PROP_PRIVACY_MASKS] = { "privacy-masks", "Privacy masks",
      "Whether an object with a mask or a turned box is hidden where that is, and not in all of "
      "its box", PLAYING, YOLO_BOOLEAN (Settings, privacy.masks, TRUE) },
  [PROP_PRIVACY_MARGIN] = { "privacy-margin", "Privacy margin",
      "How much more than the object is hidden on each side, as a share of its width and height",
      PLAYING, YOLO_DOUBLE (Settings, privacy.margin, 0, 10, .1) },
  [PROP_PRIVACY_HOLD] = { "privacy-hold", "Privacy hold",
      "How long an object with a track stays hidden, where it was and where it may have gone, "
      "while it is not found, in ns; one without a track half as long, and both for three frames "
      "at least (0: not at all)", PLAYING,
      YOLO_UINT64 (Settings, privacy.hold, 0, 60 * GST_SECOND, GST_SECOND) },
};

#define N_COLORS 64

struct _GstYoloOverlay {
  GstBaseTransform parent;
  Settings settings;            /* object lock */

  /* used by the streaming thread alone */
  GstVideoInfo info;            /* what the caps say */
  GArray *objects;              /* YoloMetaObject: of the frame in hand */
  GstBuffer *buffer;            /* the frame in hand; not owned */
  YoloWatch watch;
  gint origin_x, origin_y;      /* pixels; where the caps' frame begins in memory */
  YoloOrientation orientation;  /* what the stream's tags say */
  guint turn;                   /* YOLO_TURN_* of the frame in hand */
  YoloText *text;               /* owned */
  YoloUnpacked *unpacked;       /* owned; NULL: frames are drawn on where they lie */
  YoloColor color[N_COLORS];    /* by class or track, in the format that is drawn on */
  gboolean dark[N_COLORS];      /* whether white text reads better on the colour */
  YoloColor black, white;
  YoloZonesColors zones_colors;
  gboolean cuda;                /* frames lie in CUDA memory */
  YoloContextDrawer drawer;     /* on frames in CUDA memory */
  YoloDrawing drawing;          /* what is to be drawn on the frame in hand */
  YoloFigures figures;
  YoloTrails trails;
  YoloHider *hider;             /* owned */
  gboolean draws, hides;        /* something of the frame in hand is to be drawn, or hidden */
};

G_DEFINE_TYPE (GstYoloOverlay, gst_yolo_overlay, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (yolooverlay, "yolooverlay", GST_RANK_NONE, GST_TYPE_YOLO_OVERLAY)

/* 0xRRGGBB of a class. The hues of neighbouring classes lie a golden ratio of the circle
 * apart, so that those of any number of classes are spread over it; there are three
 * pairs of saturation and brightness. */
static guint32
class_color (guint class)
{
  static const gdouble saturation[3] = { 1, 0.65, 0.8 }, brightness[3] = { 1, 1, 0.75 };
  const gdouble hue = fmod (class * 0.6180339887, 1) * 6;
  const gdouble s = saturation[class / 3 % 3], v = brightness[class / 3 % 3];
  guint32 rgb = 0;
  guint i;

  /* each channel is a trapezoid over the hue: Smith, "Color gamut transform
   * pairs", SIGGRAPH 1978 */
  for (i = 0; i < 3; i++) {
    const gdouble k = fmod (hue + 5 - 2 * i, 6);
    const gdouble drop = CLAMP (MIN (k, 4 - k), 0, 1);

    rgb = rgb << 8 | (guint32) lrint (255 * v * (1 - s * drop));
  }
  return rgb;
}

/* Which of the N_COLORS an object has: by track, if trails are drawn, by class number, else by
 * label. */
static guint
color_of (const Settings *settings, const YoloMetaObject *object)
{
  if (settings->show_trails && object->object_id >= 0)
    return object->object_id % N_COLORS;
  if (object->label_id >= 0)
    return object->label_id % N_COLORS;
  return object->label ? g_str_hash (g_quark_to_string (object->label)) % N_COLORS : 0;
}

static gboolean
gst_yolo_overlay_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);
  const GstVideoInfo *drawn = &self->info;
  guint i;

  g_clear_pointer (&self->unpacked, yolo_unpacked_free);
  if (!gst_video_info_from_caps (&self->info, in))
    return FALSE;
  if (!yolo_draw_is_direct (self->info.finfo)) {
    self->unpacked = yolo_unpacked_new (&self->info);
    if (self->unpacked == NULL)
      return FALSE;
    drawn = &yolo_unpacked_frame (self->unpacked)->info;
  }
  yolo_hider_set_size (self->hider, &self->info);
  self->cuda = gst_caps_features_contains (gst_caps_get_features (in, 0), YOLO_CAPS_FEATURE_CUDA);
  for (i = 0; i < N_COLORS; i++) {
    const guint32 rgb = class_color (i);
    /* luma of BT.601 */
    const guint luma =
        (299 * (rgb >> 16 & 255) + 587 * (rgb >> 8 & 255) + 114 * (rgb & 255)) / 1000;

    yolo_color_init (&self->color[i], drawn, rgb);
    self->dark[i] = luma < 128;
  }
  yolo_color_init (&self->black, drawn, 0x000000);
  yolo_color_init (&self->white, drawn, 0xffffff);
  yolo_zones_colors_init (&self->zones_colors, drawn);
  return TRUE;
}

/* Nearest pixel of an edge, however far away. */
static gint
round_edge (gdouble x)
{
  return lrint (CLAMP (x, -1e6, 1e6));
}

static YoloRect
grow (YoloRect r, gint by)
{
  return (YoloRect) { r.x0 - by, r.y0 - by, r.x1 + by, r.y1 + by };
}

/* The box of an object, in pixels in memory. */
static YoloRect
box_of (GstYoloOverlay *self, const YoloMetaObject *object)
{
  return (YoloRect) {
    self->origin_x + round_edge (object->x), self->origin_y + round_edge (object->y),
    self->origin_x + round_edge ((gdouble) object->x + object->w),
    self->origin_y + round_edge ((gdouble) object->y + object->h),
  };
}

/* What other networks say of an object is in its label too. Words stay valid until 8 others are
 * asked for, so that two such networks are in it. */
#define MAX_CLASSES 2
#define MAX_WORDS (3 + 2 * MAX_CLASSES)

/* The words of a label: track, class, confidence; and class and confidence by each network that
 * has looked at the object besides. Returns how many there are. Each is a string of its own, so
 * that few are ever rendered. */
static guint
get_words (GstYoloOverlay *self, const Settings *settings, const YoloMetaObject *object,
    const YoloGlyphs *words[MAX_WORDS])
{
  char buffer[32];
  guint n = 0, n_classes, i;
  const YoloClass *class = yolo_classes_get (object->classes, &n_classes);

  if (settings->show_ids && object->object_id >= 0) {
    g_snprintf (buffer, sizeof (buffer), "#%d", object->object_id);
    words[n++] = yolo_text_get (self->text, buffer);
  }
  if (settings->show_labels && object->label) {
    words[n++] = yolo_text_get (self->text, g_quark_to_string (object->label));
  } else if (settings->show_labels && object->label_id >= 0) {
    g_snprintf (buffer, sizeof (buffer), "%d", object->label_id);
    words[n++] = yolo_text_get (self->text, buffer);
  }
  if (settings->show_confidence && object->confidence >= 0) {
    g_ascii_formatd (buffer, sizeof (buffer), "%.2f", object->confidence);
    words[n++] = yolo_text_get (self->text, buffer);
  }
  for (i = 0; settings->show_labels && i < MIN (n_classes, MAX_CLASSES); i++, class++) {
    words[n++] = yolo_text_get (self->text, g_quark_to_string (class->label));
    if (!settings->show_confidence || class->confidence < 0)
      continue;
    g_ascii_formatd (buffer, sizeof (buffer), "%.2f", class->confidence);
    words[n++] = yolo_text_get (self->text, buffer);
  }
  return n;
}

/* Draws a word, whose mask is turned already; x and y are those of the word's upper left
 * corner in the upright picture. */
static void
draw_word (GstYoloOverlay *self, YoloCanvas *canvas, const YoloMask *mask, gint x, gint y,
    const YoloColor *color)
{
  const gboolean transposed = self->turn & YOLO_TURN_TRANSPOSE;
  const YoloRect upright = { x, y, x + (transposed ? mask->height : mask->width),
    y + (transposed ? mask->width : mask->height) };
  const YoloRect rect = yolo_rect_to_frame (upright, self->turn, canvas->width, canvas->height);

  yolo_canvas_blend (canvas, mask, rect.x0, rect.y0, color);
}

/* Draws a label on top of the box, or inside where there is no room. The top is that of
 * the upright picture, so that the label can be read where that is shown. */
static void
draw_label (GstYoloOverlay *self, YoloCanvas *canvas, const Settings *settings,
    const YoloMetaObject *object, YoloRect box)
{
  const YoloRect visible =
      yolo_rect_to_upright (canvas->clip, self->turn, canvas->width, canvas->height);
  const gint ascent = yolo_text_ascent (self->text), descent = yolo_text_descent (self->text);
  const gint space = yolo_text_space (self->text), margin = MAX (space / 2, 1);
  const guint color = color_of (settings, object);
  const YoloGlyphs *words[MAX_WORDS];
  const guint n = get_words (self, settings, object, words);
  gint width = 2 * margin + ((gint) n - 1) * space, pen;
  YoloRect plate;
  guint i;

  if (n == 0)
    return;
  for (i = 0; i < n; i++)
    width += words[i]->advance;

  box = yolo_rect_to_upright (box, self->turn, canvas->width, canvas->height);
  plate.x0 = MAX (MIN (box.x0, visible.x1 - width), visible.x0);
  plate.y0 = MAX (box.y0 - ascent - descent, visible.y0);
  plate.x1 = plate.x0 + width;
  plate.y1 = plate.y0 + ascent + descent;
  yolo_canvas_fill (canvas, yolo_rect_to_frame (plate, self->turn, canvas->width, canvas->height),
      (YoloRect){ 0 }, &self->color[color]);

  pen = plate.x0 + margin;
  for (i = 0; i < n; i++) {
    draw_word (self, canvas, &words[i]->mask, pen + words[i]->left,
        plate.y0 + ascent - words[i]->top, self->dark[color] ? &self->white : &self->black);
    pen += words[i]->advance + space;
  }
}

/* The shape of an object, or one of nothing. */
static const YoloShape *
shape_of (const YoloMetaObject *object)
{
  static const YoloShape none = { 0 };
  const YoloShape *shape = yolo_shape_get (object->shape);

  return shape != NULL ? shape : &none;
}

/* A line between two places, 0 to 1 of the frame. */
static void
draw_line (GstYoloOverlay *self, YoloCanvas *canvas, const gfloat *from, const gfloat *to,
    gint thickness, const YoloColor *color)
{
  const gfloat w = GST_VIDEO_INFO_WIDTH (&self->info), h = GST_VIDEO_INFO_HEIGHT (&self->info);

  yolo_figure_line (&self->figures, canvas, self->origin_x + from[0] * w,
      self->origin_y + from[1] * h, self->origin_x + to[0] * w, self->origin_y + to[1] * h,
      thickness, color);
}

/* Source of the limbs: COCO's person_keypoints_val2017.json, "skeleton". */
static void
draw_points (GstYoloOverlay *self, YoloCanvas *canvas, const YoloShape *shape, gint line,
    const YoloColor *color)
{
  static const guint8 limbs[][2] = { { 15, 13 }, { 13, 11 }, { 16, 14 }, { 14, 12 }, { 11, 12 },
    { 5, 11 }, { 6, 12 }, { 5, 6 }, { 5, 7 }, { 6, 8 }, { 7, 9 }, { 8, 10 }, { 1, 2 }, { 0, 1 },
    { 0, 2 }, { 1, 3 }, { 2, 4 }, { 3, 5 }, { 4, 6 } };
  const gfloat *points = yolo_shape_points (shape);
  guint i;

  for (i = 0; shape->n_points == 17 && i < G_N_ELEMENTS (limbs); i++) {
    const gfloat *from = points + 3 * limbs[i][0], *to = points + 3 * limbs[i][1];

    if (from[2] >= .5f && to[2] >= .5f)
      draw_line (self, canvas, from, to, line, color);
  }
  for (i = 0; i < shape->n_points; i++)
    if (points[3 * i + 2] >= .5f)
      draw_line (self, canvas, points + 3 * i, points + 3 * i, 2 * line + 1, &self->white);
}

/* The way that an object has come. Positions that are no further apart than the line is thick
 * are left out: an object that stands still has many. */
static void
draw_trail (GstYoloOverlay *self, YoloCanvas *canvas, const Settings *settings,
    const YoloMetaObject *object, gint line)
{
  const gfloat w = GST_VIDEO_INFO_WIDTH (&self->info), h = GST_VIDEO_INFO_HEIGHT (&self->info);
  gfloat points[YOLO_TRAIL_POINTS][2];
  const guint n = yolo_trails_get (&self->trails, object, points);
  guint from = 0, i;

  for (i = 1; i < n; i++) {
    const gfloat dx = (points[i][0] - points[from][0]) * w;
    const gfloat dy = (points[i][1] - points[from][1]) * h;

    if (dx * dx + dy * dy < (gfloat) line * line && i + 1 < n)
      continue;
    draw_line (self, canvas, points[from], points[i], line,
        &self->color[color_of (settings, object)]);
    from = i;
  }
}

/* An object without its label. */
static void
draw_object (GstYoloOverlay *self, YoloCanvas *canvas, const Settings *settings,
    const YoloMetaObject *object, gint line)
{
  const YoloShape *shape = shape_of (object);
  const YoloColor *color = &self->color[color_of (settings, object)];
  const gint width = GST_VIDEO_INFO_WIDTH (&self->info),
             height = GST_VIDEO_INFO_HEIGHT (&self->info);
  const YoloRect outer = grow (box_of (self, object), (line + 1) / 2);
  guint k;

  if (settings->show_masks && shape->mask_width > 0 && shape->mask_height > 0)
    yolo_figure_mask (&self->figures, canvas, shape,
        (gfloat[4]){ object->x, object->y, object->x + object->w, object->y + object->h },
        self->origin_x, self->origin_y, width, height, settings->mask_opacity * 255 / 100, line,
        color);
  if (settings->show_boxes && shape->flags & YOLO_SHAPE_TURNED) {
    for (k = 0; k < 4; k++)
      draw_line (self, canvas, shape->corners + 2 * k, shape->corners + 2 * ((k + 1) % 4), line,
          color);
  } else if (settings->show_boxes && !(shape->flags & YOLO_SHAPE_WHOLE)) {
    yolo_canvas_fill (canvas, outer, grow (outer, -line), color);
  }
  if (settings->show_points)
    draw_points (self, canvas, shape, line, color);
}

/* Whether any pixel of the box can be seen; if not, it gets no label either. */
static gboolean
is_visible (YoloRect box, const YoloRect *visible)
{
  return MAX (box.x0, visible->x0) < MIN (box.x1, visible->x1)
      && MAX (box.y0, visible->y0) < MIN (box.y1, visible->y1);
}

/* How many objects before number @i are classes of the whole frame. */
static gint
whole_before (GstYoloOverlay *self, guint i)
{
  gint n = 0;

  while (i-- > 0)
    n += shape_of (&g_array_index (self->objects, YoloMetaObject, i))->flags & YOLO_SHAPE_WHOLE
        ? 1 : 0;
  return n;
}

/* Writes a class of the whole frame into line number @row, from the upper left corner of the
 * upright picture down. */
static void
draw_class (GstYoloOverlay *self, YoloCanvas *canvas, const Settings *settings,
    const YoloMetaObject *object, gint row)
{
  const gint height = yolo_text_ascent (self->text) + yolo_text_descent (self->text);
  YoloRect box = yolo_rect_to_upright (canvas->clip, self->turn, canvas->width, canvas->height);

  /* a label lies on top of its box */
  box.y0 += (row + 1) * height;
  draw_label (self, canvas, settings, object,
      yolo_rect_to_frame (box, self->turn, canvas->width, canvas->height));
}

/* Whether anything can be drawn on a buffer whose objects have been read. */
static gboolean
has_something (GstYoloOverlay *self, GstBuffer *buffer)
{
  gpointer state = NULL;
  gboolean show_zones;

  GST_OBJECT_LOCK (self);
  show_zones = self->settings.show_zones;
  GST_OBJECT_UNLOCK (self);
  return self->objects->len > 0
      || (show_zones && yolo_zones_meta_next (buffer, &state) != NULL);
}

static void
draw_zones (GstYoloOverlay *self, YoloCanvas *canvas, gint line)
{
  const YoloZonesPen pen = {
    .canvas = canvas, .figures = &self->figures, .text = self->text,
    .colors = &self->zones_colors, .turn = self->turn, .x = self->origin_x, .y = self->origin_y,
    .width = GST_VIDEO_INFO_WIDTH (&self->info), .height = GST_VIDEO_INFO_HEIGHT (&self->info),
    .thickness = line,
  };
  gpointer state = NULL;
  const GstStructure *zones;

  while ((zones = yolo_zones_meta_next (self->buffer, &state)) != NULL)
    yolo_zones_draw (&pen, zones);
}

static void
draw (GstYoloOverlay *self, YoloCanvas *canvas, const Settings *settings)
{
  const YoloRect visible =
      yolo_rect_to_upright (canvas->clip, self->turn, canvas->width, canvas->height);
  const gint height = visible.y1 - visible.y0, width = visible.x1 - visible.x0;
  const gint line =
      settings->line_width ? (gint) settings->line_width : MAX ((height + 135) / 270, 1);
  guint i;

  yolo_text_set_turn (self->text, self->turn);
  yolo_text_set_font (self->text, settings->font, MAX (height / 45, 10), CLAMP (width, 1, 4096));

  for (i = 0; settings->show_trails && i < self->objects->len; i++)
    draw_trail (self, canvas, settings, &g_array_index (self->objects, YoloMetaObject, i), line);
  if (settings->show_zones)
    draw_zones (self, canvas, line);
  /* the most confident objects come first in the metadata; here they come last, on top */
  for (i = self->objects->len; i-- > 0;) {
    draw_object (self, canvas, settings, &g_array_index (self->objects, YoloMetaObject, i), line);
  }
  for (i = self->objects->len; i-- > 0;) {
    const YoloMetaObject *object = &g_array_index (self->objects, YoloMetaObject, i);
    const YoloRect outer = grow (box_of (self, object), (line + 1) / 2);

    if (!is_visible (outer, &canvas->clip))
      continue;
    if (shape_of (object)->flags & YOLO_SHAPE_WHOLE)
      draw_class (self, canvas, settings, object, whole_before (self, i));
    else
      draw_label (self, canvas, settings, object, outer);
  }
}

/* Makes self->unpacked as large as the frame, which may be larger in memory than its caps
 * say. FALSE: the frame is too large. */
static gboolean
fit_unpacked (GstYoloOverlay *self, const GstVideoFrame *frame)
{
  const GstVideoFrame *unpacked = yolo_unpacked_frame (self->unpacked);

  if (GST_VIDEO_FRAME_WIDTH (unpacked) == GST_VIDEO_FRAME_WIDTH (frame)
      && GST_VIDEO_FRAME_HEIGHT (unpacked) == GST_VIDEO_FRAME_HEIGHT (frame))
    return TRUE;
  YoloUnpacked *fitting = yolo_unpacked_new (&frame->info);
  if (fitting == NULL)
    return FALSE;
  yolo_unpacked_free (self->unpacked);
  self->unpacked = fitting;
  return TRUE;
}

/* Draws twice: first into a list, which says which rows have to be unpacked. */
static void
draw_unpacked (
    GstYoloOverlay *self, GstVideoFrame *frame, YoloCanvas *canvas, const Settings *settings)
{
  gint y0 = canvas->height, y1 = 0;
  guint i;

  yolo_drawing_reset (&self->drawing);
  canvas->drawing = &self->drawing;
  draw (self, canvas, settings);
  canvas->drawing = NULL;
  for (i = 0; i < self->drawing.strokes->len; i++) {
    const YoloRect *outer = &g_array_index (self->drawing.strokes, YoloStroke, i).outer;

    y0 = MIN (y0, outer->y0);
    y1 = MAX (y1, outer->y1);
  }
  if (y0 >= y1)
    return;
  yolo_unpacked_take (self->unpacked, frame, y0, y1);
  draw (self, canvas, settings);
  yolo_unpacked_put (self->unpacked, frame);
}

static YoloRect
crop_rect (const GstVideoCropMeta *crop)
{
  const gint max = G_MAXINT / 2;
  const gint x = MIN (crop->x, (guint) max), y = MIN (crop->y, (guint) max);

  return (
      YoloRect){ x, y, x + MIN (crop->width, (guint) max), y + MIN (crop->height, (guint) max) };
}

/* A buffer that nothing is drawn on need not be writable: no copy. */
static GstFlowReturn
gst_yolo_overlay_prepare_output_buffer (GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);

  yolo_meta_read (in, &self->info, self->objects);
  yolo_watch_buffer (&self->watch, GST_ELEMENT (self), in, self->objects->len);
  self->hides = yolo_hider_begin (self->hider, in, self->objects);
  self->draws = has_something (self, in);
  if (!self->draws && !self->hides) {
    *out = in;
    return GST_FLOW_OK;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_overlay_parent_class)->prepare_output_buffer (trans,
      in, out);
}

/* A drawer in the CUDA context of the buffer's memory; NULL with @error. */
static YoloDrawer *
get_drawer (GstYoloOverlay *self, GstBuffer *buffer, GError **error)
{
  GstObject *context = yolo_cuda_buffer_context (buffer);

  if (context != NULL)
    return yolo_context_drawer_get (&self->drawer, context, 0, error);
  g_set_error_literal (
      error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "the buffer holds no CUDA memory");
  return NULL;
}

/* Hides what is to be hidden, in the frame's own memory. */
static gboolean
hide (GstYoloOverlay *self, GstBuffer *buffer, GstVideoFrame *frame, const YoloCanvas *canvas,
    GError **error)
{
  YoloPrivacy *privacy;
  YoloDrawer *drawer;
  gint y0, y1;

  if (!self->hides)
    return TRUE;
  privacy = yolo_hider_add (self->hider, canvas, self->origin_x, self->origin_y, &self->black);
  if (self->cuda) {
    drawer = get_drawer (self, buffer, error);
    return drawer != NULL
        && yolo_drawer_redact (drawer, canvas, yolo_cuda_buffer_stream (buffer),
            (const YoloRedaction *) privacy->redactions->data, privacy->redactions->len,
            privacy->masks->data, privacy->masks->len, privacy->n_levels, error);
  }
  if (!yolo_privacy_rows (privacy, canvas, &y0, &y1))
    return TRUE;
  if (self->unpacked)
    yolo_unpacked_take (self->unpacked, frame, y0, y1);
  yolo_privacy_apply (privacy, canvas);
  if (self->unpacked)
    yolo_unpacked_put (self->unpacked, frame);
  return TRUE;
}

/* Draws what is to be seen; in CUDA memory the strokes are collected first. */
static gboolean
draw_frame (GstYoloOverlay *self, GstBuffer *buffer, GstVideoFrame *frame, YoloCanvas *canvas,
    const Settings *settings, GError **error)
{
  YoloDrawer *drawer;

  if (self->unpacked) {
    draw_unpacked (self, frame, canvas, settings);
    return TRUE;
  }
  if (!self->cuda) {
    draw (self, canvas, settings);
    return TRUE;
  }
  yolo_drawing_reset (&self->drawing);
  canvas->drawing = &self->drawing;
  draw (self, canvas, settings);
  drawer = get_drawer (self, buffer, error);
  return drawer != NULL
      && yolo_drawer_draw (drawer, canvas, yolo_cuda_buffer_stream (buffer),
          (const YoloStroke *) self->drawing.strokes->data, self->drawing.strokes->len,
          self->drawing.masks->data, self->drawing.masks->len, error);
}

/* Maps a buffer to be drawn on; FALSE: an error was posted. */
static gboolean
map_frame (GstYoloOverlay *self, GstBuffer *buffer, GstVideoFrame *frame)
{
  GstVideoInfo info = self->info;
  gboolean mapped;

  if (self->cuda)
    yolo_cuda_layout (buffer, &info);
  mapped = gst_video_frame_map (frame, &info, buffer,
      GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF
          | (self->cuda ? yolo_cuda_map_flags () : 0));
  if (mapped && yolo_video_planes_fit (frame)
      && (self->unpacked == NULL || fit_unpacked (self, frame)))
    return TRUE;
  if (mapped)
    gst_video_frame_unmap (frame);
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("a video frame cannot be drawn on"),
      ("a buffer of %" G_GSIZE_FORMAT " bytes cannot be mapped as %s %dx%d for writing",
          gst_buffer_get_size (buffer), GST_VIDEO_INFO_NAME (&self->info),
          GST_VIDEO_INFO_WIDTH (&self->info), GST_VIDEO_INFO_HEIGHT (&self->info)));
  return FALSE;
}

static GstFlowReturn
gst_yolo_overlay_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);
  GstVideoFrame frame;
  YoloCanvas canvas;
  YoloRect visible;
  Settings settings;
  gboolean drawn;
  g_autoptr (GError) error = NULL;

  if (!self->draws && !self->hides)
    return GST_FLOW_OK;
  self->buffer = buffer;
  if (!map_frame (self, buffer, &frame))
    return GST_FLOW_ERROR;

  yolo_meta_origin (buffer, &self->info, &self->origin_x, &self->origin_y);
  if (crop)
    visible = crop_rect (crop);
  yolo_canvas_init (&canvas, self->unpacked ? yolo_unpacked_frame (self->unpacked) : &frame,
      crop ? &visible : NULL);

  GST_OBJECT_LOCK (self);
  settings = self->settings;
  settings.font = g_strdup (settings.font);     /* the property may be set meanwhile */
  GST_OBJECT_UNLOCK (self);
  self->turn = yolo_orientation_turn (&self->orientation, settings.orientation);
  if (settings.show_trails)
    yolo_trails_add (&self->trails, self->objects, &self->info, GST_BUFFER_PTS (buffer),
        settings.trail_length);
  drawn = hide (self, buffer, &frame, &canvas, &error)
      && draw_frame (self, buffer, &frame, &canvas, &settings, &error);
  g_free (settings.font);

  gst_video_frame_unmap (&frame);
  if (!drawn) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, WRITE, ("a video frame cannot be drawn on"), ("%s", error->message));
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

static gboolean
gst_yolo_overlay_start (GstBaseTransform *trans)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);
  g_autoptr (GError) error = NULL;

  self->watch = (YoloWatch) { 0 };
  self->orientation = (YoloOrientation) { 0 };
  if (yolo_hider_start (self->hider, &error))
    return TRUE;
  GST_ELEMENT_ERROR (self, LIBRARY, SETTINGS, ("%s", error->message), (NULL));
  return FALSE;
}

static gboolean
gst_yolo_overlay_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);

  yolo_watch_event (&self->watch, GST_ELEMENT (self), event);
  yolo_orientation_event (&self->orientation, GST_BASE_TRANSFORM_SINK_PAD (trans), event);
  /* a number is another object's in another stream */
  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START
      || GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP) {
    yolo_trails_reset (&self->trails);
    yolo_hider_flush (self->hider);
  }
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_overlay_parent_class)->sink_event (trans, event);
}

static gboolean
gst_yolo_overlay_stop (GstBaseTransform *trans)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (trans);

  yolo_context_drawer_close (&self->drawer);
  g_clear_pointer (&self->unpacked, yolo_unpacked_free);
  yolo_hider_stop (self->hider);
  return TRUE;
}

/* The element downstream says which memory it takes; frames are drawn on in that. */
static gboolean
gst_yolo_overlay_propose_allocation (GstBaseTransform *trans, GstQuery *decide, GstQuery *query)
{
  return gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
}

static void
gst_yolo_overlay_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (object);

  if (id == PROP_PRIVACY_CLASS_IDS) {
    yolo_hider_set_class_ids (self->hider, g_value_get_string (value));
    return;
  }
  if (id == PROP_PRIVACY_REGIONS) {
    yolo_hider_set_regions (self->hider, g_value_get_string (value));
    return;
  }
  GST_OBJECT_LOCK (self);
  yolo_property_set (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_overlay_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (object);

  GST_OBJECT_LOCK (self);
  yolo_property_get (&properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_overlay_init (GstYoloOverlay *self)
{
  yolo_properties_init (properties, N_PROPERTIES, &self->settings);
  self->objects = yolo_meta_objects_new ();
  self->text = yolo_text_new ();
  yolo_drawing_init (&self->drawing);
  self->hider = yolo_hider_new (GST_ELEMENT (self), &self->settings.privacy);
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_yolo_overlay_finalize (GObject *object)
{
  GstYoloOverlay *self = GST_YOLO_OVERLAY (object);

  yolo_properties_clear (properties, N_PROPERTIES, &self->settings);
  g_array_unref (self->objects);
  yolo_text_free (self->text);
  yolo_drawing_clear (&self->drawing);
  yolo_figures_clear (&self->figures);
  yolo_trails_clear (&self->trails);
  yolo_hider_free (self->hider);
  G_OBJECT_CLASS (gst_yolo_overlay_parent_class)->finalize (object);
}

static void
gst_yolo_overlay_class_init (GstYoloOverlayClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);
  GstCaps *caps;

  GST_DEBUG_CATEGORY_INIT (yolooverlay_debug, "yolooverlay", 0, "drawing of detections");

  object_class->set_property = gst_yolo_overlay_set_property;
  object_class->get_property = gst_yolo_overlay_get_property;
  object_class->finalize = gst_yolo_overlay_finalize;
  yolo_properties_install (object_class, properties, N_PROPERTIES);

  gst_element_class_set_static_metadata (element_class, "YOLO overlay", "Filter/Editor/Video",
      "Draws boxes and labels of detected objects into video frames, without converting them",
      "The yolo project");
  gst_type_mark_as_plugin_api (yolo_privacy_mode_type (), 0);
  caps = yolo_unpack_caps ("video/x-raw", YOLO_DRAW_FORMATS);
  /* on a machine without CUDA, nobody offers frames in CUDA memory */
  gst_caps_append (caps,
      gst_caps_from_string (
          GST_VIDEO_CAPS_MAKE_WITH_FEATURES (YOLO_CAPS_FEATURE_CUDA, "{ " YOLO_DRAW_FORMATS " }")));
  gst_element_class_add_pad_template (
      element_class, gst_pad_template_new ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template (
      element_class, gst_pad_template_new ("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref (caps);

  trans_class->set_caps = gst_yolo_overlay_set_caps;
  trans_class->prepare_output_buffer = gst_yolo_overlay_prepare_output_buffer;
  trans_class->sink_event = gst_yolo_overlay_sink_event;
  trans_class->start = gst_yolo_overlay_start;
  trans_class->stop = gst_yolo_overlay_stop;
  trans_class->transform_ip = gst_yolo_overlay_transform_ip;
  trans_class->propose_allocation = gst_yolo_overlay_propose_allocation;
}
