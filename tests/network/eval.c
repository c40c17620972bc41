/* SPDX-License-Identifier: MIT */
/* Operators of ONNX on small tensors, by examples that were worked out by hand from ONNX's
 * docs/Operators.md, and what a file may get wrong with them. */

#include "network/onnx/eval.h"

#include <math.h>
#include <string.h>

#define MOST 24                 /* elements of a tensor of an example */
#define NEGATIVE -3.f           /* more than one number has this value in `scores` */

typedef struct {
  gint64 dims[4];               /* 0 behind the last; a scalar has none */
  gboolean is_int;
  float values[MOST];           /* whole numbers if is_int */
} Numbers;

typedef struct {
  const char *name, *op;
  Numbers in[2];
  guint n_in;
  struct {
    const char *name;           /* NULL: none */
    gint64 value;
  } attributes[2];
  Numbers out[2];
  guint n_out;
  const char *says;             /* in the error; NULL: there are results */
} Example;

/* [2][3][2] */
#define SCORES { { 2, 3, 2 }, FALSE, { 1, 8, NEGATIVE, 8, 5, NEGATIVE, 4, 2, 4, NAN, 4, 9 } }
/* [2][3] */
#define TABLE { { 2, 3 }, FALSE, { 10, 11, 12, 20, 21, 22 } }
#define SCALAR(x) { { 0 }, TRUE, { x } }
#define ONE(x) { { 1 }, TRUE, { x } }

