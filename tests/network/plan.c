/* SPDX-License-Identifier: MIT */
/* What every plan must keep, for every model at hand, at several sizes and batches. */

#include "backend/backend.h"
#include "tests/network/edit.h"
#include "backend/reference.h"

static const char *
view_text (const YoloView *view)
{
  static char text[64];
  g_snprintf (text, sizeof text, "buffer %u, channels %u to %u", view->buffer, view->channel,
      view->channel + view->channels);
  return text;
}

static gboolean
overlap (YoloView a, YoloView b)
{
  return a.channels > 0 && b.channels > 0 && a.buffer == b.buffer
      && a.channel < b.channel + b.channels && b.channel < a.channel + a.channels;
}

static void
check_buffers (const YoloPlan *plan)
{
  for (guint i = 0; i < plan->n_buffers; i++) {
    const YoloBuffer *b = &plan->buffers[i];
    long double size =
        (long double) plan->batch * b->height * b->width * b->channels * yolo_dtype_size (b->dtype);

    g_assert_true (size == (long double) b->size);
    g_assert_cmpuint (b->first, <=, b->last);
    g_assert_cmpuint (b->last, <, plan->n_ops);
    if (i == plan->input)
      continue;
    g_assert_cmpuint (b->offset % 64, ==, 0);
    g_assert_cmpuint (b->size, <=, plan->arena_size);
    g_assert_cmpuint (b->offset, <=, plan->arena_size - b->size);
    for (guint k = 0; k < i; k++) {
      const YoloBuffer *o = &plan->buffers[k];
      if (k != plan->input && b->first <= o->last && o->first <= b->last)
        g_assert_true (b->offset + b->size <= o->offset || o->offset + o->size <= b->offset);
    }
  }
}

/* The bytes that are alive at the worst operation, in whole cache lines. */
static gsize
peak (const YoloPlan *plan)
{
  gsize worst = 0;

  for (guint op = 0; op < plan->n_ops; op++) {
    gsize sum = 0;
    for (guint i = 0; i < plan->n_buffers; i++) {
      const YoloBuffer *b = &plan->buffers[i];
      if (i != plan->input && b->first <= op && op <= b->last)
        sum += (b->size + 63) / 64 * 64;
    }
    worst = MAX (worst, sum);
  }
  return worst;
}

/* Which channels of which buffers hold something. */
typedef struct {
  const YoloPlan *plan;
  GPtrArray *written;           /* of guint8 [channels], by buffer */
} State;

static void
check_read (const State *state, YoloView view, guint op)
{
  const YoloBuffer *b = &state->plan->buffers[view.buffer];
  const guint8 *written = g_ptr_array_index (state->written, view.buffer);

  g_assert_cmpuint (view.buffer, <, state->plan->n_buffers);
  g_assert_cmpuint (view.channels, >, 0);
  g_assert_cmpuint (view.channel + view.channels, <=, b->channels);
  g_assert_true (b->first <= op && op <= b->last);
  for (guint c = 0; c < view.channels; c++) {
    if (!written[view.channel + c])
      g_error ("operation %u reads %s before they are written", op, view_text (&view));
  }
}

static void
check_write (const State *state, YoloView view, guint op)
{
  const YoloBuffer *b = &state->plan->buffers[view.buffer];
  guint8 *written = g_ptr_array_index (state->written, view.buffer);

  g_assert_cmpuint (view.buffer, !=, state->plan->input);
  g_assert_cmpuint (view.channel + view.channels, <=, b->channels);
  g_assert_true (b->first <= op && op <= b->last);
  for (guint c = 0; c < view.channels; c++) {
    if (written[view.channel + c])
      g_error ("operation %u overwrites %s", op, view_text (&view));
    written[view.channel + c] = 1;
  }
}

