/* SPDX-License-Identifier: MIT */
/* What the property `device` says, and what engines are made of it. */

#include "tests/engine/fake.h"

#include <string.h>

/* The devices as text again: "cuda:1", or "cuda" where there is no number. */
static char *
show (const YoloDevices *devices)
{
  static const char *const names[] = { "auto", "cpu", "cuda", "reference" };
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < devices->n; i++) {
    g_string_append_printf (text, "%s%s", devices->at[i].joined ? "+" : i > 0 ? " " : "",
        names[devices->at[i].kind]);
    if (devices->at[i].number >= 0)
      g_string_append_printf (text, ":%d", devices->at[i].number);
  }
  return g_string_free (text, FALSE);
}

static void
test_good (void)
{
  static const struct {
    const char *text, *devices;
  } rows[] = {
    { NULL, "auto" }, { "", "auto" }, { "auto", "auto" }, { "cpu", "cpu" }, { "cuda", "cuda" },
    { "reference", "reference" }, { "cuda:0", "cuda:0" }, { "cuda:12", "cuda:12" },
    { "CPU", "cpu" }, { "Cuda:1", "cuda:1" }, { "cuda:2147483647", "cuda:2147483647" },
    { "cpu,reference", "cpu reference" }, { "cuda:0,cuda:1", "cuda:0 cuda:1" },
    { "cpu:0,cpu:1", "cpu:0 cpu:1" }, { "cpu,cpu", "cpu cpu" },
    { "cpu , cuda:1,cuda", "cpu cuda:1 cuda" },
    { "cuda:0+cuda:1", "cuda:0+cuda:1" }, { "cuda + cpu", "cuda+cpu" },
    { "cuda:0+cuda:1,cuda:2+cuda:3", "cuda:0+cuda:1 cuda:2+cuda:3" },
    { "cpu,cuda:1+cuda:1+reference", "cpu cuda:1+cuda:1+reference" },
    { "cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu",
        "cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu cpu" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *shown = NULL;
    YoloDevices devices;

    g_assert_true (yolo_devices_parse (rows[i].text, &devices, &error));
    g_assert_no_error (error);
    shown = show (&devices);
    g_assert_cmpstr (shown, ==, rows[i].devices);
  }
}

static void
test_bad (void)
{
  static const struct {
    const char *text, *says;
  } rows[] = {
    { "gpu", "\"gpu\" is no device; use auto" }, { "cuda:", "\"cuda:\" is no device" },
    { "cuda:-1", "\"cuda:-1\"" }, { "cuda:1x", "\"cuda:1x\"" },
    { "cuda:+1", "\"cuda:\" is no device" },
    { "cuda:2147483648", "\"cuda:2147483648\"" }, { "cpu:", "\"cpu:\" is no device" },
    { "reference:0", "\"reference:0\"" },
    { "cpu,", "\"\" is no device" }, { ",", "\"\" is no device" }, { "cpu;cuda", "\"cpu;cuda\"" },
    { "cuda:0+", "\"\" is no device" }, { "+", "\"\" is no device" },
    { "cpu,cuda:0+gpu", "\"gpu\" is no device" }, { "cpu+auto", "names auto beside" },
    { "cpu+cpu+cpu+cpu+cpu+cpu+cpu+cpu+cpu", "in more than 8 pieces" },
    { "cpu+cpu+cpu+cpu+cpu+cpu+cpu+cpu,cpu+cpu+cpu+cpu+cpu+cpu+cpu+cpu,cpu", "more than 16" },
    { "auto,cpu", "\"auto,cpu\" names auto beside" }, { "cpu,auto", "names auto beside" },
    { "cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu", "more than 16" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    YoloDevices devices;

    g_assert_false (yolo_devices_parse (rows[i].text, &devices, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
    g_assert_true (g_str_has_prefix (error->message, "device \""));
    g_assert_nonnull (strstr (error->message, rows[i].says));
  }
}

/* Where frames can be in a GPU's memory: on all devices, or else they would have to be brought to
 * one of them. */
static void
test_memory (void)
{
  gboolean cuda = yolo_device_takes ("cuda", YOLO_MEMORY_CUDA);

  g_assert_cmpint (yolo_device_takes (NULL, YOLO_MEMORY_CUDA), ==, cuda);
  g_assert_cmpint (yolo_device_takes ("cuda:0,cuda:1", YOLO_MEMORY_CUDA), ==, cuda);
  g_assert_false (yolo_device_takes ("cuda,cpu", YOLO_MEMORY_CUDA));
  g_assert_cmpint (yolo_device_takes ("cuda:0+cpu", YOLO_MEMORY_CUDA), ==, cuda);
  g_assert_false (yolo_device_takes ("cpu+cuda:0", YOLO_MEMORY_CUDA));
  g_assert_true (yolo_device_takes ("cpu,reference", YOLO_MEMORY_HOST));
  g_assert_false (yolo_device_takes ("cpu", YOLO_MEMORY_CUDA));
  g_assert_false (yolo_device_takes ("nothing", YOLO_MEMORY_HOST));
}

/* The largest number that a node can have is one of a node that is not there, on this machine; the
 * number of the CPU's device is one more. */
static void
test_largest_node (void)
{
  const YoloEngineConfig config = { .model_file = "fake.onnx", .device = "cpu:2147483647" };
  g_autoptr (GError) error = NULL;

  g_assert_null (yolo_engine_get_from (&yolo_engine_parts, &config, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  if (yolo_backend_available (yolo_engine_parts.cpu, 0, NULL))
    g_assert_nonnull (strstr (error->message, "no NUMA node 2147483647"));
}

/* Engines of these devices, each loaded once; what differs in a number or in the order differs. */
static void
test_engines (void)
{
  static const struct {
    const char *device;
    guint cuda_device_id;
    const char *devices;        /* that the engine says it runs on */
    guint nets, engine;
  } rows[] = {
    { "cuda:0,cuda:1", 0, "device:0,device:1", 2, 0 },
    { "cuda,cuda:1", 0, "device:0,device:1", 2, 0 },
    { "cuda:1,cuda:0", 0, "device:1,device:0", 2, 1 },
    { "cuda:1", 0, "device", 1, 2 },
    { "cuda", 1, "device", 1, 2 },
    { "cpu,cuda:1", 0, "host,device:1", 2, 3 },
    { "cpu,cpu", 0, "host,host", 2, 4 },
    { "cpu", 0, "host", 1, 5 },
    { "cpu:0,cpu:1", 0, "host:0,host:1", 2, 6 },
  };
  YoloEngine *got[G_N_ELEMENTS (rows)], *engines[7] = { NULL };
  guint nets = 0;

  fake_reset ();
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    YoloEngineConfig config = { .model_file = "fake.onnx", .device = rows[i].device,
      .cuda_device_id = rows[i].cuda_device_id };
    g_autoptr (GError) error = NULL;

    got[i] = yolo_engine_get_from (&fake_device, &config, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (yolo_engine_devices (got[i]), ==, rows[i].devices);
    if (engines[rows[i].engine] == NULL) {
      engines[rows[i].engine] = got[i];
      nets += rows[i].nets;
    }
    g_assert_true (got[i] == engines[rows[i].engine]);
    g_assert_cmpuint (fake.nets, ==, nets);
  }
  g_assert_false (yolo_engine_takes (engines[3], YOLO_MEMORY_CUDA));
  g_assert_true (yolo_engine_takes (engines[0], YOLO_MEMORY_CUDA));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    yolo_engine_unref (got[i]);
  g_assert_cmpuint (fake.nets, ==, 0);
}

/* A device that is missing fails the engine, and so does a precision that one of them lacks. Where
 * each would choose another one, `auto` is fp32. */
static void
test_precision (void)
{
  static const struct {
    const char *device;
    YoloPrecision asked, is;
    const char *says;           /* NULL: there is no error */
  } rows[] = {
    { "cpu,cuda", YOLO_PRECISION_AUTO, YOLO_PRECISION_FP32, NULL },
    { "cpu,cuda", YOLO_PRECISION_FP16, YOLO_PRECISION_FP16, NULL },
    { "cuda,cuda:1", YOLO_PRECISION_AUTO, YOLO_PRECISION_FP16, NULL },
    { "cpu,cuda", YOLO_PRECISION_INT8, 0, "int8 has other numbers on host than on device" },
    { "cpu,cuda:8", YOLO_PRECISION_AUTO, 0, "there is no device 8" },
    { "cpu,reference", YOLO_PRECISION_AUTO, 0, "The reference cannot run networks" },
    { "cpu+cuda", YOLO_PRECISION_INT8, 0, "int8 has other numbers on host than on device" },
  };

  fake_reset ();
  fake.half = fake.int8 = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    YoloEngineConfig config = { .model_file = "fake.onnx", .device = rows[i].device,
      .precision = rows[i].asked };
    g_autoptr (GError) error = NULL;
    YoloEngine *engine = yolo_engine_get_from (&fake_device, &config, &error);

    if (rows[i].says != NULL) {
      g_assert_null (engine);
      g_assert_nonnull (strstr (error->message, rows[i].says));
      continue;
    }
    g_assert_no_error (error);
    g_assert_cmpint (yolo_engine_precision (engine), ==, rows[i].is);
    yolo_engine_unref (engine);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/devices/good", test_good);
  g_test_add_func ("/engine/devices/bad", test_bad);
  g_test_add_func ("/engine/devices/memory", test_memory);
  g_test_add_func ("/engine/devices/largest-node", test_largest_node);
  g_test_add_func ("/engine/devices/engines", test_engines);
  g_test_add_func ("/engine/devices/precision", test_precision);
  return g_test_run ();
}