static const Example examples[] = {
  { "cos", "Cos", { { { 3 }, FALSE, { 0, 1, -2 } } }, 1, { { NULL, 0 } },
      { { { 3 }, FALSE, { 1, .5403023f, -.4161468f } } }, 1, NULL },
  { "sin", "Sin", { { { 3 }, FALSE, { 0, 1, -2 } } }, 1, { { NULL, 0 } },
      { { { 3 }, FALSE, { 0, .8414710f, -.9092974f } } }, 1, NULL },
  { "ceil", "Ceil", { { { 3 }, FALSE, { .5f, -1.5f, 2 } } }, 1, { { NULL, 0 } },
      { { { 3 }, FALSE, { 1, -1, 2 } } }, 1, NULL },
  { "floor", "Floor", { { { 3 }, FALSE, { .5f, -1.5f, 2 } } }, 1, { { NULL, 0 } },
      { { { 3 }, FALSE, { 0, -2, 2 } } }, 1, NULL },
  { "sigmoid", "Sigmoid", { { { 2 }, FALSE, { 0, 2 } } }, 1, { { NULL, 0 } },
      { { { 2 }, FALSE, { .5f, .8807971f } } }, 1, NULL },
  { "cos-of-integers", "Cos", { ONE (1) }, 1, { { NULL, 0 } }, { ONE (0) }, 1, "no float" },

  { "exp", "Exp", { { { 2 }, FALSE, { 0, 1 } } }, 1, { { NULL, 0 } },
      { { { 2 }, FALSE, { 1, 2.7182818f } } }, 1, NULL },
  { "log", "Log", { { { 2 }, FALSE, { 1, 10 } } }, 1, { { NULL, 0 } },
      { { { 2 }, FALSE, { 0, 2.3025851f } } }, 1, NULL },
  { "neg", "Neg", { { { 2 }, FALSE, { 1, -2 } } }, 1, { { NULL, 0 } },
      { { { 2 }, FALSE, { -1, 2 } } }, 1, NULL },
  { "sqrt", "Sqrt", { { { 2 }, FALSE, { 4, 2 } } }, 1, { { NULL, 0 } },
      { { { 2 }, FALSE, { 2, 1.4142136f } } }, 1, NULL },
  { "pow", "Pow", { { { 3 }, FALSE, { 3, -3, 4 } }, { { 3 }, FALSE, { 2, 2, .5f } } }, 2,
      { { NULL, 0 } }, { { { 3 }, FALSE, { 9, 9, 2 } } }, 1, NULL },
  { "pow-of-integers", "Pow", { ONE (2), ONE (3) }, 2, { { NULL, 0 } }, { ONE (0) }, 1,
      "powers of integers" },
  { "less-or-equal", "LessOrEqual", { { { 3 }, FALSE, { 1, 2, 3 } }, { { 1 }, FALSE, { 2 } } }, 2,
      { { NULL, 0 } }, { { { 3 }, TRUE, { 1, 1, 0 } } }, 1, NULL },
  { "less-or-equal-integers", "LessOrEqual", { { { 3 }, TRUE, { 1, 2, 3 } }, ONE (2) }, 2,
      { { NULL, 0 } }, { { { 3 }, TRUE, { 1, 1, 0 } } }, 1, NULL },
  { "clip-low", "Clip", { { { 3 }, FALSE, { -1, 0, 2 } }, { { 0 }, FALSE, { -.5f } } }, 2,
      { { NULL, 0 } }, { { { 3 }, FALSE, { -.5f, 0, 2 } } }, 1, NULL },
  { "clip-not", "Clip", { { { 3 }, TRUE, { -1, 0, 2 } } }, 1, { { NULL, 0 } },
      { { { 3 }, TRUE, { -1, 0, 2 } } }, 1, NULL },
  { "clip-integers", "Clip", { { { 3 }, TRUE, { -1, 0, 2 } }, SCALAR (1) }, 2, { { NULL, 0 } },
      { { { 3 }, TRUE, { 1, 1, 2 } } }, 1, NULL },
  { "clip-by-several", "Clip", { TABLE, TABLE }, 2, { { NULL, 0 } }, { ONE (0) }, 1, "limits" },
  { "clip-mixed", "Clip", { TABLE, SCALAR (1) }, 2, { { NULL, 0 } }, { ONE (0) }, 1, "limits" },
  { "reduce-sum", "ReduceSum", { TABLE, ONE (1) }, 2, { { "keepdims", 0 } },
      { { { 2 }, FALSE, { 33, 63 } } }, 1, NULL },
  { "reduce-sum-integers", "ReduceSum", { { { 2, 3 }, TRUE, { 1, 2, 3, 4, 5, 6 } }, ONE (0) }, 2,
      { { NULL, 0 } }, { { { 1, 3 }, TRUE, { 5, 7, 9 } } }, 1, NULL },
  { "trilu", "Trilu", { { { 3, 3 }, TRUE, { 1, 2, 3, 4, 5, 6, 7, 8, 9 } }, SCALAR (1) }, 2,
      { { NULL, 0 } }, { { { 3, 3 }, TRUE, { 0, 2, 3, 0, 0, 6, 0, 0, 0 } } }, 1, NULL },
  { "trilu-lower", "Trilu", { { { 2, 2, 3 }, TRUE, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } } }, 1,
      { { "upper", 0 } }, { { { 2, 2, 3 }, TRUE, { 1, 0, 0, 4, 5, 0, 7, 0, 0, 10, 11, 0 } } }, 1,
      NULL },
  { "trilu-far", "Trilu", { TABLE, SCALAR (-100) }, 2, { { NULL, 0 } }, { TABLE }, 1, NULL },
  { "trilu-of-row", "Trilu", { { { 2 }, TRUE, { 1, 2 } } }, 1, { { NULL, 0 } }, { ONE (0) }, 1,
      "no matrix" },
  { "mat-mul", "MatMul", { { { 1, 2, 3 }, FALSE, { 1, 2, 3, 4, 5, 6 } },
      { { 3, 2 }, FALSE, { 1, 0, -1, 2, .5f, 10 } } }, 2, { { NULL, 0 } },
      { { { 1, 2, 2 }, FALSE, { .5f, 34, 2, 70 } } }, 1, NULL },
  { "mat-mul-misfit", "MatMul", { TABLE, TABLE }, 2, { { NULL, 0 } }, { ONE (0) }, 1,
      "by a matrix" },
  { "mat-mul-of-integers", "MatMul", { { { 1, 1 }, TRUE, { 2 } }, { { 1, 1 }, TRUE, { 2 } } }, 2,
      { { NULL, 0 } }, { ONE (0) }, 1, "by a matrix" },

  /* the remainder of integers has the divisor's sign, that of fmod the dividend's */
  { "mod", "Mod", { { { 6 }, TRUE, { 7, -7, 7, -7, 6, -6 } },
      { { 6 }, TRUE, { 3, 3, -3, -3, 3, -3 } } }, 2, { { NULL, 0 } },
      { { { 6 }, TRUE, { 1, 2, -2, -1, 0, 0 } } }, 1, NULL },
  { "mod-by-scalar", "Mod", { { { 1, 4 }, TRUE, { 0, 4, 5, 7 } }, SCALAR (3) }, 2,
      { { "fmod", 0 } }, { { { 1, 4 }, TRUE, { 0, 1, 2, 1 } } }, 1, NULL },
  { "mod-of-floats", "Mod", { { { 2 }, FALSE, { 5.5f, -5.5f } }, { { 1 }, FALSE, { 2 } } }, 2,
      { { "fmod", 1 } }, { { { 2 }, FALSE, { 1.5f, -1.5f } } }, 1, NULL },
  { "mod-by-zero", "Mod", { ONE (3), ONE (0) }, 2, { { NULL, 0 } }, { ONE (0) }, 1,
      "division by zero" },
  { "mod-of-floats-without-fmod", "Mod", { { { 1 }, FALSE, { 3 } }, { { 1 }, FALSE, { 2 } } }, 2,
      { { NULL, 0 } }, { ONE (0) }, 1, "fmod" },
  { "mod-of-integers-with-fmod", "Mod", { ONE (3), ONE (2) }, 2, { { "fmod", 1 } }, { ONE (0) }, 1,
      "fmod" },
  { "mod-of-mixed-types", "Mod", { ONE (3), { { 1 }, FALSE, { 2 } } }, 2, { { NULL, 0 } },
      { ONE (0) }, 1, "different types" },

  /* of equal numbers, that of the lower index is first */
  { "top-k", "TopK", { SCORES, ONE (2) }, 2, { { "axis", 1 }, { "largest", 1 } },
      { { { 2, 2, 2 }, FALSE, { 5, 8, 1, 8, 4, 9, 4, 2 } },
          { { 2, 2, 2 }, TRUE, { 2, 0, 0, 1, 0, 2, 1, 0 } } }, 2, NULL },
  { "top-k-smallest", "TopK", { SCORES, ONE (2) }, 2, { { "axis", -2 }, { "largest", 0 } },
      { { { 2, 2, 2 }, FALSE, { NEGATIVE, NEGATIVE, 1, 8, 4, 2, 4, 9 } },
          { { 2, 2, 2 }, TRUE, { 1, 2, 0, 0, 0, 0, 1, 2 } } }, 2, NULL },
  { "top-k-last-axis", "TopK", { TABLE, ONE (1) }, 2, { { NULL, 0 } },
      { { { 2, 1 }, FALSE, { 12, 22 } }, { { 2, 1 }, TRUE, { 2, 2 } } }, 2, NULL },
  { "top-k-values-alone", "TopK", { TABLE, ONE (3) }, 2, { { NULL, 0 } },
      { { { 2, 3 }, FALSE, { 12, 11, 10, 22, 21, 20 } } }, 1, NULL },
  { "top-k-too-many", "TopK", { TABLE, ONE (4) }, 2, { { NULL, 0 } }, { TABLE, TABLE }, 2,
      "more numbers than there are" },
  { "top-k-negative", "TopK", { TABLE, ONE (-1) }, 2, { { NULL, 0 } }, { TABLE, TABLE }, 2,
      "more numbers than there are" },
  { "top-k-of-integers", "TopK", { { { 2 }, TRUE, { 1, 2 } }, ONE (1) }, 2, { { NULL, 0 } },
      { TABLE, TABLE }, 2, "not floats and one integer" },
  { "top-k-two-counts", "TopK", { TABLE, { { 2 }, TRUE, { 1, 1 } } }, 2, { { NULL, 0 } },
      { TABLE, TABLE }, 2, "not floats and one integer" },
  { "top-k-no-such-axis", "TopK", { TABLE, ONE (1) }, 2, { { "axis", 2 } }, { TABLE, TABLE }, 2,
      "axis" },

  { "gather-elements", "GatherElements", { TABLE, { { 2, 2 }, TRUE, { 2, 0, 1, -1 } } }, 2,
      { { "axis", 1 } }, { { { 2, 2 }, FALSE, { 12, 10, 21, 22 } } }, 1, NULL },
  { "gather-elements-rows", "GatherElements",
      { TABLE, { { 3, 2 }, TRUE, { 1, 0, 0, 1, -1, -2 } } }, 2, { { NULL, 0 } },
      { { { 3, 2 }, FALSE, { 20, 11, 10, 21, 20, 11 } } }, 1, NULL },
  { "gather-elements-middle", "GatherElements",
      { { { 2, 2, 2 }, TRUE, { 0, 1, 2, 3, 4, 5, 6, 7 } },
          { { 2, 1, 2 }, TRUE, { 1, 0, 0, 1 } } }, 2, { { "axis", -2 } },
      { { { 2, 1, 2 }, TRUE, { 2, 1, 4, 7 } } }, 1, NULL },
  { "gather-elements-beyond", "GatherElements", { TABLE, { { 2, 1 }, TRUE, { 0, 3 } } }, 2,
      { { "axis", 1 } }, { TABLE }, 1, "out of range" },
  { "gather-elements-before", "GatherElements", { TABLE, { { 2, 1 }, TRUE, { 0, -4 } } }, 2,
      { { "axis", 1 } }, { TABLE }, 1, "out of range" },
  { "gather-elements-wide", "GatherElements", { TABLE, { { 3, 1 }, TRUE, { 0, 0, 0 } } }, 2,
      { { "axis", 1 } }, { TABLE }, 1, "do not fit" },
  { "gather-elements-flat", "GatherElements", { TABLE, { { 2 }, TRUE, { 0, 0 } } }, 2,
      { { "axis", 1 } }, { TABLE }, 1, "do not fit" },
  { "gather-elements-by-floats", "GatherElements", { TABLE, TABLE }, 2, { { "axis", 1 } },
      { TABLE }, 1, "do not fit" },
};

