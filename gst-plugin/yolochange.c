/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolochange.h"

#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/yolomessage.h"

#define GST_CAT_DEFAULT yolo_infer_debug

struct _YoloChange {
  YoloLoad *running;            /* borrowed */

  GMutex lock;                  /* held for no call of anybody */
  gboolean started;
  gchar *wanted;                /* owned; the file to load next; NULL: none */
  gboolean loading;             /* the thread has not found `wanted` to be NULL */
  GThread *thread;              /* of the last load; NULL: none, or joined */
  YoloLoad *ready;              /* owned; written under the lock, read by atomic access too */
};

YoloChange *
yolo_change_new (YoloLoad *running)
{
  YoloChange *change = g_new0 (YoloChange, 1);

  change->running = running;
  g_mutex_init (&change->lock);
  return change;
}

void
yolo_change_free (YoloChange *change)
{
  if (change == NULL)
    return;
  g_mutex_clear (&change->lock);
  g_free (change);
}

static void
load_free (YoloLoad *load)
{
  if (load == NULL)
    return;
  yolo_load_stop (load);
  g_free (load);
}

/* NULL: it cannot be loaded, and a warning has said so. */
static YoloLoad *
load_file (YoloChange *change, const gchar *file)
{
  const YoloLoad *running = change->running;
  YoloLoad *load = g_new (YoloLoad, 1);
  g_autoptr (GstObject) context = yolo_load_ref_context (change->running);
  g_autoptr (GError) error = NULL;

  GST_INFO_OBJECT (running->element, "loading %s beside the model that runs", file);
  yolo_load_init (load, running->element, running->settings, running->func);
  if (yolo_load_start (load, file, context, &error))
    return load;
  yolo_message_kept (GST_ELEMENT (running->element), error, file);
  load_free (load);
  return NULL;
}

static gpointer
run (gpointer data)
{
  YoloChange *change = data;

  for (;;) {
    g_autofree gchar *file = NULL;
    YoloLoad *load, *replaced;

    g_mutex_lock (&change->lock);
    file = g_steal_pointer (&change->wanted);
    change->loading = file != NULL;
    g_mutex_unlock (&change->lock);
    if (file == NULL)
      return NULL;
    load = load_file (change, file);
    if (load == NULL)
      continue;
    g_mutex_lock (&change->lock);
    replaced = change->ready;
    g_atomic_pointer_set (&change->ready, load);
    g_mutex_unlock (&change->lock);
    load_free (replaced);
  }
}

void
yolo_change_start (YoloChange *change)
{
  g_mutex_lock (&change->lock);
  change->started = TRUE;
  g_mutex_unlock (&change->lock);
}

/* Whether the file is said by more than model-file, which alone can change; else a warning
 * says so. */
static gboolean
is_fixed (YoloChange *change)
{
  YoloLoad *running = change->running;
  gboolean fixed;

  GST_OBJECT_LOCK (running->element);
  fixed = running->settings->engine_id != NULL || yolo_settings_is_calibrating (running->settings);
  GST_OBJECT_UNLOCK (running->element);
  if (fixed)
    GST_ELEMENT_WARNING (running->element, LIBRARY, SETTINGS,
        ("model-file cannot change while the element runs with engine-id or calibrate: set it in "
         "the state NULL or READY"),
        ("model-file stays as it was"));
  return fixed;
}

/* Under the lock. *error is set where no thread can be started. */
static void
begin (YoloChange *change, const gchar *file, GError **error)
{
  g_free (change->wanted);
  change->wanted = g_strdup (file != NULL ? file : "");
  if (!change->loading) {
    /* it has left its loop, and takes no lock any more */
    if (change->thread != NULL)
      g_thread_join (change->thread);
    change->thread = g_thread_try_new ("yolo-change", run, change, error);
    change->loading = change->thread != NULL;
  }
}

gboolean
yolo_change_ask (YoloChange *change, const gchar *file)
{
  g_autoptr (GError) error = NULL;
  gboolean started;

  g_mutex_lock (&change->lock);
  started = change->started;
  g_mutex_unlock (&change->lock);
  if (!started)
    return FALSE;
  if (is_fixed (change))
    return TRUE;
  g_mutex_lock (&change->lock);
  /* the element may have been stopped meanwhile */
  started = change->started;
  if (started)
    begin (change, file, &error);
  g_mutex_unlock (&change->lock);
  if (error != NULL)
    yolo_message_kept (GST_ELEMENT (change->running->element), error, file);
  return started;
}

gboolean
yolo_change_is_ready (YoloChange *change)
{
  return g_atomic_pointer_get (&change->ready) != NULL;
}

static YoloLoad *
take (YoloChange *change)
{
  YoloLoad *ready;

  g_mutex_lock (&change->lock);
  ready = change->ready;
  g_atomic_pointer_set (&change->ready, NULL);
  g_mutex_unlock (&change->lock);
  return ready;
}

void
yolo_change_apply (YoloChange *change)
{
  YoloLoad *ready = take (change);

  if (ready == NULL)
    return;
  yolo_load_replace (change->running, ready);
  g_free (ready);
}

void
yolo_change_stop (YoloChange *change)
{
  GThread *thread;

  g_mutex_lock (&change->lock);
  change->started = FALSE;
  g_clear_pointer (&change->wanted, g_free);
  thread = g_steal_pointer (&change->thread);
  g_mutex_unlock (&change->lock);
  if (thread != NULL)
    g_thread_join (thread);
  load_free (take (change));
}
