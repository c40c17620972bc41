/* SPDX-License-Identifier: MIT */
/* Corners: J. Shi, C. Tomasi, "Good Features to Track", CVPR 1994. Their flow: B. Lucas, T. Kanade,
 * "An Iterative Image Registration Technique with an Application to Stereo Vision", IJCAI 1981, in
 * the inverse form of S. Baker, I. Matthews, "Lucas-Kanade 20 Years On: A Unifying Framework", IJCV
 * 2004, in which gradients are those of the first picture and are worked out once. Consensus:
 * M. Fischler, R. Bolles, "Random Sample Consensus", CACM 1981. */
#include "image/camera.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

/* pixels of a side of what is looked for; a row of it is a vector of floats */
#define PATCH 8
/* pixels between two places where a corner can be */
#define STRIDE 4
/* Cells along the longer side, of each of which the best corner is taken, so that they are spread
 * over the picture. */
#define CELLS 16
#define MOST (CELLS * CELLS)
/* What a corner is: the mean of the squared gradient along the direction in which there is least
 * of it, in levels a pixel, squared. A camera's noise has .5 in the small picture. */
#define LEAST_GRADIENT 3
/* halvings of the picture, so that a corner is found again some 40 pixels away */
#define LEVELS 4
/* steps of the flow, at most; it ends when one is shorter than so many pixels */
#define STEPS 8
#define SHORT .03f
/* how far all of the picture can have moved, as a share of its sides */
#define FARTHEST .4f
/* samples of two corners; each is a motion on which others agree or not */
#define SAMPLES 100
/* pixels within which a corner agrees */
#define TOLERANCE .5f
/* The corners that agree: how many, which share of all, and how far they lie from their middle (the
 * root of the mean of the square, as a share of the longer side): what is seen in one place alone
 * may be an object. */
#define LEAST_CORNERS 8
#define LEAST_SHARE .25f
#define LEAST_SPREAD .15f

/* bytes of a picture and its halvings, of which each has at most a quarter of the pixels */
#define PIXELS (YOLO_CAMERA_SIDE * YOLO_CAMERA_SIDE * 4 / 3)
/* places along a side */
#define PLACES (YOLO_CAMERA_SIDE / STRIDE)

typedef struct {
  const uint8_t *at;            /* [height][width] */
  int width, height;
} Level;

typedef struct {
  YoloMotionGrid grid;
  Level level[LEVELS];
  int n_levels;                 /* 0: there is no picture */
  uint8_t pixels[PIXELS];
} Picture;

/* A picture's corners: the left upper pixels of their patches. */
typedef struct {
  int n, x[MOST], y[MOST];
} Corners;

/* Corners that were found in both pictures: where their middles were and are, in pixels of the
 * small picture. */
typedef struct {
  int n;
  float x[MOST], y[MOST], to_x[MOST], to_y[MOST];
  bool agrees[MOST];
} Pairs;

/* A point becomes (a x - b y + x0, b x + a y + y0). */
typedef struct {
  float a, b, x0, y0;
} Similarity;

struct _YoloCamera {
  Picture picture[2];
  int last;                     /* which of them is that of the frame before */
  uint8_t hidden[PLACES][PLACES];       /* whether a corner of that must not be at a place */
  Corners corners;
  Pairs pairs;
};

YoloCamera *
yolo_camera_new (void)
{
  return calloc (1, sizeof (YoloCamera));
}

void
yolo_camera_free (YoloCamera *camera)
{
  free (camera);
}

void
yolo_camera_reset (YoloCamera *camera)
{
  camera->picture[camera->last].n_levels = 0;
  memset (camera->hidden, 0, sizeof camera->hidden);
}

void
yolo_camera_grid (YoloMotionGrid *grid, const YoloFrame *frame)
{
  yolo_motion_fine_grid (grid, frame, YOLO_CAMERA_SIDE);
}

uint8_t *
yolo_camera_picture (YoloCamera *camera, const YoloMotionGrid *grid)
{
  Picture *next = &camera->picture[!camera->last];

  next->grid = *grid;
  return next->pixels;
}

/* Half as large: each pixel the mean of four. */
YOLO_SIMD static void
halve (const Level *from, uint8_t *restrict to, int width, int height)
{
  for (int y = 0; y < height; y++) {
    const uint8_t *restrict top = from->at + (size_t) (2 * y) * (size_t) from->width;
    const uint8_t *restrict bottom = top + from->width;

    for (int x = 0; x < width; x++)
      to[(size_t) y * (size_t) width + (size_t) x] = (uint8_t) (
          (top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1] + 2) / 4);
  }
}

