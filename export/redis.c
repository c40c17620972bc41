/* SPDX-License-Identifier: MIT */
/* Redis streams by hiredis: XADD, many under way at once, answered in order.
 * Source: redis.io/docs/latest/commands/xadd. */

#include "export/client.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

typedef struct {
  YoloClient client;
  char *host, *user, *password, *length;        /* length: of the stream; NULL: without end */
  int port;

  redisContext *context;        /* owned; NULL: not connected */
  gboolean connected;           /* the socket is */
  guint greetings;              /* answers to wait for before messages are sent */
  gboolean ready, unsent;       /* unsent: something is left in hiredis' buffer */
  guint64 first;                /* tag of the message that is answered next */
  gboolean begun;               /* a message was sent */
} Redis;

static gboolean
fail (Redis *redis, GError **error)
{
  return yolo_client_fail (error, redis->context->err == REDIS_ERR_IO && errno
      ? g_strerror (errno) : redis->context->errstr);
}

static void
redis_disconnect (YoloClient *client, gboolean good)
{
  Redis *redis = (Redis *) client;

  if (redis->context)
    redisFree (g_steal_pointer (&redis->context));
}

static void
redis_free (YoloClient *client)
{
  Redis *redis = (Redis *) client;

  redis_disconnect (client, FALSE);
  g_free (redis->host);
  g_free (redis->user);
  g_free (redis->password);
  g_free (redis->length);
  g_free (redis);
}

static YoloClient *
redis_open (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  Redis *redis;

  if (*location->topic == '\0') {
    g_set_error (error, G_URI_ERROR, G_URI_ERROR_BAD_PATH,
        "location \"%s\" names no stream: write redis://HOST/STREAM", options->location);
    return NULL;
  }
  redis = g_new0 (Redis, 1);
  redis->client.class = &yolo_client_redis;
  redis->host = g_strdup (location->host);
  redis->port = location->port ? (int) location->port : 6379;
  redis->user = g_strdup (options->user ? options->user : location->user);
  redis->password = g_strdup (options->password);
  if (options->max_length > 0)
    redis->length = g_strdup_printf ("%" G_GUINT64_FORMAT, options->max_length);
  return &redis->client;
}

static gboolean
redis_connect (YoloClient *client, GError **error)
{
  Redis *redis = (Redis *) client;

  redis_disconnect (client, FALSE);
  redis->connected = redis->ready = redis->begun = FALSE;
  redis->greetings = 0;
  errno = 0;
  redis->context = redisConnectNonBlock (redis->host, redis->port);
  if (redis->context == NULL)
    return yolo_client_fail (error, g_strerror (ENOMEM));
  return redis->context->err == 0 || fail (redis, error);
}

static gboolean
redis_is_ready (YoloClient *client)
{
  return ((Redis *) client)->ready;
}

static gboolean
write_some (Redis *redis, GError **error)
{
  int done = 0;

  errno = 0;
  if (redisBufferWrite (redis->context, &done) != REDIS_OK)
    return fail (redis, error);
  redis->unsent = !done;
  return TRUE;
}

/* The first command after the socket has connected. A server that loads its data answers PING
 * with an error. */
static gboolean
greet (Redis *redis, GError **error)
{
  int number = 0;
  socklen_t size = sizeof number;

  if (getsockopt (redis->context->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0 || number != 0)
    return yolo_client_fail (error, g_strerror (number ? number : errno));
  redis->connected = TRUE;
  if (redis->password) {
    const char *words[] = { "AUTH", redis->user, redis->password };

    if (redis->user)
      redisAppendCommandArgv (redis->context, 3, words, NULL);
    else
      redisAppendCommand (redis->context, "AUTH %s", redis->password);
    redis->greetings++;
  }
  redisAppendCommand (redis->context, "PING");
  redis->greetings++;
  return write_some (redis, error);
}

static gboolean
redis_send (YoloClient *client, const YoloMessage *message, guint64 tag, GError **error)
{
  Redis *redis = (Redis *) client;
  const char *words[10];
  gsize sizes[10];
  int n = 0;

  words[n++] = "XADD";
  words[n++] = message->topic;
  if (redis->length) {
    words[n++] = "MAXLEN";
    words[n++] = "~";
    words[n++] = redis->length;
  }
  words[n++] = "*";
  words[n++] = "key";
  words[n++] = message->key;
  words[n++] = "value";
  for (int i = 0; i < n; i++)
    sizes[i] = strlen (words[i]);
  sizes[n] = message->size;
  words[n++] = (const char *) message->body;

  if (!redis->begun)
    redis->first = tag;
  redis->begun = TRUE;
  if (redisAppendCommandArgv (redis->context, n, words, sizes) != REDIS_OK)
    return fail (redis, error);
  return write_some (redis, error);
}

static int
redis_fd (YoloClient *client, short *events)
{
  Redis *redis = (Redis *) client;

  *events = POLLIN | (redis->unsent || !redis->connected ? POLLOUT : 0);
  return redis->context->fd;
}

/* Takes an answer. What a server says that takes no command at present, or none of ours, ends the
 * connection, so that it is tried again later: full, loading, a replica, not permitted. */
static gboolean
take (Redis *redis, const redisReply *reply, GError **error)
{
  if (reply->type == REDIS_REPLY_ERROR)
    return yolo_client_fail (error, reply->str);
  if (redis->greetings == 0)
    redis->client.answer (redis->client.owner, redis->first++, NULL);
  else if (--redis->greetings == 0)
    redis->ready = TRUE;
  return TRUE;
}

static gboolean
read_some (Redis *redis, GError **error)
{
  gboolean good = TRUE;
  void *reply;

  errno = 0;
  if (redisBufferRead (redis->context) != REDIS_OK)
    return fail (redis, error);
  while (good && redisGetReplyFromReader (redis->context, &reply) == REDIS_OK && reply) {
    good = take (redis, reply, error);
    freeReplyObject (reply);
  }
  return good && (redis->context->err == 0 || fail (redis, error));
}

static gboolean
redis_process (YoloClient *client, GError **error)
{
  Redis *redis = (Redis *) client;
  struct pollfd fd = { .fd = redis->context->fd, .events = POLLIN | POLLOUT };

  poll (&fd, 1, 0);
  if (!redis->connected)
    return !(fd.revents & (POLLOUT | POLLERR | POLLHUP)) || greet (redis, error);
  if (redis->unsent && (fd.revents & POLLOUT) && !write_some (redis, error))
    return FALSE;
  return !(fd.revents & (POLLIN | POLLERR | POLLHUP)) || read_some (redis, error);
}

const YoloClientClass yolo_client_redis = {
  .schemes = (const char *const[]) { "redis", NULL },
  .open = redis_open,
  .connect = redis_connect,
  .is_ready = redis_is_ready,
  .send = redis_send,
  .fd = redis_fd,
  .process = redis_process,
  .disconnect = redis_disconnect,
  .free = redis_free,
};
