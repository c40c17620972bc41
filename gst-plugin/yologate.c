/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yologate.h"

#include "gst-plugin/yololook.h"

#include <string.h>

/* More parts of a frame than this are objects, which come and go. */
#define MAX_PARTS 64

/* What of a part's request decides what is found in it. */
typedef struct {
  YoloRequest request;          /* its addresses are not used */
  YoloMotionGrid grid;
  gsize picture;                /* the first byte in the pictures */
} View;

struct _YoloGate {
  GstElement *element;          /* borrowed */
  GArray *views;                /* View: of the last frame that was inferred; none: forgotten */
  GByteArray *pictures;         /* of the views */
  GBytes *classes;              /* owned; what the views' requests ask for, or NULL */
  GArray *areas;                /* a reference; what the parts are cut down to, or NULL */
  GstClockTime since;           /* when that frame was */
  GArray *new_views;            /* the same of the frame in hand */
  GByteArray *new_pictures;
  YoloLook look;
  gboolean warned;
};

YoloGate *
yolo_gate_new (GstElement *element)
{
  YoloGate *gate = g_new0 (YoloGate, 1);

  gate->element = element;
  gate->views = g_array_new (FALSE, FALSE, sizeof (View));
  gate->new_views = g_array_new (FALSE, FALSE, sizeof (View));
  gate->pictures = g_byte_array_new ();
  gate->new_pictures = g_byte_array_new ();
  return gate;
}

static void
forget (YoloGate *gate)
{
  g_array_set_size (gate->views, 0);
  g_clear_pointer (&gate->classes, g_bytes_unref);
  g_clear_pointer (&gate->areas, g_array_unref);
}

void
yolo_gate_reset (YoloGate *gate)
{
  forget (gate);
  gate->warned = FALSE;
  yolo_look_close (&gate->look);
}

void
yolo_gate_free (YoloGate *gate)
{
  if (gate == NULL)
    return;
  yolo_gate_reset (gate);
  g_array_unref (gate->views);
  g_array_unref (gate->new_views);
  g_byte_array_unref (gate->pictures);
  g_byte_array_unref (gate->new_pictures);
  yolo_look_clear (&gate->look);
  g_free (gate);
}

static void
warn (YoloGate *gate, const char *why)
{
  if (gate->warned)
    return;
  gate->warned = TRUE;
  GST_ELEMENT_WARNING (gate->element, LIBRARY, SETTINGS,
      ("motion-gate has no effect, every frame is inferred: %s", why), (NULL));
}

/* Why a part of a frame cannot be looked at; NULL: it can. */
static const char *
obstacle (const YoloPart *part)
{
  if (part->slot > 0)
    return "a buffer holds frames of several streams, which may be others the next time";
  if (part->parent > 0)
    return "with inference-region=roi-list, reclassify-interval is what says when the network "
        "looks at an object again";
  return NULL;
}

/* Makes the views of the frame in hand. FALSE: it cannot be looked at. */
static gboolean
look (YoloGate *gate, YoloFlight *flight, guint device)
{
  YoloMotionView views[MAX_PARTS];
  g_autoptr (GError) error = NULL;
  guint size = 0;

  g_array_set_size (gate->new_views, 0);
  for (guint i = 0; i < flight->parts->len; i++) {
    const YoloPart *part = &g_array_index (flight->parts, YoloPart, i);
    View view = { .request = part->request, .picture = size };
    const char *why = obstacle (part);

    if (why != NULL) {
      warn (gate, why);
      return FALSE;
    }
    yolo_motion_grid (&view.grid, &part->request.frame);
    views[i] = (YoloMotionView) { &part->request.frame, view.grid };
    size += (guint) yolo_motion_size (&view.grid);
    g_array_append_val (gate->new_views, view);
  }
  g_byte_array_set_size (gate->new_pictures, size);
  if (yolo_look_at (&gate->look, flight->buffer, views, flight->parts->len, device,
          gate->new_pictures->data, &error))
    return TRUE;
  warn (gate, error->message);
  return FALSE;
}

/* Whether two requests ask the same of frames that look the same. Their classes and areas are
 * compared elsewhere. */
static gboolean
is_same_question (const YoloRequest *a, const YoloRequest *b)
{
  return a->net_width == b->net_width && a->net_height == b->net_height
      && a->confidence == b->confidence && a->iou == b->iou
      && a->max_detections == b->max_detections && a->agnostic == b->agnostic
      && a->multi_label == b->multi_label && a->frame.format == b->frame.format
      && a->frame.turn == b->frame.turn && a->frame.memory == b->frame.memory;
}

/* Whether all parts of the frame in hand show what they did, within the threshold. */
static gboolean
is_still (const YoloGate *gate, guint threshold)
{
  if (gate->views->len != gate->new_views->len)
    return FALSE;
  for (guint i = 0; i < gate->views->len; i++) {
    const View *before = &g_array_index (gate->views, View, i),
               *view = &g_array_index (gate->new_views, View, i);

    if (!is_same_question (&before->request, &view->request)
        || memcmp (&before->grid, &view->grid, sizeof view->grid) != 0
        || yolo_motion_difference (gate->pictures->data + before->picture,
               gate->new_pictures->data + view->picture,
               yolo_motion_size (&view->grid)) > (gint) threshold)
      return FALSE;
  }
  return TRUE;
}

/* Makes the frame in hand what later ones are compared with. */
static void
remember (YoloGate *gate, const YoloFlight *flight, GstClockTime now)
{
  GArray *views = gate->views;
  GByteArray *pictures = gate->pictures;

  gate->views = gate->new_views;
  gate->new_views = views;
  gate->pictures = gate->new_pictures;
  gate->new_pictures = pictures;
  g_clear_pointer (&gate->classes, g_bytes_unref);
  gate->classes = flight->classes != NULL ? g_bytes_ref (flight->classes) : NULL;
  g_clear_pointer (&gate->areas, g_array_unref);
  gate->areas = flight->areas != NULL ? g_array_ref (flight->areas) : NULL;
  gate->since = now;
}

gboolean
yolo_gate_rests (
    YoloGate *gate, YoloFlight *flight, const YoloLiveSettings *settings, guint device)
{
  const GstClockTime now =
      GST_BUFFER_PTS_IS_VALID (flight->buffer) ? GST_BUFFER_PTS (flight->buffer) : flight->since;

  if (!settings->motion_gate || flight->parts->len == 0 || flight->parts->len > MAX_PARTS
      || !look (gate, flight, device)) {
    forget (gate);
    return FALSE;
  }
  if (gate->views->len > 0 && gate->classes == flight->classes && gate->areas == flight->areas
      && now >= gate->since
      && (settings->motion_max_rest == 0 || now - gate->since < settings->motion_max_rest)
      && is_still (gate, settings->motion_threshold)) {
    yolo_flight_unmap (flight);
    g_array_set_size (flight->parts, 0);
    flight->inferred = FALSE;
    flight->gated = flight->repeat = TRUE;
    return TRUE;
  }
  remember (gate, flight, now);
  return FALSE;
}