/* The halvings of a picture, down to what a patch can still move in. */
static void
make_levels (Picture *picture)
{
  uint8_t *at = picture->pixels;
  int width = picture->grid.columns, height = picture->grid.rows, n = 0;

  for (; n < LEVELS && width >= 2 * PATCH && height >= 2 * PATCH; n++) {
    if (n > 0)
      halve (&picture->level[n - 1], at, width, height);
    picture->level[n] = (Level){ at, width, height };
    at += (size_t) width * (size_t) height;
    width /= 2;
    height /= 2;
  }
  picture->n_levels = n;
}

/* Corners */

/* A place from a coordinate, which may be anything. */
static int
place_of (float v, int block)
{
  v /= (float) (block * STRIDE);
  return v < 0 ? 0 : v < PLACES - 1 ? (int) v : PLACES - 1;
}

void
yolo_camera_hide (YoloCamera *camera, float x1, float y1, float x2, float y2)
{
  const Picture *last = &camera->picture[camera->last];
  const int block = last->grid.block;
  const float before = (float) ((PATCH + 1) * block), behind = (float) block;

  if (last->n_levels == 0 || !(x1 < x2 && y1 < y2 && x2 >= -behind && y2 >= -behind))
    return;
  /* A patch is hidden if it touches the rectangle, and its gradients reach a pixel further. */
  const int left = place_of (x1 - before + (float) (STRIDE * block), block),
            right = place_of (x2 + behind, block);

  for (int j = place_of (y1 - before + (float) (STRIDE * block), block),
           bottom = place_of (y2 + behind, block);
       j <= bottom; j++)
    for (int i = left; i <= right; i++)
      camera->hidden[j][i] = 1;
}

/* The lesser eigenvalue of a symmetric matrix. */
static float
least_eigenvalue (float xx, float xy, float yy)
{
  const float half = (xx - yy) / 2;

  return (xx + yy) / 2 - sqrtf (half * half + xy * xy);
}

/* How much of a corner the patch at (x, y) is: the mean squared gradient, in the direction that has
 * the least. What a slope of brightness has in common with all of the patch does not count. */
static inline float
score (const Level *level, int x, int y)
{
  const int width = level->width;
  const uint8_t *row = level->at + (size_t) y * (size_t) width + x;
  int sum_x = 0, sum_y = 0, xx = 0, xy = 0, yy = 0;

  for (int r = 0; r < PATCH; r++, row += width)
    for (int c = 0; c < PATCH; c++) {
      const int gx = row[c + 1] - row[c - 1], gy = row[c + width] - row[c - width];

      sum_x += gx;
      sum_y += gy;
      xx += gx * gx;
      xy += gx * gy;
      yy += gy * gy;
    }

  const float n = PATCH * PATCH, mx = (float) sum_x / n, my = (float) sum_y / n;

  /* the gradient is half of the difference over two pixels */
  return least_eigenvalue ((float) xx / n - mx * mx, (float) xy / n - mx * my,
      (float) yy / n - my * my) / 4;
}

/* Takes the best corner of each cell. */
YOLO_SIMD static void
find_corners (YoloCamera *camera)
{
  const Level *level = &camera->picture[camera->last].level[0];
  const int longer = level->width > level->height ? level->width : level->height;
  /* places along a cell */
  const int cell = (longer + CELLS * STRIDE - 1) / (CELLS * STRIDE);
  Corners *corners = &camera->corners;

  corners->n = 0;
  /* The last column and row may be of narrower blocks. */
  for (int top = 1; STRIDE * top < level->height - PATCH - 1; top += cell)
    for (int left = 1; STRIDE * left < level->width - PATCH - 1; left += cell) {
      float best = LEAST_GRADIENT;
      const int n = corners->n;

      for (int j = top; j < top + cell && STRIDE * j < level->height - PATCH - 1; j++)
        for (int i = left; i < left + cell && STRIDE * i < level->width - PATCH - 1; i++) {
          const float s = camera->hidden[j][i] ? 0 : score (level, STRIDE * i, STRIDE * j);

          if (s > best) {
            best = s;
            corners->x[n] = STRIDE * i;
            corners->y[n] = STRIDE * j;
            corners->n = n + 1;
          }
        }
    }
}

/* Flow */

typedef struct {
  /* levels, and their gradients less the mean gradient, levels a pixel */
  float value[PATCH * PATCH], gx[PATCH * PATCH], gy[PATCH * PATCH];
  float xx, xy, yy;             /* sums of products of the gradients */
} Patch;

