/* SPDX-License-Identifier: MIT */
#include "engine/devices.h"

#include "base/error.h"
#include "network/stages.h"

#include <string.h>

#define HOW "use auto, or cpu, cpu:N, cuda, cuda:N and reference with commas between, as in " \
    "cuda:0,cuda:1, or with plus signs for a network in pieces, as in cuda:0+cuda:1"

/* The number behind "cuda:" or "cpu:", of digits alone and at most G_MAXINT; -1: it is none. */
static gint
parse_number (const char *digits)
{
  guint64 number;

  return g_ascii_string_to_unsigned (digits, 10, 0, G_MAXINT, &number, NULL) ? (gint) number : -1;
}

/* Reads one device; FALSE: @name is none. */
static gboolean
parse_one (const char *name, YoloDeviceChoice *choice)
{
  static const struct {
    const char *name;
    YoloDevice kind;
  } kinds[] = {
    { "auto", YOLO_DEVICE_AUTO }, { "cpu", YOLO_DEVICE_CPU }, { "cuda", YOLO_DEVICE_CUDA },
    { "reference", YOLO_DEVICE_REFERENCE },
  };

  choice->number = -1;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_ascii_strcasecmp (name, kinds[i].name) == 0) {
      choice->kind = kinds[i].kind;
      return TRUE;
    }
  if (g_ascii_strncasecmp (name, "cuda:", 5) == 0) {
    choice->kind = YOLO_DEVICE_CUDA;
    choice->number = parse_number (name + 5);
  } else if (g_ascii_strncasecmp (name, "cpu:", 4) == 0) {
    choice->kind = YOLO_DEVICE_CPU;
    choice->number = parse_number (name + 4);
  }
  return choice->number >= 0;
}

/* Reads the devices that run one copy. */
static gboolean
parse_copy (const char *text, const char *copy, YoloDevices *devices, GError **error)
{
  g_auto (GStrv) names = g_strsplit (copy, "+", -1);

  if (g_strv_length (names) > YOLO_MAX_STAGES)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
        "device \"%.80s\" asks for a network in more than %d pieces", text, YOLO_MAX_STAGES);
  for (guint i = 0; i == 0 || names[i] != NULL; i++) {
    const char *name = names[i] != NULL ? g_strstrip (names[i]) : "";
    YoloDeviceChoice *choice = &devices->at[devices->n];

    if (devices->n == YOLO_MAX_DEVICES)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\" names more than %d devices", text, YOLO_MAX_DEVICES);
    if (!parse_one (name, choice))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\": \"%.40s\" is no device; " HOW, text, name);
    choice->joined = i > 0;
    devices->n++;
    if (names[i] == NULL)
      break;
  }
  return TRUE;
}

gboolean
yolo_devices_parse (const char *text, YoloDevices *devices, GError **error)
{
  g_auto (GStrv) copies = NULL;

  if (text == NULL || *text == '\0')
    text = "auto";
  *devices = (YoloDevices) { .n = 0 };
  copies = g_strsplit (text, ",", -1);
  for (guint i = 0; copies[i] != NULL; i++)
    if (!parse_copy (text, copies[i], devices, error))
      return FALSE;
  for (guint i = 0; i < devices->n && devices->n > 1; i++)
    if (devices->at[i].kind == YOLO_DEVICE_AUTO)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\" names auto beside other devices; " HOW, text);
  return TRUE;
}
