/* SPDX-License-Identifier: MIT */
/* Convolution, bias, activation and residual as one graph of cuDNN's, in as
 * many engines as its heuristics offer. */

#include <cudnn_backend.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cuda/cudnn.h"

/* Headers before 9.8 cannot describe a device; the numbers are the library's interface. */
#if CUDNN_VERSION < 90800
#define CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR ((cudnnBackendDescriptorType_t) 38)
#define CUDNN_ATTR_ENGINEHEUR_DEVICEPROP ((cudnnBackendAttributeName_t) 204)
#define CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP ((cudnnBackendAttributeName_t) 407)
#define CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION ((cudnnBackendAttributeName_t) 2702)
#endif

/* Plans that are built, of the heuristics' list, best first: each takes 0.2 to 3 s. */
#define MAX_ENGINES 4
/* Engine configurations that a heuristic is asked for. */
#define MAX_CONFIGS 8
/* Bytes. An engine that wants more workspace spends its time on copies of its operands. */
#define MAX_WORKSPACE (64 << 20)
/* Bytes of the line in front of a plan's text: SHA-256 in hexadecimal, and its end. */
#define SUM_LINE 65
/* Bytes of a plan's text, written or read: none had more than 250 kB. */
#define MAX_PLAN_TEXT (16 << 20)
#define MAX_OPS 8
#define MAX_TENSORS 16

#define CUDNN_ENTRIES(X) \
  X (cudnnGetVersion) \
  X (cudnnGetErrorString) X (cudnnGetLastErrorString) X (cudnnCreate) X (cudnnDestroy) \
      X (cudnnSetStream) X (cudnnBackendCreateDescriptor) X (cudnnBackendDestroyDescriptor) \
          X (cudnnBackendSetAttribute) X (cudnnBackendGetAttribute) X (cudnnBackendFinalize) \
              X (cudnnBackendExecute)

static struct {
#define MEMBER(name) __typeof__ (&name) name;
  CUDNN_ENTRIES (MEMBER)
#undef MEMBER
} lib;

