/* SPDX-License-Identifier: MIT */
#include "engine/devices.h"

#include "base/error.h"

#include <string.h>

#define HOW "use auto, or cpu, cuda, cuda:N and reference with commas between, as in cuda:0,cuda:1"

/* The number behind "cuda:", of digits alone and at most G_MAXINT; -1: it is none. */
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
  if (g_ascii_strncasecmp (name, "cuda:", 5) != 0)
    return FALSE;
  choice->kind = YOLO_DEVICE_CUDA;
  choice->number = parse_number (name + 5);
  return choice->number >= 0;
}

gboolean
yolo_devices_parse (const char *text, YoloDevices *devices, GError **error)
{
  g_auto (GStrv) names = NULL;

  if (text == NULL || *text == '\0')
    text = "auto";
  *devices = (YoloDevices) { .n = 0 };
  if (strchr (text, '+') != NULL)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
        "device \"%.80s\" asks for a network in pieces on several devices, which is not built; "
        "name devices with commas between, each of which runs the whole network", text);

  names = g_strsplit (text, ",", -1);
  for (guint i = 0; names[i] != NULL; i++) {
    const char *name = g_strstrip (names[i]);

    if (i == YOLO_MAX_DEVICES)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\" names more than %d devices", text, YOLO_MAX_DEVICES);
    if (!parse_one (name, &devices->at[i]))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\": \"%.40s\" is no device; " HOW, text, name);
    devices->n = i + 1;
  }
  for (guint i = 0; i < devices->n && devices->n > 1; i++)
    if (devices->at[i].kind == YOLO_DEVICE_AUTO)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_DEVICE,
          "device \"%.80s\" names auto beside other devices; " HOW, text);
  return TRUE;
}