static guint
window (guint in, guint kernel, guint stride, guint pad, guint dilation)
{
  return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

static void
check_shapes (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];
  const YoloConv *conv = op->conv;

  g_assert_true ((op->type == YOLO_OP_CONV) == (conv != NULL));
  g_assert_nonnull (op->name);
  switch (op->type) {
    case YOLO_OP_CONV:
      g_assert_cmpuint (op->in.channels, ==, conv->in_channels);
      g_assert_cmpuint (op->out.channels, ==, conv->out_channels);
      g_assert_nonnull (conv->weights);
      g_assert_nonnull (conv->bias);
      g_assert_cmpuint (out->height, ==,
          window (in->height, conv->kernel[0], conv->stride[0], conv->pad[0], conv->dilation[0]));
      g_assert_cmpuint (out->width, ==,
          window (in->width, conv->kernel[1], conv->stride[1], conv->pad[1], conv->dilation[1]));
      break;
    case YOLO_OP_MAX_POOL:
      g_assert_cmpuint (op->numbers.repeat, >=, 1);
      g_assert_cmpuint (op->out.channels, ==, op->numbers.repeat * op->in.channels);
      g_assert_cmpuint (out->height, ==,
          window (in->height, op->numbers.kernel, op->numbers.stride, op->numbers.pad, 1));
      g_assert_cmpuint (out->width, ==,
          window (in->width, op->numbers.kernel, op->numbers.stride, op->numbers.pad, 1));
      g_assert_true (op->numbers.repeat == 1 || op->numbers.stride == 1);
      break;
    case YOLO_OP_UPSAMPLE:
      g_assert_cmpuint (op->out.channels, ==, op->in.channels);
      g_assert_cmpuint (out->height, ==, in->height * op->numbers.scale);
      g_assert_cmpuint (out->width, ==, in->width * op->numbers.scale);
      break;
    case YOLO_OP_ATTENTION:
      g_assert_cmpuint (
          op->out.channels + 2 * op->numbers.heads * op->numbers.key, ==, op->in.channels);
      g_assert_cmpuint (op->out.channels % op->numbers.heads, ==, 0);
      g_assert_cmpuint (in->height * in->width % op->numbers.areas, ==, 0);
      g_assert_cmpuint (out->height, ==, in->height);
      g_assert_cmpuint (out->width, ==, in->width);
      break;
    case YOLO_OP_SHUFFLE:
      g_assert_cmpuint (op->out.channels * op->numbers.scale * op->numbers.scale, ==,
          op->in.channels);
      g_assert_cmpuint (out->height, ==, in->height * op->numbers.scale);
      g_assert_cmpuint (out->width, ==, in->width * op->numbers.scale);
      break;
    case YOLO_OP_GLOBAL_POOL:
      g_assert_cmpuint (op->out.channels, ==, op->in.channels);
      g_assert_cmpuint (out->height * out->width, ==, 1);
      break;
    case YOLO_OP_ADD:
    case YOLO_OP_ACT:
    case YOLO_OP_COPY:
      g_assert_cmpuint (op->out.channels, ==, op->in.channels);
      g_assert_cmpuint (out->height, ==, in->height);
      g_assert_cmpuint (out->width, ==, in->width);
      break;
  }
  if (op->residual.channels > 0) {
    const YoloBuffer *residual = &plan->buffers[op->residual.buffer];
    g_assert_cmpuint (op->residual.channels, ==, op->out.channels);
    g_assert_cmpuint (residual->height, ==, out->height);
    g_assert_cmpuint (residual->width, ==, out->width);
  }
  g_assert_false (overlap (op->in, op->out));
  g_assert_false (overlap (op->residual, op->out));
}

static void
check_ops (const YoloPlan *plan)
{
  State state = { plan, g_ptr_array_new_with_free_func (g_free) };

  for (guint i = 0; i < plan->n_buffers; i++)
    g_ptr_array_add (state.written, g_malloc0 (plan->buffers[i].channels));
  memset (g_ptr_array_index (state.written, plan->input), 1, plan->buffers[plan->input].channels);
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    check_shapes (plan, op);
    check_read (&state, op->in, i);
    if (op->residual.channels > 0)
      check_read (&state, op->residual, i);
    check_write (&state, op->out, i);
  }
  for (guint k = 0; k < plan->model->n_outputs; k++) {
    const YoloOutput *output = &plan->model->outputs[k];
    YoloView map = plan->outputs[k];
    const YoloBuffer *b = &plan->buffers[map.buffer];

    check_read (&state, map, plan->n_ops - 1);
    if (output->role == YOLO_MAP_CLASS || output->role == YOLO_MAP_LOGIT)
      g_assert_cmpuint (map.channels, ==, plan->model->n_classes);
    if (output->role == YOLO_MAP_BOX)
      g_assert_cmpuint (map.channels, ==, 4 * plan->model->reg_max);
    g_assert_cmpint (b->dtype, ==, YOLO_F32);
    if (output->role == YOLO_MAP_LOGIT)
      continue;
    g_assert_cmpuint (b->height * output->stride, ==, plan->height);
    g_assert_cmpuint (b->width * output->stride, ==, plan->width);
  }
  g_ptr_array_unref (state.written);
}