static gboolean
open_library (void)
{
  /* first where the dynamic loader looks, then where the toolkit's packages put it */
  static const char *const names[] = {
    "libcudnn.so.9", "/usr/local/cuda/lib64/libcudnn.so.9", "/usr/local/cuda/lib/libcudnn.so.9",
  };
  void *library = NULL;

  if (g_strcmp0 (g_getenv ("YOLO_CUDA_CUDNN"), "0") == 0)
    return FALSE;
  for (guint i = 0; library == NULL && i < G_N_ELEMENTS (names); i++)
    library = dlopen (names[i], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    g_debug ("no cuDNN 9: %s; convolutions run on our own kernels", dlerror ());
    return FALSE;
  }
#define ENTRY(name) \
  if ((*(void **) &lib.name = dlsym (library, #name)) == NULL) \
    return FALSE;
  CUDNN_ENTRIES (ENTRY)
#undef ENTRY
  return TRUE;
}

static gboolean
have_library (void)
{
  static gsize tried = 0;

  if (g_once_init_enter (&tried))
    g_once_init_leave (&tried, open_library ()? 1 : 2);
  return tried == 1;
}

int
yolo_cudnn_version (void)
{
  return have_library ()? (int) lib.cudnnGetVersion () : 0;
}

/* A device has one handle. The stream is set in it for each call, so that calls must take
 * turns, which the lock sees to. */
typedef struct {
  cudnnHandle_t handle;         /* NULL: it could not be made, and is not tried again */
  GMutex lock;
} Cudnn;

static void
cudnn_free (gpointer data)
{
  Cudnn *cudnn = data;

  if (cudnn->handle != NULL)
    lib.cudnnDestroy (cudnn->handle);
  g_mutex_clear (&cudnn->lock);
  g_free (cudnn);
}

static Cudnn *
cudnn_of (YoloCudaDevice *device)
{
  g_mutex_lock (&device->lock);
  if (device->cudnn == NULL) {
    Cudnn *cudnn = g_new0 (Cudnn, 1);
    cudnnStatus_t status = lib.cudnnCreate (&cudnn->handle);

    g_mutex_init (&cudnn->lock);
    if (status != CUDNN_STATUS_SUCCESS) {
      g_message ("cuDNN cannot be used on %s (status %d); convolutions run on our own kernels",
          device->name, (int) status);
      cudnn->handle = NULL;
    }
    device->cudnn = cudnn;
    device->cudnn_free = cudnn_free;
  }
  g_mutex_unlock (&device->lock);
  return device->cudnn;
}

/* Graphs. A call that fails sets `failed`, and all later calls for the graph do nothing:
 * a shape that cuDNN refuses is no error. */

/* Numbers by which a variant pack names the tensors that lie in memory. Those from
 * ID_VIRTUAL on lie between two operations of the graph. */
enum {
  ID_IN = 1,
  ID_WEIGHTS,
  ID_BIAS,
  ID_SCALE,
  ID_RESIDUAL,
  ID_RESIDUAL_SCALE,
  ID_OUT_INVERSE,
  ID_OUT,
  ID_VIRTUAL
};

typedef struct {
  gboolean failed;
  cudnnHandle_t handle;
  cudnnBackendDescriptor_t all[128];    /* to be destroyed */
  guint n_all;
  cudnnBackendDescriptor_t ops[MAX_OPS];
  guint n_ops;
  gint64 next_virtual;
  gint64 dims[4];               /* of the output: N, C, H, W */
  /* of the device to build for, where it is only described; NULL: it is the handle's */
  cudnnBackendDescriptor_t properties;
  cudnnBackendDescriptor_t graph;
} Graph;

static void
check (Graph *graph, cudnnStatus_t status, const char *what)
{
  char why[256] = "";

  if (status == CUDNN_STATUS_SUCCESS)
    return;
  graph->failed = TRUE;
  lib.cudnnGetLastErrorString (why, sizeof (why));
  g_debug ("cuDNN refuses %s: %s %s", what, lib.cudnnGetErrorString (status), why);
}

static cudnnBackendDescriptor_t
create (Graph *graph, cudnnBackendDescriptorType_t type)
{
  cudnnBackendDescriptor_t descriptor = NULL;

  g_assert (graph->n_all < G_N_ELEMENTS (graph->all));
  if (graph->failed)
    return NULL;
  check (graph, lib.cudnnBackendCreateDescriptor (type, &descriptor), "a descriptor");
  if (graph->failed)
    return NULL;
  graph->all[graph->n_all++] = descriptor;
  return descriptor;
}

static void
set (Graph *graph, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
    cudnnBackendAttributeType_t type, gint64 n, const void *values)
{
  if (!graph->failed)
    check (graph, lib.cudnnBackendSetAttribute (descriptor, name, type, n, values), "an attribute");
}

static void
finish (Graph *graph, cudnnBackendDescriptor_t descriptor)
{
  if (!graph->failed)
    check (graph, lib.cudnnBackendFinalize (descriptor), "what it was told");
}

static cudnnDataType_t
data_type (YoloDType dtype)
{
  return dtype == YOLO_F16 ? CUDNN_DATA_HALF
      : dtype == YOLO_S8   ? CUDNN_DATA_INT8
                           : CUDNN_DATA_FLOAT;
}

/* Describes a tensor [N][H][W][C] with @pitch elements from pixel to pixel. */
static cudnnBackendDescriptor_t
tensor (Graph *graph, gint64 id, const gint64 dims[4], gint64 pitch, cudnnDataType_t type,
    gint64 align, gboolean by_value)
{
  cudnnBackendDescriptor_t descriptor = create (graph, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  gint64 strides[4] = { dims[2] * dims[3] * pitch, 1, dims[3] * pitch, pitch };
  bool is_virtual = id >= ID_VIRTUAL, value = by_value;

  set (graph, descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set (graph, descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
  set (graph, descriptor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
  set (graph, descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
  set (graph, descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
  set (graph, descriptor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
  if (by_value)
    set (graph, descriptor, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &value);
  finish (graph, descriptor);
  return descriptor;
}

/* A tensor between two operations, which is never in memory. */
static cudnnBackendDescriptor_t
between (Graph *graph, cudnnDataType_t type)
{
  return tensor (
      graph, ID_VIRTUAL + graph->next_virtual++, graph->dims, graph->dims[1], type, 16, FALSE);
}

static cudnnBackendDescriptor_t
per_channel (Graph *graph, gint64 id)
{
  return tensor (graph, id, (gint64[]){ 1, graph->dims[1], 1, 1 }, graph->dims[1], CUDNN_DATA_FLOAT,
      16, FALSE);
}

static cudnnBackendDescriptor_t
scalar (Graph *graph, gint64 id)
{
  return tensor (graph, id, (gint64[]) { 1, 1, 1, 1 }, 1, CUDNN_DATA_FLOAT, 4, TRUE);
}

/* Adds y = mode (x, b), element by element; @b is NULL where the mode has one operand. */
static void
pointwise (Graph *graph, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
    cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t y)
{
  cudnnBackendDescriptor_t what = create (graph, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  cudnnBackendDescriptor_t op = create (graph, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  double beta = 1;

  set (graph, what, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  set (graph, what, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
  if (mode == CUDNN_POINTWISE_SWISH_FWD)
    set (graph, what, CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, 1, &beta);
  finish (graph, what);
  set (graph, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
      &what);
  set (graph, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
  if (b != NULL)
    set (graph, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b);
  set (graph, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
  finish (graph, op);
  if (!graph->failed)
    graph->ops[graph->n_ops++] = op;
}

static void
convolution (Graph *graph, const YoloConvShape *shape, cudnnBackendDescriptor_t x,
    cudnnBackendDescriptor_t w, cudnnBackendDescriptor_t y)
{
  const YoloConv *conv = shape->conv;
  cudnnBackendDescriptor_t what = create (graph, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  cudnnBackendDescriptor_t op =
      create (graph, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  cudnnDataType_t type = shape->dtype == YOLO_S8 ? CUDNN_DATA_INT32 : CUDNN_DATA_FLOAT;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  gint64 n = 2, pad[2], dilation[2], stride[2];
  float alpha = 1, beta = 0;

  for (guint i = 0; i < 2; i++) {
    pad[i] = conv->pad[i];
    dilation[i] = conv->dilation[i];
    stride[i] = conv->stride[i];
  }
  set (graph, what, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
  set (graph, what, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
  finish (graph, what);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
      1, &what);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha);
  set (graph, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta);
  finish (graph, op);
  if (!graph->failed)
    graph->ops[graph->n_ops++] = op;
}

/* How cuDNN computes an activation; 0, which is no activation's mode: it is left to our kernels. */
static const cudnnPointwiseMode_t modes[YOLO_N_ACTIVATIONS] = {
  [YOLO_ACT_SILU] = CUDNN_POINTWISE_SWISH_FWD,
  [YOLO_ACT_RELU] = CUDNN_POINTWISE_RELU_FWD,
  [YOLO_ACT_SIGMOID] = CUDNN_POINTWISE_SIGMOID_FWD,
};

static void
add_ops (Graph *graph, const YoloConvShape *shape)
{
  const YoloConv *conv = shape->conv;
  gboolean s8 = shape->dtype == YOLO_S8, requantise = shape->out_dtype == YOLO_S8,
           add = shape->residual_pitch > 0;
  gint64 in_dims[] = { shape->batch, shape->in_channels, shape->in_height, shape->in_width };
  /* cuDNN takes a filter of fewer channels than the input has for a grouped one */
  gint64 w_dims[] = { conv->out_channels, shape->in_channels / conv->groups, conv->kernel[0],
    conv->kernel[1] };
  cudnnBackendDescriptor_t in = tensor (
      graph, ID_IN, in_dims, shape->in_pitch, data_type (shape->dtype), shape->in_align, FALSE);
  cudnnBackendDescriptor_t w =
      tensor (graph, ID_WEIGHTS, w_dims, w_dims[1], data_type (shape->dtype), 16, FALSE);
  cudnnBackendDescriptor_t out = tensor (graph, ID_OUT, graph->dims, shape->out_pitch,
      data_type (shape->out_dtype), shape->out_align, FALSE);
  cudnnBackendDescriptor_t x = between (graph, s8 ? CUDNN_DATA_INT32 : CUDNN_DATA_FLOAT), y;

  convolution (graph, shape, in, w, x);
  if (s8) {
    y = between (graph, CUDNN_DATA_FLOAT);
    pointwise (graph, CUDNN_POINTWISE_MUL, x, per_channel (graph, ID_SCALE), y);
    x = y;
  }
  y = conv->act == YOLO_ACT_NONE && !add && !requantise ? out : between (graph, CUDNN_DATA_FLOAT);
  pointwise (graph, CUDNN_POINTWISE_ADD, x, per_channel (graph, ID_BIAS), y);
  x = y;
  if (conv->act != YOLO_ACT_NONE) {
    y = !add && !requantise ? out : between (graph, CUDNN_DATA_FLOAT);
    pointwise (graph, modes[conv->act], x, NULL, y);
    x = y;
  }
  if (add) {
    cudnnBackendDescriptor_t residual = tensor (graph, ID_RESIDUAL, graph->dims,
        shape->residual_pitch, data_type (shape->residual_dtype), shape->residual_align, FALSE);
    if (shape->residual_dtype == YOLO_S8) {
      y = between (graph, CUDNN_DATA_FLOAT);
      pointwise (graph, CUDNN_POINTWISE_MUL, residual, per_channel (graph, ID_RESIDUAL_SCALE), y);
      residual = y;
    }
    y = !requantise ? out : between (graph, CUDNN_DATA_FLOAT);
    pointwise (graph, CUDNN_POINTWISE_ADD, x, residual, y);
    x = y;
  }
  if (requantise)
    pointwise (graph, CUDNN_POINTWISE_MUL, x, scalar (graph, ID_OUT_INVERSE), out);
}

/* Has the graph built for a device that need not be there. @json: NULL: it is built for the
 * device of the handle. */
static void
describe_device (Graph *graph, const char *json)
{
  if (json == NULL)
    return;
  graph->properties = create (graph, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  set (graph, graph->properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
      (gint64) strlen (json) + 1, json);
  finish (graph, graph->properties);
}

/* Makes the graph of a shape. @handle or @json, the other being NULL, is the device that it
 * is built for. FALSE: cuDNN refuses it. */
static gboolean
graph_init (Graph *graph, const YoloConvShape *shape, cudnnHandle_t handle, const char *json)
{
  *graph = (Graph) { .handle = handle,
    .dims = { shape->batch, shape->conv->out_channels, shape->out_height, shape->out_width } };
  describe_device (graph, json);
  add_ops (graph, shape);
  graph->graph = create (graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set (graph, graph->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
      graph->n_ops, graph->ops);
  if (handle != NULL)
    set (graph, graph->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  finish (graph, graph->graph);
  return !graph->failed;
}

static void
graph_clear (Graph *graph)
{
  while (graph->n_all > 0)
    lib.cudnnBackendDestroyDescriptor (graph->all[--graph->n_all]);
}

/* Reads up to @max values of an attribute. Returns how many there are; 0: there is none. */
static guint
get (cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
    cudnnBackendAttributeType_t type, guint max, void *values)
{
  gint64 n = 0;

  if (lib.cudnnBackendGetAttribute (descriptor, name, type, max, &n, values)
      != CUDNN_STATUS_SUCCESS)
    return 0;
  return (guint) CLAMP (n, 0, (gint64) max);
}

/* Asks one of the heuristics for its best engine configurations. Returns how many it has. */
static guint
ask_heuristics (
    Graph *graph, cudnnBackendHeurMode_t mode, cudnnBackendDescriptor_t configs[MAX_CONFIGS])
{
  cudnnBackendDescriptor_t heuristics = create (graph, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);

  set (graph, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
      &graph->graph);
  set (graph, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (graph->properties != NULL)
    set (graph, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
        &graph->properties);
  finish (graph, heuristics);
  for (guint i = 0; i < MAX_CONFIGS; i++)
    configs[i] = create (graph, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  if (graph->failed)
    return 0;
  return get (heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIGS,
      configs);
}

/* Mode A offers no engine for an output in f32 of an input in half; the other modes do. */
static guint
get_configs (Graph *graph, cudnnBackendDescriptor_t configs[MAX_CONFIGS])
{
  static const cudnnBackendHeurMode_t modes[] = { CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
    CUDNN_HEUR_MODE_FALLBACK };
  guint n = 0;

  for (guint i = 0; n == 0 && i < G_N_ELEMENTS (modes); i++) {
    graph->failed = FALSE;      /* a mode may take what the one before refused */
    n = ask_heuristics (graph, modes[i], configs);
  }
  return n;
}

/* Whether an engine may be offered. Refused are engines whose results change from run to
 * run, that add or multiply in less precision than was asked for, or that want weights in
 * another order than ours: nobody checks what a candidate computes before it is chosen. */
static gboolean
is_suitable (cudnnBackendDescriptor_t engine)
{
  cudnnBackendNumericalNote_t numerical[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  cudnnBackendBehaviorNote_t behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
  guint n = get (engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
      G_N_ELEMENTS (numerical), numerical);

  for (guint i = 0; i < n; i++)
    if (numerical[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC
        || numerical[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS
        || numerical[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
      return FALSE;
  n = get (engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
      G_N_ELEMENTS (behaviour), behaviour);
  for (guint i = 0; i < n; i++)
    if (behaviour[i] == CUDNN_BEHAVIOR_NOTE_REQUIRES_FILTER_INT8x32_REORDER
        || behaviour[i] == CUDNN_BEHAVIOR_NOTE_REQUIRES_BIAS_INT8x32_REORDER)
      return FALSE;
  return TRUE;
}

/* The number of a configuration's engine; -1: the engine is not suitable. */
static gint64
engine_index (Graph *graph, cudnnBackendDescriptor_t config)
{
  cudnnBackendDescriptor_t engine = create (graph, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  gint64 index = -1;

  if (!graph->failed
      && get (config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) == 1
      && is_suitable (engine))
    get (engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
  return index;
}

/* Builds the plan of a configuration. Returns NULL if cuDNN refuses it or it wants too much
 * workspace; else the caller destroys the plan. */
static cudnnBackendDescriptor_t
build_plan (Graph *graph, cudnnBackendDescriptor_t config, gsize *workspace)
{
  cudnnBackendDescriptor_t plan = NULL;
  gint64 size = 0;
  gboolean good;

  if (lib.cudnnBackendCreateDescriptor (CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan)
      != CUDNN_STATUS_SUCCESS)
    return NULL;
  good = lib.cudnnBackendSetAttribute (plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config)
      == CUDNN_STATUS_SUCCESS;
  if (graph->handle != NULL)
    good = good
        && lib.cudnnBackendSetAttribute (
               plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &graph->handle)
            == CUDNN_STATUS_SUCCESS;
  if (graph->properties != NULL)
    good = good
        && lib.cudnnBackendSetAttribute (plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph->properties)
            == CUDNN_STATUS_SUCCESS;
  if (good && lib.cudnnBackendFinalize (plan) == CUDNN_STATUS_SUCCESS) {
    get (plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &size);
    *workspace = (gsize) MAX (size, 0);
    if (*workspace <= MAX_WORKSPACE)
      return plan;
  }
  lib.cudnnBackendDestroyDescriptor (plan);
  return NULL;
}

/* Candidates */

/* Indices of a candidate's option[]. LOADED: whether its plan came out of a file. */
enum { LOADED };

/* Whether cuDNN can be asked for a shape. Packed weights may have no padding channels, since
 * cuDNN's filters have no pitch. Convolutions in f32 are left to our kernels, because
 * cuDNN's engines round their factors to TF32; so are the activations that few networks have. */
static gboolean
is_possible (const YoloConvShape *shape)
{
  YoloActivation act = shape->conv->act;

  return (act == YOLO_ACT_NONE || modes[act] != 0)
      && (shape->dtype == YOLO_F16 || shape->dtype == YOLO_S8)
      && shape->in_channels / shape->conv->groups == yolo_conv_packed_channels (shape);
}

static gboolean
fill_pack (cudnnBackendDescriptor_t pack, const YoloConvShape *shape, const YoloConvArgs *args,
    float *inverse)
{
  const void *pointers[MAX_TENSORS], *workspace = (const void *) args->workspace;
  gint64 ids[MAX_TENSORS];
  guint n = 0;

#define ADD(id, pointer) (ids[n] = (id), pointers[n++] = (const void *) (pointer))
  ADD (ID_IN, args->in);
  ADD (ID_WEIGHTS, args->weights);
  ADD (ID_BIAS, args->bias);
  ADD (ID_OUT, args->out);
  if (shape->dtype == YOLO_S8)
    ADD (ID_SCALE, args->scale);
  if (shape->residual_pitch > 0)
    ADD (ID_RESIDUAL, args->residual);
  if (shape->residual_pitch > 0 && shape->residual_dtype == YOLO_S8)
    ADD (ID_RESIDUAL_SCALE, args->residual_scale);
  if (shape->out_dtype == YOLO_S8)
    ADD (ID_OUT_INVERSE, inverse);
#undef ADD
  return lib.cudnnBackendSetAttribute (
             pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers)
      == 0
      && lib.cudnnBackendSetAttribute (
             pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids)
      == 0
      && lib.cudnnBackendSetAttribute (
             pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)
      == 0
      && lib.cudnnBackendFinalize (pack) == CUDNN_STATUS_SUCCESS;
}

/* Runs a plan. This is called when a network is recorded and while ways are measured, never
 * once a frame. Without a device, in tests, the plan takes its addresses and is not run. */
static gboolean
launch (const YoloConvCandidate *candidate, YoloCudaDevice *device, const YoloConvShape *shape,
    const YoloConvArgs *args, CUstream stream, GError **error)
{
  Cudnn *cudnn = device != NULL ? cudnn_of (device) : NULL;
  float inverse = args->out_scale != 0 ? 1 / args->out_scale : 0;
  cudnnBackendDescriptor_t pack = NULL;
  cudnnStatus_t status =
      lib.cudnnBackendCreateDescriptor (CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);

  if (status == CUDNN_STATUS_SUCCESS && !fill_pack (pack, shape, args, &inverse))
    status = CUDNN_STATUS_BAD_PARAM;
  if (status == CUDNN_STATUS_SUCCESS && cudnn != NULL) {
    g_mutex_lock (&cudnn->lock);
    status = lib.cudnnSetStream (cudnn->handle, stream);
    if (status == CUDNN_STATUS_SUCCESS)
      status = lib.cudnnBackendExecute (cudnn->handle, candidate->data, pack);
    g_mutex_unlock (&cudnn->lock);
  }
  if (pack != NULL)
    lib.cudnnBackendDestroyDescriptor (pack);
  if (status != CUDNN_STATUS_SUCCESS)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
        "cuDNN cannot run a convolution (%s, status %d); "
        "YOLO_CUDA_CUDNN=0 does without it",
        candidate->name, (int) status);
  return status == CUDNN_STATUS_SUCCESS;
}

static void
free_candidate (YoloConvCandidate *candidate)
{
  lib.cudnnBackendDestroyDescriptor (candidate->data);
}

/* Names a candidate. Engines' numbers mean something in one version of cuDNN only, which is
 * why the files that hold names depend on the version. */
static void
name_of (char *name, gsize size, guint rank, gint64 engine)
{
  g_snprintf (name, size, "cudnn %u engine %d", rank, (int) engine);
}

/* Plans in files. A plan is 50 to 250 kB of text, machine code included, and
 * loaded in about a millisecond where building it takes a second. The name of a
 * file says all that its plan depends on; its first line is a sum over that and
 * the text, so that what is damaged or of something else is never loaded. */

static char *
plan_path (const char *where, const YoloConvShape *shape, const char *name, char **identity)
{
  g_autofree char *key = yolo_conv_shape_key (shape), *sum = NULL, *file = NULL;

  *identity = g_strdup_printf ("yolo plan 1\n%s\ncudnn %d\n%s\n%s\n%s\n", YOLO_VERSION,
      yolo_cudnn_version (), where, key, name);
  sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, *identity, -1);
  file = g_strdup_printf ("cudnn-%.32s.plan", sum);
  return g_build_filename (g_get_user_cache_dir (), "yolo", file, NULL);
}

static char *
plan_sum (const char *identity, const char *text, gsize length)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (sum, (const guchar *) identity, -1);
  g_checksum_update (sum, (const guchar *) text, (gssize) length);
  return g_strdup (g_checksum_get_string (sum));
}

/* Writes a candidate's plan. If that fails, the plan is built again at the next start. */
static void
write_plan (const char *where, const YoloConvShape *shape, const YoloConvCandidate *candidate)
{
  g_autofree char *identity = NULL, *path = plan_path (where, shape, candidate->name, &identity),
                  *sum = NULL, *all = NULL;
  g_autofree char *folder = g_path_get_dirname (path), *text = NULL;
  g_autoptr (GError) error = NULL;
  gint64 size = 0;
  gsize line;

  lib.cudnnBackendGetAttribute (candidate->data, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
      CUDNN_TYPE_CHAR, 0, &size, NULL);
  if (size <= 0 || size > MAX_PLAN_TEXT || (text = g_try_malloc ((gsize) size)) == NULL
      || lib.cudnnBackendGetAttribute (candidate->data,
             CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, size, &size, text)
          != CUDNN_STATUS_SUCCESS)
    return;
  sum = plan_sum (identity, text, (gsize) size);
  line = strlen (sum) + 1;
  all = g_malloc (line + (gsize) size);
  memcpy (all, sum, line - 1);
  all[line - 1] = '\n';
  memcpy (all + line, text, (gsize) size);
  if (g_mkdir_with_parents (folder, 0777) != 0
      || !g_file_set_contents (path, all, (gssize) (line + (gsize) size), &error))
    g_debug ("%s cannot be written: %s", path, error != NULL ? error->message : folder);
}

/* Loads the plan of a candidate's name out of its file. NULL: there is no file, or none that
 * can be used. */
static cudnnBackendDescriptor_t
read_plan (const char *where, const YoloConvShape *shape, const char *name, cudnnHandle_t handle,
    const char *json)
{
  g_autofree char *identity = NULL, *path = plan_path (where, shape, name, &identity), *all = NULL,
                  *sum = NULL;
  g_autoptr (GError) error = NULL;
  char *text;
  gsize length;
  Graph graph = { .handle = handle };
  cudnnBackendDescriptor_t plan;

  all = yolo_file_read (path, MAX_PLAN_TEXT + SUM_LINE, &length, &error);
  if (all == NULL) {
    g_debug ("%s: %s", path, error->message);
    return NULL;
  }
  text = memchr (all, '\n', length);
  if (text == NULL)
    return NULL;
  *text++ = '\0';
  length -= (gsize) (text - all);
  sum = plan_sum (identity, text, length);
  if (!g_str_equal (sum, all))
    return NULL;
  describe_device (&graph, json);
  plan = create (&graph, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (graph.properties != NULL)
    set (&graph, plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
        &graph.properties);
  else
    set (&graph, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  set (&graph, plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
      (gint64) length, text);
  finish (&graph, plan);
  if (!graph.failed)
    graph.n_all--;              /* graph_clear() must not destroy the plan, the last one */
  graph_clear (&graph);
  return graph.failed ? NULL : plan;
}

/* Fills @list with candidates and returns how many there are. @where: the device, as part of
 * files' names; @only: the name of the one candidate that is wanted, or NULL;
 * @n_configs: how many engine configurations the heuristics offered. */
static guint
build_plans (const char *where, const YoloConvShape *shape, cudnnHandle_t handle, const char *json,
    const char *only, YoloConvCandidate *list, guint max, guint *n_configs)
{
  cudnnBackendDescriptor_t configs[MAX_CONFIGS], plan;
  Graph graph;
  guint n = 0;

  if (only != NULL && max > 0 && (plan = read_plan (where, shape, only, handle, json)) != NULL) {
    gint64 size = 0;

    get (plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &size);
    *list = (YoloConvCandidate){ .workspace = (gsize) MAX (size, 0),
      .launch = launch,
      .free = free_candidate,
      .data = plan,
      .option = { [LOADED] = 1 } };
    g_strlcpy (list->name, only, sizeof (list->name));
    *n_configs = 1;
    return 1;
  }
  *n_configs = graph_init (&graph, shape, handle, json) ? get_configs (&graph, configs) : 0;
  for (guint i = 0; i < *n_configs && n < max; i++) {
    gint64 engine = engine_index (&graph, configs[i]);
    gsize workspace = 0;
    char name[48];

    name_of (name, sizeof (name), i, engine);
    if (engine < 0 || (only != NULL && !g_str_equal (only, name)))
      continue;
    plan = build_plan (&graph, configs[i], &workspace);
    if (plan == NULL)
      continue;
    list[n] = (YoloConvCandidate){
      .workspace = workspace, .launch = launch, .free = free_candidate, .data = plan
    };
    memcpy (list[n++].name, name, sizeof (name));
  }
  graph_clear (&graph);
  if (only != NULL && n > 0)
    write_plan (where, shape, list);
  return n;
}

/* Runs a candidate once on memory of its own. Its first launch may load code and allocate,
 * which must not happen while a stream is captured; and a plan out of a file is tried
 * before it is used. FALSE: the candidate does not run. */
static gboolean
run_once (YoloCudaDevice *device, const YoloConvShape *shape, const YoloConvCandidate *candidate)
{
  const YoloCudaDriver *driver = device->driver;
  gsize per_channel_size = shape->conv->out_channels * sizeof (float);
  gsize sizes[] = {
    yolo_conv_in_size (shape),
    yolo_conv_out_size (shape),
    yolo_conv_residual_size (shape),
    yolo_conv_packed_size (shape),
    per_channel_size,
    per_channel_size,
    candidate->workspace,
  };
  CUdeviceptr at[G_N_ELEMENTS (sizes)], memory;
  CUstream stream = NULL;
  gsize total = 0;
  gboolean good;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    at[i] = total;
    total += (sizes[i] + 255) & ~(gsize) 255;
  }
  memory = yolo_cuda_alloc (device, total, "a convolution's first run", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    at[i] += memory;
  YoloConvArgs args = { .in = at[0],
    .out = at[1],
    .residual = at[2],
    .weights = at[3],
    .bias = at[4],
    .scale = at[5],
    .residual_scale = shape->residual_dtype == YOLO_S8 ? at[5] : 0,
    .out_scale = 1,
    .workspace = at[6] };
  good = memory != 0
      && driver->cuStreamCreateWithPriority (&stream, CU_STREAM_NON_BLOCKING, 0) == CUDA_SUCCESS
      && driver->cuMemsetD8Async (memory, 0, total, stream) == CUDA_SUCCESS
      && candidate->launch (candidate, device, shape, &args, stream, NULL)
      && driver->cuStreamSynchronize (stream) == CUDA_SUCCESS;
  if (stream != NULL)
    driver->cuStreamDestroy (stream);
  yolo_cuda_free (device, memory);
  return good;
}

/* The text of all that a plan depends on in a device; for g_free(). */
static char *
where_of (const YoloCudaDevice *device)
{
  return g_strdup_printf ("%s, %d.%d, %d multiprocessors, driver %d", device->name,
      device->capability / 10, device->capability % 10, device->n_sm, device->driver->version);
}

static guint
list_plans (YoloCudaDevice *device, const YoloConvShape *shape, const char *only,
    YoloConvCandidate *list, guint max)
{
  g_autofree char *where = where_of (device);
  guint n_configs;
  Cudnn *cudnn;

  if (!have_library () || !is_possible (shape) || (cudnn = cudnn_of (device))->handle == NULL)
    return 0;
  return build_plans (
      where, shape, cudnn->handle, NULL, only, list, MIN (max, MAX_ENGINES), &n_configs);
}

guint
yolo_conv_cudnn_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list,
    guint max, GError **error)
{
  return list_plans (device, shape, NULL, list, max);
}

gboolean
yolo_conv_cudnn_named (
    YoloCudaDevice *device, const YoloConvShape *shape, const char *name, YoloConvCandidate *found)
{
  if (list_plans (device, shape, name, found, 1) == 0)
    return FALSE;
  if (run_once (device, shape, found))
    return TRUE;
  g_debug ("%s does not run", name);
  found->free (found);
  return FALSE;
}

guint
yolo_cudnn_plans (const YoloConvShape *shape, const char *device_json, const char *only,
    YoloConvCandidate *list, guint max, guint *engines)
{
  *engines = 0;
  if (!have_library () || !is_possible (shape))
    return 0;
  return build_plans (device_json, shape, NULL, device_json, only, list, max, engines);
}

void
yolo_cudnn_keep (const YoloCudaDevice *device, const char *device_json, const YoloConvShape *shape,
    const YoloConvCandidate *candidate)
{
  g_autofree char *where = device != NULL ? where_of (device) : g_strdup (device_json);

  if (candidate->launch == launch && candidate->option[LOADED] == 0)
    write_plan (where, shape, candidate);
}