static Tensor *
make (TensorScope *scope, const Numbers *numbers)
{
  guint n_dims = 0;
  Tensor *tensor;

  while (n_dims < 4 && numbers->dims[n_dims] != 0)
    n_dims++;
  tensor = yolo_onnx_tensor_new (scope, numbers->is_int, n_dims, numbers->dims, NULL);
  g_assert_nonnull (tensor);
  g_assert_cmpuint (tensor->n, <=, MOST);
  for (gsize i = 0; i < tensor->n; i++) {
    if (tensor->is_int)
      tensor->i[i] = (gint64) numbers->values[i];
    else
      tensor->f[i] = numbers->values[i];
  }
  return tensor;
}

/* Runs an example's operator in this scope. */
static gboolean
run (const Example *example, TensorScope *scope, Tensor **out, GError **error)
{
  Onnx__AttributeProto attributes[2], *pointers[2];
  Onnx__NodeProto proto = ONNX__NODE_PROTO__INIT;
  guint operands[2] = { 0, 1 };
  OnnxNode node = { example->op, example->name, TRUE, example->n_in, example->n_out, operands,
    operands, 0, &proto };
  Tensor *in[2] = { NULL };
  gboolean done;

  proto.attribute = pointers;
  for (; node.n_attributes < 2 && example->attributes[node.n_attributes].name != NULL;
       node.n_attributes++) {
    Onnx__AttributeProto *attribute = pointers[node.n_attributes] = &attributes[node.n_attributes];
    onnx__attribute_proto__init (attribute);
    attribute->name = (char *) example->attributes[node.n_attributes].name;
    attribute->i = example->attributes[node.n_attributes].value;
  }
  g_assert_true (yolo_eval_knows (&node));
  for (guint k = 0; k < example->n_in; k++)
    in[k] = make (&(TensorScope) { .max_elements = MOST, .left = MOST }, &example->in[k]);
  done = yolo_eval (scope, &node, in, out, error);
  for (guint k = 0; k < example->n_in; k++)
    yolo_onnx_tensor_unref (in[k]);
  return done;
}