static guint
count_ops (const YoloPlan *plan, YoloOpType type)
{
  guint n = 0;

  for (guint i = 0; i < plan->n_ops; i++)
    n += plan->ops[i].type == type;
  return n;
}

static void
check_plan (YoloModel *model, guint batch, guint height, guint width, YoloDType dtype)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, batch, height, width, dtype, YOLO_U8, 4, &error);
  g_autoptr (YoloPlan) again = yolo_plan_new (model, batch, height, width, dtype, YOLO_U8, 4, NULL);
  g_autofree char *text = NULL, *again_text = NULL;
  const YoloBuffer *input;

  g_assert_no_error (error);
  check_buffers (plan);
  check_ops (plan);
  g_assert_true (plan->model == model);
  input = &plan->buffers[plan->input];
  g_assert_cmpuint (input->height, ==, height);
  g_assert_cmpuint (input->width, ==, width);
  g_assert_cmpuint (input->channels, ==, 4);
  g_assert_cmpint (input->dtype, ==, YOLO_U8);
  g_assert_cmpuint (plan->arena_size, >=, peak (plan));
  g_assert_cmpuint (plan->arena_size, <=, peak (plan) + peak (plan) / 5);
  text = yolo_plan_to_string (plan);
  again_text = yolo_plan_to_string (again);
  g_assert_cmpstr (text, ==, again_text);
}

static void
check_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (path, &error);
  guint s;

  g_assert_no_error (error);
  s = model->stride;
  g_test_message ("%s", path);
  check_plan (model, 1, model->height, model->width, YOLO_F32);
  check_plan (model, 8, model->height, model->width, YOLO_BF16);
  check_plan (model, 1, s, s, YOLO_F32);
  check_plan (model, 3, 3 * s, 5 * s, YOLO_F16);
  check_plan (model, 2, s, 7 * s, YOLO_S8);
  check_plan (model, 64, 8192, 8192, YOLO_F32);
}

static void
test_data (void)
{
  g_autofree char *folder = data_file ("");
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    if (g_str_has_suffix (name, ".onnx")) {
      g_autofree char *path = data_file (name);
      check_model (path);
      n++;
    }
  }
  g_assert_cmpuint (n, >, 0);
}

static void
test_shared (void)
{
  static const char *const files[] = { "models/yolov8n.onnx", "models/tiny-yolov5u.onnx",
    "models/tiny-yolov8_dynamic_nms.onnx" };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = shared_file (files[i]);
    if (path == NULL) {
      g_test_skip ("no shared material");
      return;
    }
    check_model (path);
  }
}

/* What cannot be addressed is an error, and never a small number. */
static void
test_overflow (void)
{
  g_autofree char *path = data_file ("v8x-opset20.onnx");
  g_autoptr (YoloModel) model = yolo_model_load (path, NULL);
  g_autoptr (GError) error = NULL;
  YoloPlan *plan =
      yolo_plan_new (model, G_MAXUINT, 8192, 8192, YOLO_F32, YOLO_F32, G_MAXINT32, &error);

  g_assert_null (plan);
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
}

