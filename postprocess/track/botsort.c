/* SPDX-License-Identifier: MIT */
/* Source: N. Aharon, R. Orfaig, B. Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian
 * Tracking", arXiv:2206.14651, without appearance: ByteTrack's association, with a motion of
 * middle, width and height, whose noise is in proportion to the side that it is along, and with
 * the camera's motion. The authors let the camera's matrix mix width and height too; here both are
 * scaled, since a box is upright however the camera turns. */
#include "postprocess/track/record.h"

/* shares of the side: deviations of a position and of a velocity, a nominal frame */
#define POSITION (1. / 20)
#define VELOCITY (1. / 160)

/* The motion is of middle x, middle y, width and height. */

static double
square (double x)
{
  return x * x;
}

static void
begin (YoloTrackRecord *r, const YoloObject *box)
{
  double w = (double) box->x2 - box->x1, h = (double) box->y2 - box->y1;
  double z[4] = { box->x1 + w / 2, box->y1 + h / 2, w, h };

  for (int i = 0; i < 4; i++)
    yolo_kalman_begin (&r->motion[i], z[i], square (2 * POSITION * z[2 + i % 2]),
        square (10 * VELOCITY * z[2 + i % 2]));
}

static void
predict (YoloTrackRecord *r, double step, const YoloTrackerSettings *settings)
{
  YoloKalman *m = r->motion;
  double sides[2] = { m[2].x, m[3].x };

  if (!r->confirmed && settings->published)
    return;
  /* The size of what is hidden step by step would go on shrinking. */
  if (r->lost)
    m[2].v = m[3].v = 0;
  for (int i = 0; i < 4; i++)
    yolo_kalman_predict (&m[i], step, square (POSITION * sides[i % 2]),
        square (VELOCITY * sides[i % 2]));
  for (int i = 0; i < 2; i++)
    yolo_kalman_keep (&m[2 + i], sides[i] / 2);
  if (!settings->published)
    yolo_bytetrack_grow (r, m[2].x, m[3].x, POSITION * m[2].x, POSITION * m[3].x);
}

static void
correct (YoloTrackRecord *r, const YoloObject *box)
{
  double w = (double) box->x2 - box->x1, h = (double) box->y2 - box->y1;
  double z[4] = { box->x1 + w / 2, box->y1 + h / 2, w, h };
  double sides[2] = { r->motion[2].x, r->motion[3].x };

  for (int i = 0; i < 4; i++)
    yolo_kalman_correct (&r->motion[i], z[i], square (POSITION * sides[i % 2]));
}

static void
show (YoloTrackRecord *r)
{
  const YoloKalman *m = r->motion;

  r->track.object.x1 = (float) (m[0].x - m[2].x / 2);
  r->track.object.y1 = (float) (m[1].x - m[3].x / 2);
  r->track.object.x2 = (float) (m[0].x + m[2].x / 2);
  r->track.object.y2 = (float) (m[1].x + m[3].x / 2);
  r->track.vx = (float) m[0].v;
  r->track.vy = (float) m[1].v;
}

static void
move (YoloTrackRecord *r, const float *camera)
{
  yolo_kalman_move (&r->motion[0], &r->motion[1], camera);
  yolo_kalman_scale (&r->motion[2], yolo_camera_zoom (camera));
  yolo_kalman_scale (&r->motion[3], yolo_camera_zoom (camera));
}

const YoloTrackerMethod yolo_botsort = {
  begin, predict, correct, show, move, yolo_bytetrack_associate, true,
};