static inline void
read_patch (Patch *restrict patch, const Level *level, int x, int y)
{
  const int width = level->width;
  const uint8_t *row = level->at + (size_t) y * (size_t) width + x;
  const float n = PATCH * PATCH;
  float mx = 0, my = 0, xx = 0, xy = 0, yy = 0;

  for (int r = 0; r < PATCH; r++, row += width)
    for (int c = 0; c < PATCH; c++) {
      const int i = r * PATCH + c;

      patch->value[i] = row[c];
      patch->gx[i] = (float) (row[c + 1] - row[c - 1]) / 2;
      patch->gy[i] = (float) (row[c + width] - row[c - width]) / 2;
    }
  for (int i = 0; i < PATCH * PATCH; i++) {
    mx += patch->gx[i] / n;
    my += patch->gy[i] / n;
  }
  for (int i = 0; i < PATCH * PATCH; i++) {
    patch->gx[i] -= mx;
    patch->gy[i] -= my;
    xx += patch->gx[i] * patch->gx[i];
    xy += patch->gx[i] * patch->gy[i];
    yy += patch->gy[i] * patch->gy[i];
  }
  patch->xx = xx;
  patch->xy = xy;
  patch->yy = yy;
}

/* The sums over the patch of its gradients times what the second picture at (x, y) differs from it.
 * False: that is outside. */
static inline bool
differ (float *bx, float *by, const Patch *patch, const Level *level, float x, float y)
{
  float sum_x = 0, sum_y = 0;

  /* also what is no number */
  if (!(x >= 0 && y >= 0 && x < (float) (level->width - PATCH)
          && y < (float) (level->height - PATCH)))
    return false;

  const int ix = (int) x, iy = (int) y;
  const float fx = x - (float) ix, fy = y - (float) iy;
  const float w00 = (1 - fx) * (1 - fy), w10 = fx * (1 - fy), w01 = (1 - fx) * fy, w11 = fx * fy;
  const uint8_t *top = level->at + (size_t) iy * (size_t) level->width + ix;
  for (int r = 0; r < PATCH; r++, top += level->width) {
    const uint8_t *bottom = top + level->width;

    for (int c = 0; c < PATCH; c++) {
      const int i = r * PATCH + c;
      const float difference = w00 * top[c] + w10 * top[c + 1] + w01 * bottom[c]
          + w11 * bottom[c + 1] - patch->value[i];

      sum_x += patch->gx[i] * difference;
      sum_y += patch->gy[i] * difference;
    }
  }
  *bx = sum_x;
  *by = sum_y;
  return true;
}

/* Moves (dx, dy) to where the patch at (x, y) of the one level fits the other best. All of the
 * patch may have become brighter: the gradients' sum is 0. False: it leaves the picture. */
static inline bool
flow (const Patch *patch, const Level *to, int x, int y, float *dx, float *dy)
{
  const float det = patch->xx * patch->yy - patch->xy * patch->xy;

  if (!(det > 0))
    return true;
  for (int step = 0; step < STEPS; step++) {
    float bx, by;

    if (!differ (&bx, &by, patch, to, (float) x + *dx, (float) y + *dy))
      return false;
    const float sx = (patch->yy * bx - patch->xy * by) / det;
    const float sy = (patch->xx * by - patch->xy * bx) / det;
    *dx -= sx;
    *dy -= sy;
    if (fabsf (sx) + fabsf (sy) < SHORT)
      break;
  }
  return true;
}

static inline int
clamp (int v, int low, int high)
{
  return v < low ? low : v > high ? high : v;
}

/* Where the patch of a level lies whose middle is that of the patch at @x of the first one, as near
 * as whole pixels and the border allow: what is near a corner moves as it does. @length: of the
 * level's side */
static inline int
place_in_level (int x, int l, int length)
{
  const float middle = (PATCH - 1) / 2.f;
  const int at = (int) lrintf (((float) x + middle + .5f) / (float) (1 << l) - .5f - middle);

  return clamp (at, 1, length - PATCH - 1);
}

/* Finds the corners of one picture in the other, from the smallest halving up. @x, @y: by how many
 * pixels of that all has moved, about */