static void
test_bad_size (void)
{
  g_autofree char *path = data_file ("micro.onnx");
  g_autoptr (YoloModel) model = yolo_model_load (path, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_plan_new (model, 1, 20, 16, YOLO_F32, YOLO_F32, 3, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
}

/* Exporters' own networks need no copies: C2f's first convolution lies in the
 * concat itself, SPPF's poolings are one operation, residuals, activations and
 * batch norms are in convolutions. */
static void
test_nothing_left (void)
{
  static const char *const files[] = { "v8n.onnx", "v8x-opset20.onnx", "v8n-unfused.onnx",
    "v5u-l.onnx", "v8n-83-plain-opset12.onnx", "v8n-dynquant.onnx", "v8n-qdq-u8.onnx",
    "v8n-relu.onnx", "v8-p6.onnx" };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = data_file (files[i]);
    g_autoptr (YoloModel) model = yolo_model_load (path, NULL);
    g_autoptr (YoloPlan) plan =
        yolo_plan_new (model, 1, model->height, model->width, YOLO_F32, YOLO_F32, 3, NULL);
    guint n_upsample = count_ops (plan, YOLO_OP_UPSAMPLE);

    g_test_message ("%s", files[i]);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_COPY), ==, 0);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_ADD), ==, 0);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_ACT), ==, 0);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_MAX_POOL), ==, 1);
    g_assert_cmpuint (n_upsample, ==, model->n_outputs / 2 - 1);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_CONV), ==, model->n_convs);
    for (guint k = 0; k < plan->n_ops; k++)
      g_assert_true (plan->ops[k].type != YOLO_OP_MAX_POOL || plan->ops[k].numbers.repeat == 3);
  }
}

/* The maps of a plan on pseudo-random pixels, all of them one after the other. */
static GArray *
run_maps (YoloModel *model, guint *n_copies)
{
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 2, model->height, model->width, YOLO_F32, YOLO_F32, 4, NULL);
  const YoloBuffer *in = &plan->buffers[plan->input];
  g_autofree float *input = g_malloc (in->size);
  g_autofree char *arena = g_malloc (plan->arena_size);
  GArray *maps = g_array_new (FALSE, FALSE, sizeof (float));
  guint32 x = 1;

  for (gsize i = 0; i < in->size / sizeof *input; i++) {
    x = x * 1664525u + 1013904223u;
    input[i] = i % 4 == 3 ? 0 : (float) (x >> 24);
  }
  /* NaN everywhere, so that what is read before it is written shows */
  memset (arena, 0xff, plan->arena_size);
  yolo_reference_run (plan, input, arena);
  for (guint k = 0; k < model->n_outputs; k++) {
    const YoloBuffer *map = &plan->buffers[plan->outputs[k].buffer];
    g_array_append_vals (maps, arena + map->offset, (guint) (map->size / sizeof (float)));
  }
  *n_copies = count_ops (plan, YOLO_OP_COPY);
  return maps;
}

static void
check_same_maps (Onnx__ModelProto *a, Onnx__ModelProto *b, guint copies)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) first = edit_load (a, &error), second = NULL;
  g_autoptr (GArray) x = NULL, y = NULL;
  guint n_copies;
  double largest = 0, worst = 0;

  g_assert_no_error (error);
  second = edit_load (b, &error);
  g_assert_no_error (error);
  x = run_maps (first, &n_copies);
  g_assert_cmpuint (n_copies, ==, 0);
  y = run_maps (second, &n_copies);
  g_assert_cmpuint (n_copies, ==, copies);
  g_assert_cmpuint (x->len, ==, y->len);
  for (guint i = 0; i < x->len; i++) {
    double p = g_array_index (x, float, i), q = g_array_index (y, float, i);
    largest = MAX (largest, ABS (p));
    /* MAX would lose a NaN */
    worst = ABS (p - q) <= worst ? worst : ABS (p - q);
  }
  g_assert_cmpfloat (largest, >, 0);
  g_assert_true (worst <= 1e-5 * largest);
}

/* Exchanges two inputs of a concat of single channels and, so that the network
 * stays the same, the weights of the 1x1 convolution behind it. */
static void
exchange (
    Onnx__ModelProto *proto, int concat, const char *weights, guint a, guint b, guint channels)
{
  Onnx__NodeProto *node = edit_node (proto, "Concat", concat);
  Onnx__TensorProto *tensor = edit_initializer (proto, weights);
  float *w = (float *) tensor->raw_data.data;
  char *name = node->input[a];

  node->input[a] = node->input[b];
  node->input[b] = name;
  g_assert_cmpint (tensor->dims[1], ==, channels);
  for (gint64 o = 0; o < tensor->dims[0]; o++) {
    float weight = w[o * channels + a];
    w[o * channels + a] = w[o * channels + b];
    w[o * channels + b] = weight;
  }
}

/* Slices out of order cannot lie where they are cut from. */
static void
test_slices_out_of_order (void)
{
  Onnx__ModelProto *a = edit_open ("micro.onnx"), *b = edit_open ("micro.onnx");

  exchange (b, 0, "2.cv2.conv.weight", 0, 1, 3);
  check_same_maps (a, b, 2);
}

