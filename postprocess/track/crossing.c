/* SPDX-License-Identifier: MIT */
#include "postprocess/track/crossing.h"

#include <math.h>

int
yolo_crossing_step (
    YoloCrossing *crossing, double distance, double meet, double now, const YoloHold *hold)
{
  int sign = distance > 0 ? 1 : distance < 0 ? -1 : crossing->sign, crossed = 0;

  if (sign != crossing->sign) {
    crossing->through = crossing->sign != 0 && meet >= 0 && meet <= 1;
    crossing->held = false;
  }
  crossing->sign = (int8_t) sign;
  /* standing on the line, or too near to it, is no side to hold */
  if (sign == 0 || fabs (distance) < hold->near || sign == crossing->side) {
    crossing->held = false;
    return 0;
  }
  if (!crossing->held)
    crossing->since = now;
  crossing->held = true;
  if (crossing->side != 0 && fabs (distance) < hold->far && now - crossing->since < hold->time)
    return 0;
  if (crossing->side != 0 && crossing->through)
    crossed = sign;
  crossing->side = (int8_t) sign;
  crossing->held = false;
  return crossed;
}

int
yolo_stay_step (YoloStay *stay, double depth, double now, const YoloHold *hold)
{
  bool elsewhere = stay->inside ? depth < -hold->near : depth >= 0;

  if (!elsewhere) {
    stay->held = false;
    return 0;
  }
  if (!stay->held)
    stay->since = now;
  stay->held = true;
  if (fabs (depth) < hold->far && now - stay->since < hold->time)
    return 0;
  stay->held = false;
  stay->inside = !stay->inside;
  if (!stay->inside)
    return -1;
  stay->entered = stay->since;
  return 1;
}