static void
test_example (gconstpointer data)
{
  const Example *example = data;
  OnnxFile file = { .opset = 18 };
  TensorScope scope = { .file = &file, .max_elements = 100, .left = 100, .batch = 1 };
  g_autoptr (GError) error = NULL;
  Tensor *out[2] = { NULL };
  gboolean done = run (example, &scope, out, &error);

  if (example->says != NULL) {
    g_assert_false (done);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, example->says));
    g_assert_nonnull (strstr (error->message, example->op));
  }
  for (guint k = 0; k < example->n_out && example->says == NULL; k++) {
    g_autoptr (Tensor) expected =
        make (&(TensorScope) { .max_elements = MOST, .left = MOST }, &example->out[k]);

    g_assert_no_error (error);
    g_assert_nonnull (out[k]);
    g_assert_cmpint (out[k]->is_int, ==, expected->is_int);
    g_assert_cmpmem (out[k]->dims, out[k]->n_dims * sizeof (gint64), expected->dims,
        expected->n_dims * sizeof (gint64));
    for (gsize i = 0; i < expected->n; i++) {
      if (expected->is_int)
        g_assert_cmpint (out[k]->i[i], ==, expected->i[i]);
      else
        g_assert_cmpfloat_with_epsilon (out[k]->f[i], expected->f[i], 1e-6f);
    }
  }
  for (guint k = 0; k < 2; k++)
    yolo_onnx_tensor_unref (out[k]);
}

/* What TopK sorts counts, although it gives little: a file must not make us sort for hours. */
static void
test_cost (void)
{
  static const Example example = { "cost", "TopK", { TABLE, ONE (1) }, 2, { { NULL, 0 } },
    { TABLE, TABLE }, 2, NULL };
  OnnxFile file = { .opset = 18 };
  /* 6 numbers are sorted, and 2 are given in each output */
  TensorScope scope = { .file = &file, .max_elements = 100, .left = 15, .batch = 1 };

  for (guint round = 0; round < 2; round++) {
    g_autoptr (GError) error = NULL;
    Tensor *out[2] = { NULL };
    gboolean done = run (&example, &scope, out, &error);

    g_assert_cmpint (done, ==, round == 0);
    if (!done)
      g_assert_nonnull (strstr (error->message, "sorts more"));
    for (guint k = 0; k < 2; k++)
      yolo_onnx_tensor_unref (out[k]);
  }
  g_assert_cmpuint (scope.left, ==, 5);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (examples); i++) {
    g_autofree char *path = g_strconcat ("/network/eval/", examples[i].name, NULL);
    g_test_add_data_func (path, &examples[i], test_example);
  }
  g_test_add_func ("/network/eval/cost", test_cost);
  return g_test_run ();
}