YOLO_SIMD static void
follow_corners (Pairs *pairs, const Corners *corners, const Picture *from, const Picture *to, int x,
    int y)
{
  int n = 0;

  for (int i = 0; i < corners->n; i++) {
    float dx = (float) x / 2, dy = (float) y / 2;
    bool found = false;
    Patch patch;

    for (int l = from->n_levels - 1; l >= 0; l--) {
      const Level *level = &from->level[l];
      const int at_x = place_in_level (corners->x[i], l, level->width);
      const int at_y = place_in_level (corners->y[i], l, level->height);
      float new_x = 2 * dx, new_y = 2 * dy;

      read_patch (&patch, level, at_x, at_y);
      found = flow (&patch, &to->level[l], at_x, at_y, &new_x, &new_y);
      dx = found ? new_x : 2 * dx;
      dy = found ? new_y : 2 * dy;
    }
    if (!found)
      continue;
    pairs->x[n] = (float) corners->x[i] + (PATCH - 1) / 2.f;
    pairs->y[n] = (float) corners->y[i] + (PATCH - 1) / 2.f;
    pairs->to_x[n] = pairs->x[n] + dx;
    pairs->to_y[n] = pairs->y[n] + dy;
    n++;
  }
  pairs->n = n;
}

/* The shift of all of the picture */

/* How much what two pictures have in common is alike if the second is the first, moved by (x, y)
 * pixels: the coefficient of correlation, which knows neither brightness nor contrast. */
static inline float
likeness (const Level *a, const Level *b, int x, int y)
{
  const int left = x < 0 ? -x : 0, width = a->width - (x < 0 ? -x : x);
  const int top = y < 0 ? -y : 0, height = a->height - (y < 0 ? -y : y);
  /* of up to 40 x 40 pixels of 8 bits: below 2^27 */
  unsigned sa = 0, sb = 0, aa = 0, ab = 0, bb = 0;

  for (int j = 0; j < height; j++) {
    const uint8_t *p = a->at + (top + j) * a->width + left;
    const uint8_t *q = b->at + (top + j + y) * b->width + left + x;

    for (int i = 0; i < width; i++) {
      sa += p[i];
      sb += q[i];
      aa += (unsigned) (p[i] * p[i]);
      ab += (unsigned) (p[i] * q[i]);
      bb += (unsigned) (q[i] * q[i]);
    }
  }

  const double n = (double) width * height;
  const double va = aa - (double) sa * sa / n, vb = bb - (double) sb * sb / n;

  return va > 0 && vb > 0 ? (float) ((ab - (double) sa * sb / n) / sqrt (va * vb)) : 0;
}

/* The shift, in pixels of the smallest halving, that makes the pictures most alike. */
YOLO_SIMD static void
find_shift (const Picture *from, const Picture *to, int *x, int *y)
{
  const Level *a = &from->level[from->n_levels - 1], *b = &to->level[to->n_levels - 1];
  const int far_x = (int) (FARTHEST * (float) a->width),
            far_y = (int) (FARTHEST * (float) a->height);
  float best = -1;

  for (int j = -far_y; j <= far_y; j++)
    for (int i = -far_x; i <= far_x; i++) {
      const float like = likeness (a, b, i, j);

      if (like > best) {
        best = like;
        *x = i;
        *y = j;
      }
    }
}

/* Consensus */

/* Sets which corners agree with a motion, and returns how many do. */
YOLO_SIMD static int
agree (Pairs *pairs, const Similarity *s)
{
  int n = 0;

  for (int i = 0; i < pairs->n; i++) {
    const float x = s->a * pairs->x[i] - s->b * pairs->y[i] + s->x0 - pairs->to_x[i];
    const float y = s->b * pairs->x[i] + s->a * pairs->y[i] + s->y0 - pairs->to_y[i];

    pairs->agrees[i] = x * x + y * y < TOLERANCE * TOLERANCE;
    n += pairs->agrees[i];
  }
  return n;
}

/* The motion that takes two corners to where they have come to: with points as complex numbers,
 * (a + b i) times their difference is what it has become. False: they are too near. */
static bool
sample (const Pairs *pairs, int i, int j, float least, Similarity *s)
{
  const float x = pairs->x[j] - pairs->x[i], y = pairs->y[j] - pairs->y[i];
  const float u = pairs->to_x[j] - pairs->to_x[i], v = pairs->to_y[j] - pairs->to_y[i];
  const float square = x * x + y * y;

  if (square < least * least)
    return false;
  s->a = (x * u + y * v) / square;
  s->b = (x * v - y * u) / square;
  s->x0 = pairs->to_x[i] - s->a * pairs->x[i] + s->b * pairs->y[i];
  s->y0 = pairs->to_y[i] - s->b * pairs->x[i] - s->a * pairs->y[i];
  return true;
}

/* The motion of least squares of the corners that agree, of which there are @n: the same for many
 * points, with the middles taken off. Source: B. Horn, "Closed-form solution of absolute
 * orientation using unit quaternions", JOSA A 1987, of which this is the plane's case. Returns how
 * far the corners lie from their middle. */