/* A chain of poolings that does not lie in order is not one operation. */
static void
test_poolings_out_of_order (void)
{
  Onnx__ModelProto *a = edit_open ("micro.onnx"), *b = edit_open ("micro.onnx");

  exchange (b, 1, "4.cv2.conv.weight", 1, 3, 4);
  check_same_maps (a, b, 0);
}

/* SPP: poolings of 5, 9 and 13 side by side give what three of 5 in a row do. */
static void
test_parallel_poolings (void)
{
  Onnx__ModelProto *a = edit_open ("micro.onnx"), *b = edit_open ("micro.onnx");

  for (int k = 1; k < 3; k++) {
    Onnx__NodeProto *node = edit_node (b, "MaxPool", k);
    edit_string (&node->input[0], edit_node (b, "MaxPool", 0)->input[0]);
    for (guint d = 0; d < 4; d++)
      edit_attribute (node, "pads")->ints[d] = 2 + 2 * k;
    for (guint d = 0; d < 2; d++)
      edit_attribute (node, "kernel_shape")->ints[d] = 5 + 4 * k;
  }
  check_same_maps (a, b, 0);
}

/* A tensor twice in one concat is copied once. */
static void
test_twice_in_a_concat (void)
{
  Onnx__ModelProto *a = edit_open ("micro.onnx"), *b = edit_open ("micro.onnx");
  Onnx__NodeProto *concat = edit_node (b, "Concat", 1);
  Onnx__TensorProto *before = edit_initializer (a, "4.cv2.conv.weight"),
                    *after = edit_initializer (b, "4.cv2.conv.weight");

  /* x, p1, p2, p3 with no weight on p2 equals x, p1, x, p3 with none on the second x */
  for (gint64 o = 0; o < before->dims[0]; o++) {
    ((float *) before->raw_data.data)[o * 4 + 2] = 0;
    ((float *) after->raw_data.data)[o * 4 + 2] = 0;
  }
  edit_string (&concat->input[2], concat->input[0]);
  check_same_maps (a, b, 1);
}

/* The same numbers, stored in another way. */
typedef enum {
  FLOAT_DATA,
  DOUBLE_DATA,
  RAW_DOUBLE,
  RAW_BFLOAT16,
  INT32_DATA_FLOAT16,
  INT64_DATA,
  N_STORAGES
} Storage;

/* Drops the bits that float16 and bfloat16 have no place for; what is too
 * small for float16 becomes 0. */
static guint32
shortened (guint32 bits, Storage storage)
{
  guint32 exponent = bits >> 23 & 255;

  if (storage == RAW_BFLOAT16)
    return bits & 0xffff0000;
  if (storage == INT32_DATA_FLOAT16)
    return exponent < 113 || exponent > 142 ? 0 : bits & 0xffffe000;
  return bits;
}

static void
store (Onnx__TensorProto *tensor, Storage storage, gboolean only_shorten)
{
  gsize n = tensor->raw_data.len / 4;
  guint32 *words = (guint32 *) tensor->raw_data.data;
  double *doubles;
  guint16 *halves;

  if (storage == INT64_DATA) {
    if (tensor->data_type != 7 || only_shorten)
      return;
    tensor->n_int64_data = tensor->raw_data.len / 8;
    tensor->int64_data = (gint64 *) tensor->raw_data.data;
    tensor->has_raw_data = FALSE;
    tensor->raw_data.data = NULL;
    return;
  }
  if (tensor->data_type != 1)
    return;
  for (gsize i = 0; i < n; i++)
    words[i] = shortened (words[i], storage);
  if (only_shorten)
    return;
  switch (storage) {
    case FLOAT_DATA:
      tensor->n_float_data = n;
      tensor->float_data = (float *) words;
      tensor->has_raw_data = FALSE;
      tensor->raw_data.data = NULL;
      break;
    case DOUBLE_DATA:
    case RAW_DOUBLE:
      doubles = malloc (n * sizeof *doubles);
      for (gsize i = 0; i < n; i++)
        doubles[i] = ((float *) words)[i];
      tensor->data_type = 11;
      free (words);
      tensor->raw_data.data = NULL;
      if (storage == RAW_DOUBLE) {
        tensor->raw_data.data = (guint8 *) doubles;
        tensor->raw_data.len = n * sizeof *doubles;
      } else {
        tensor->n_double_data = n;
        tensor->double_data = doubles;
        tensor->has_raw_data = FALSE;
      }
      break;
    case RAW_BFLOAT16:
      tensor->data_type = 16;
      halves = (guint16 *) words;
      for (gsize i = 0; i < n; i++)
        halves[i] = (guint16) (words[i] >> 16);
      tensor->raw_data.len = n * 2;
      break;
    default:
      tensor->data_type = 10;
      for (gsize i = 0; i < n; i++)
        words[i] = words[i] == 0 ? 0
                                 : (words[i] >> 16 & 0x8000)
                | (((words[i] >> 23 & 255) - 112) << 10) | (words[i] >> 13 & 1023);
      tensor->n_int32_data = n;
      tensor->int32_data = (gint32 *) words;
      tensor->has_raw_data = FALSE;
      tensor->raw_data.data = NULL;
      break;
  }
}

