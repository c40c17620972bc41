/* SPDX-License-Identifier: MIT */
#include "pipelines/server/guard.h"

#include <string.h>

#include <crypt.h>
#include <gio/gio.h>

#define MAX_ADDRESSES 1024      /* that are remembered at once */
#define MAX_MISTAKES 10         /* wrong passwords at once; then one a second */
#define MAX_CREDENTIALS 1000    /* bytes; longer ones are nobody's */

/* A bucket that fills by a second's allowance a second: so many may come at once. */
typedef struct {
  double tokens;
  gint64 last;                  /* us, monotonic */
} Bucket;

struct _YoloGuard {
  char *token, *login, *hash;   /* NULL: not asked for */
  char **hosts;
  double rate;                  /* requests a second */
  GHashTable *buckets;          /* address: Bucket */
  Bucket mistakes;
  char *known;                  /* digest of the credentials that were right last: hashing a
                                   password takes milliseconds */
};

YoloGuard *
yolo_guard_new (const YoloValues *server)
{
  YoloGuard *guard = g_new0 (YoloGuard, 1);
  const char *token = yolo_values_text (server, YOLO_KEY_TOKEN);

  if (token == NULL)
    token = yolo_values_text (server, YOLO_KEY_TOKEN_FILE);
  guard->token = g_strdup (token);
  guard->login = g_strdup (yolo_values_text (server, YOLO_KEY_LOGIN));
  guard->hash = g_strdup (yolo_values_text (server, YOLO_KEY_LOGIN_HASH));
  guard->hosts = g_strdupv (server->value[YOLO_KEY_HOSTS].text);
  guard->rate = yolo_values_number (server, YOLO_KEY_MAX_REQUESTS);
  guard->buckets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  guard->mistakes = (Bucket) { MAX_MISTAKES, g_get_monotonic_time () };
  return guard;
}

void
yolo_guard_free (YoloGuard *guard)
{
  if (guard == NULL)
    return;
  g_free (guard->token);
  g_free (guard->login);
  g_free (guard->hash);
  g_free (guard->known);
  g_strfreev (guard->hosts);
  g_hash_table_unref (guard->buckets);
  g_free (guard);
}

gboolean
yolo_guard_is_closed (const YoloGuard *guard)
{
  return guard->token != NULL || guard->hash != NULL;
}

/* Fills a bucket for the time that has passed; whether it has a token left. */
static gboolean
fill (Bucket *bucket, double rate, double most)
{
  const gint64 now = g_get_monotonic_time ();

  bucket->tokens = MIN (bucket->tokens + (now - bucket->last) / 1e6 * rate, most);
  bucket->last = now;
  return bucket->tokens >= 1;
}

static gboolean
is_idle (gpointer address, gpointer value, gpointer user_data)
{
  return ((Bucket *) value)->last < g_get_monotonic_time () - 2 * G_USEC_PER_SEC;
}

gboolean
yolo_guard_is_slow_enough (YoloGuard *guard, const char *address)
{
  Bucket *bucket = g_hash_table_lookup (guard->buckets, address);

  if (bucket == NULL) {
    if (g_hash_table_size (guard->buckets) >= MAX_ADDRESSES)
      g_hash_table_foreach_remove (guard->buckets, is_idle, NULL);
    if (g_hash_table_size (guard->buckets) >= MAX_ADDRESSES)
      return FALSE;
    bucket = g_new (Bucket, 1);
    *bucket = (Bucket) { guard->rate, g_get_monotonic_time () };
    g_hash_table_insert (guard->buckets, g_strdup (address), bucket);
  }
  if (!fill (bucket, guard->rate, guard->rate))
    return FALSE;
  bucket->tokens--;
  return TRUE;
}

/* Compares in a time that does not tell where the texts differ. */
static gboolean
is_equal (const char *a, const char *b)
{
  const gsize n = strlen (a);
  guint differ = n != strlen (b);

  for (gsize i = 0; i < n && !(differ && i >= strlen (b)); i++)
    differ |= (guint8) a[i] ^ (guint8) b[i];
  return differ == 0;
}

static gboolean
is_password (const YoloGuard *guard, const char *user, const char *password)
{
  g_autofree struct crypt_data *data = NULL;
  const char *hash;

  if (guard->token != NULL && is_equal (password, guard->token))
    return TRUE;
  if (guard->hash == NULL || !is_equal (user, guard->login))
    return FALSE;
  data = g_new0 (struct crypt_data, 1);
  hash = crypt_r (password, guard->hash, data);
  return hash != NULL && hash[0] != '*' && is_equal (hash, guard->hash);
}

static gboolean
is_known (const YoloGuard *guard, const char *authorization)
{
  g_autofree char *text = NULL;
  char *colon;
  gsize length;

  if (g_ascii_strncasecmp (authorization, "Bearer ", 7) == 0)
    return guard->token != NULL && is_equal (authorization + 7, guard->token);
  if (g_ascii_strncasecmp (authorization, "Basic ", 6) != 0)
    return FALSE;
  text = (char *) g_base64_decode (authorization + 6, &length);
  /* The decoder gives room for a 0 behind what it writes, and does not write it. */
  text = g_realloc (text, length + 1);
  text[length] = '\0';
  colon = strchr (text, ':');
  if (colon == NULL)
    return FALSE;
  *colon = '\0';
  return is_password (guard, text, colon + 1);
}

YoloGuardAnswer
yolo_guard_check (YoloGuard *guard, const char *authorization)
{
  g_autofree char *digest = NULL;

  if (!yolo_guard_is_closed (guard))
    return YOLO_GUARD_KNOWN;
  if (authorization == NULL || strlen (authorization) > MAX_CREDENTIALS)
    return YOLO_GUARD_UNKNOWN;
  digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, authorization, -1);
  if (guard->known != NULL && is_equal (digest, guard->known))
    return YOLO_GUARD_KNOWN;
  if (!fill (&guard->mistakes, 1, MAX_MISTAKES))
    return YOLO_GUARD_TIRED;
  if (!is_known (guard, authorization)) {
    guard->mistakes.tokens--;
    return YOLO_GUARD_UNKNOWN;
  }
  g_free (guard->known);
  guard->known = g_steal_pointer (&digest);
  return YOLO_GUARD_KNOWN;
}

/* The name in "name", "name:80", "[::1]" or "[::1]:80". (transfer full) */
static char *
name_of (const char *host)
{
  const char *end = host[0] == '[' ? strchr (host, ']') : strrchr (host, ':');

  if (host[0] == '[')
    return end != NULL ? g_strndup (host + 1, end - host - 1) : g_strdup ("");
  return end != NULL ? g_strndup (host, end - host) : g_strdup (host);
}

gboolean
yolo_guard_is_host (const YoloGuard *guard, const char *host)
{
  g_autofree char *name = NULL;

  if (host == NULL)
    return FALSE;
  name = name_of (host);
  /* No name leads to an address that is given as such. */
  if (g_ascii_strcasecmp (name, "localhost") == 0 || g_hostname_is_ip_address (name))
    return TRUE;
  for (guint i = 0; guard->hosts != NULL && guard->hosts[i] != NULL; i++)
    if (g_ascii_strcasecmp (name, guard->hosts[i]) == 0)
      return TRUE;
  return FALSE;
}

gboolean
yolo_guard_is_origin (const char *origin, const char *host)
{
  const char *slashes = strstr (origin, "://");

  return slashes != NULL && host != NULL && g_ascii_strcasecmp (slashes + 3, host) == 0;
}