static float
fit (const Pairs *pairs, int n, Similarity *s)
{
  double x = 0, y = 0, u = 0, v = 0, square = 0, along = 0, across = 0;

  for (int i = 0; i < pairs->n; i++)
    if (pairs->agrees[i]) {
      x += pairs->x[i] / (double) n;
      y += pairs->y[i] / (double) n;
      u += pairs->to_x[i] / (double) n;
      v += pairs->to_y[i] / (double) n;
    }
  for (int i = 0; i < pairs->n; i++)
    if (pairs->agrees[i]) {
      const double dx = pairs->x[i] - x, dy = pairs->y[i] - y;
      const double du = pairs->to_x[i] - u, dv = pairs->to_y[i] - v;

      square += dx * dx + dy * dy;
      along += dx * du + dy * dv;
      across += dx * dv - dy * du;
    }
  if (square > 0)
    *s = (Similarity){
      .a = (float) (along / square),
      .b = (float) (across / square),
      .x0 = (float) (u - (along * x - across * y) / square),
      .y0 = (float) (v - (across * x + along * y) / square),
    };
  return (float) sqrt (square / n);
}

/* G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 2003. */
static uint32_t
next_random (uint32_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* The motion on which most corners agree. @longer: pixels of the longer side. False: too few do. */
static bool
find_motion (Pairs *pairs, int longer, Similarity *best)
{
  uint32_t state = 1;
  float spread = 0;
  int most, n;

  if (pairs->n < LEAST_CORNERS)
    return false;
  *best = (Similarity){ .a = 1 };
  most = agree (pairs, best);
  for (int k = 0; k < SAMPLES; k++) {
    const int i = (int) (next_random (&state) % (uint32_t) pairs->n);
    const int j = (int) (next_random (&state) % (uint32_t) pairs->n);
    Similarity s;

    if (!sample (pairs, i, j, LEAST_SPREAD * (float) longer, &s))
      continue;
    n = agree (pairs, &s);
    if (n > most) {
      most = n;
      *best = s;
    }
  }
  for (int k = 0; k < 3; k++) {
    n = agree (pairs, best);
    if (n < LEAST_CORNERS || (float) n < LEAST_SHARE * (float) pairs->n)
      return false;
    spread = fit (pairs, n, best);
  }
  return spread >= LEAST_SPREAD * (float) longer;
}

/* The motion between two pictures of one size. False: it is not known. */
static bool
compare (YoloCamera *camera, const Picture *last, const Picture *next, Similarity *s)
{
  const YoloMotionGrid *grid = &next->grid;
  const int longer = grid->columns > grid->rows ? grid->columns : grid->rows;
  int x = 0, y = 0;

  find_corners (camera);
  if (camera->corners.n < LEAST_CORNERS)
    return false;
  follow_corners (&camera->pairs, &camera->corners, last, next, 0, 0);
  if (find_motion (&camera->pairs, longer, s))
    return true;
  /* Only now, since what moves may be more alike than what stands still. */
  find_shift (last, next, &x, &y);
  if (x == 0 && y == 0)
    return false;
  follow_corners (&camera->pairs, &camera->corners, last, next, x, y);
  return find_motion (&camera->pairs, longer, s);
}

bool
yolo_camera_estimate (YoloCamera *camera, float matrix[6])
{
  static const float identity[6] = { 1, 0, 0, 0, 1, 0 };
  const Picture *last = &camera->picture[camera->last];
  Picture *next = &camera->picture[!camera->last];
  const YoloMotionGrid *grid = &next->grid;
  Similarity s;

  make_levels (next);
  const bool known = last->n_levels > 0 && next->n_levels > 0 && last->grid.width == grid->width
      && last->grid.height == grid->height && compare (camera, last, next, &s);

  camera->last = !camera->last;
  memset (camera->hidden, 0, sizeof camera->hidden);
  memcpy (matrix, identity, sizeof identity);
  if (!known)
    return false;

  /* Where pixel 0 of the small picture lies in the frame: in the middle of the rows and columns
   * whose mean it is. A point p of it is block p + (cx, cy) of the frame. */
  const float block = (float) grid->block, cx = block / 2,
              cy = (float) ((YOLO_MOTION_ROWS - 1) * grid->step + 1) / 2;

  matrix[0] = matrix[4] = s.a;
  matrix[1] = -s.b;
  matrix[3] = s.b;
  matrix[2] = block * s.x0 + cx - s.a * cx + s.b * cy;
  matrix[5] = block * s.y0 + cy - s.b * cx - s.a * cy;
  return true;
}