static void
test_storage (void)
{
  for (Storage storage = 0; storage < N_STORAGES; storage++) {
    Onnx__ModelProto *a = edit_open ("micro.onnx"), *b = edit_open ("micro.onnx");

    for (gsize i = 0; i < a->graph->n_initializer; i++) {
      store (a->graph->initializer[i], storage, TRUE);
      store (b->graph->initializer[i], storage, FALSE);
    }
    check_same_maps (a, b, 0);
  }
}

static void
test_names (void)
{
  g_assert_cmpuint (yolo_dtype_size (YOLO_F32), ==, 4);
  g_assert_cmpuint (yolo_dtype_size (YOLO_BF16), ==, 2);
  g_assert_cmpuint (yolo_dtype_size (YOLO_F16), ==, 2);
  g_assert_cmpuint (yolo_dtype_size (YOLO_U8), ==, 1);
  g_assert_cmpuint (yolo_dtype_size (YOLO_S8), ==, 1);
  g_assert_cmpstr (yolo_dtype_name (YOLO_BF16), ==, "bf16");
  g_assert_cmpstr (yolo_dtype_name (YOLO_S8), ==, "s8");
  g_assert_cmpstr (yolo_precision_name (YOLO_PRECISION_AUTO), ==, "auto");
  g_assert_cmpstr (yolo_precision_name (YOLO_PRECISION_INT8), ==, "int8");
}

static void
test_exec_view (void)
{
  g_autofree char *path = data_file ("micro.onnx");
  g_autoptr (YoloModel) model = yolo_model_load (path, NULL);
  g_autoptr (YoloPlan) plan = yolo_plan_new (model, 1, 16, 16, YOLO_BF16, YOLO_F32, 8, NULL);
  char input[1], arena[1];
  YoloExec exec = {.plan = plan,.input = input,.arena = arena };

  for (guint i = 0; i < plan->n_ops; i++) {
    YoloView view = plan->ops[i].out;
    const YoloBuffer *buffer = &plan->buffers[view.buffer];
    g_assert_true ((char *) yolo_exec_view (&exec, view)
        == arena + buffer->offset + view.channel * yolo_dtype_size (buffer->dtype));
  }
  g_assert_true (yolo_exec_view (&exec, plan->ops[0].in) == input);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/plan/names", test_names);
  g_test_add_func ("/network/plan/exec-view", test_exec_view);
  g_test_add_func ("/network/plan/bad-size", test_bad_size);
  g_test_add_func ("/network/plan/overflow", test_overflow);
  g_test_add_func ("/network/plan/nothing-left", test_nothing_left);
  g_test_add_func ("/network/plan/slices-out-of-order", test_slices_out_of_order);
  g_test_add_func ("/network/plan/poolings-out-of-order", test_poolings_out_of_order);
  g_test_add_func ("/network/plan/parallel-poolings", test_parallel_poolings);
  g_test_add_func ("/network/plan/twice-in-a-concat", test_twice_in_a_concat);
  g_test_add_func ("/network/plan/storage", test_storage);
  g_test_add_func ("/network/plan/data", test_data);
  g_test_add_func ("/network/plan/shared", test_shared);
  return g_test_run ();
}
