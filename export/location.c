/* SPDX-License-Identifier: MIT */
/* GLib's GUri has no lists of hosts, which Kafka's users write. */

#include "export/location.h"

#include <string.h>

gboolean
yolo_location_is_uri (const char *text)
{
  const char *at = text;

  if (!g_ascii_isalpha (*at))
    return FALSE;
  while (g_ascii_isalnum (*at) || *at == '+' || *at == '-' || *at == '.')
    at++;
  return g_str_has_prefix (at, "://");
}

static gboolean
fail (GError **error, GUriError code, const char *text, const char *why)
{
  g_set_error (error, G_URI_ERROR, code, "location \"%s\" %s", text, why);
  return FALSE;
}

/* Splits "host:port" or "[address]:port". */
static gboolean
parse_host (YoloLocation *location, const char *text, GError **error)
{
  const gsize length = strcspn (location->hosts, ",");
  g_autofree char *first = g_strndup (location->hosts, length);
  char *end = first[0] == '[' ? strchr (first, ']') : NULL;
  char *colon = strchr (end ? end : first, ':');
  guint64 port;

  if (colon) {
    *colon = '\0';
    if (!g_ascii_string_to_unsigned (colon + 1, 10, 1, 65535, &port, NULL))
      return fail (error, G_URI_ERROR_BAD_PORT, text,
          "has a port that is no number from 1 to 65535");
    location->port = (guint) port;
  }
  if (end && end[1] != '\0')
    return fail (error, G_URI_ERROR_BAD_HOST, text,
        "has something behind the brackets of an IPv6 address that is no port");
  if (end) {
    *end = '\0';
    location->host = g_strdup (first + 1);
  } else {
    location->host = g_strdup (first);
  }
  if (location->host[0] == '\0' || strpbrk (location->host, " []"))
    return fail (error, G_URI_ERROR_BAD_HOST, text,
        "names no host: write SCHEME://HOST/TOPIC, an IPv6 address in brackets");
  return TRUE;
}

/* @user: what stands in front of the host's @ */
static gboolean
parse_user (YoloLocation *location, const char *user, const char *text, GError **error)
{
  if (strchr (user, ':')) {
    g_set_error_literal (error, G_URI_ERROR, G_URI_ERROR_BAD_PASSWORD,
        "the location holds a password, which graphs, logs and lists of processes would show: "
        "write it into a file and name that in password-file, or set the environment variable "
        "YOLO_EXPORT_PASSWORD");
    return FALSE;
  }
  location->user = g_uri_unescape_string (user, NULL);
  if (location->user == NULL)
    return fail (error, G_URI_ERROR_BAD_USER, text, "has a user with a bad escape");
  return TRUE;
}

static gboolean
parse (YoloLocation *location, const char *text, GError **error)
{
  const char *authority = strstr (text, "://") + 3;
  g_autofree char *host = g_strndup (authority, strcspn (authority, "/"));
  const char *topic = authority + strlen (host);
  char *at = strrchr (host, '@');

  location->scheme = g_ascii_strdown (text, authority - 3 - text);
  if (at) {
    *at = '\0';
    if (!parse_user (location, host, text, error))
      return FALSE;
  }
  location->hosts = g_strdup (at ? at + 1 : host);
  if (!parse_host (location, text, error))
    return FALSE;
  location->topic = g_uri_unescape_string (*topic ? topic + 1 : "", NULL);
  if (location->topic == NULL || !g_utf8_validate (location->topic, -1, NULL))
    return fail (error, G_URI_ERROR_BAD_PATH, text,
        "has a topic with a bad escape, or one that is no UTF-8");
  return TRUE;
}

YoloLocation *
yolo_location_parse (const char *text, GError **error)
{
  YoloLocation *location;

  if (!yolo_location_is_uri (text)) {
    fail (error, G_URI_ERROR_BAD_SCHEME, text, "is no URI: write SCHEME://HOST/TOPIC");
    return NULL;
  }
  location = g_new0 (YoloLocation, 1);
  if (parse (location, text, error))
    return location;
  yolo_location_free (location);
  return NULL;
}

void
yolo_location_free (YoloLocation *location)
{
  if (location == NULL)
    return;
  g_free (location->scheme);
  g_free (location->user);
  g_free (location->host);
  g_free (location->hosts);
  g_free (location->topic);
  g_free (location);
}
