/* SPDX-License-Identifier: MIT */
/* A file is written under a hidden name in its folder and then renamed, so that
 * there are whole files only, whenever somebody looks or the process ends. The
 * hidden name is the same for all frames, so that the next run can remove it. */

#include "gst-plugin/yololabels.h"

#include "gst-plugin/yoloclaim.h"
#include "gst-plugin/yolorecord.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct _YoloLabels {
  char *pattern;
  char *hidden;                 /* name, without the folder, of a file that is being written */
  char *lock_path;
  int lock;                     /* fd of the file that stands for the pattern; -1: not open */
  YoloClaim *claim;
};

/* @number: an errno */
static gboolean
fail (const char *path, int number, GError **error)
{
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (number), "cannot write \"%s\": %s",
      path, g_strerror (number));
  return FALSE;
}

/* Opens the file that stands for the pattern and claims it. If the last holder
 * removes it in between, it stands for nothing, and a new one is opened. */
static gboolean
claim_pattern (YoloLabels *labels, const char *owner, GError **error)
{
  for (;;) {
    g_autoptr (GError) reason = NULL;
    struct stat status;

    labels->lock = g_open (labels->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (labels->lock < 0)
      return fail (labels->pattern, errno, error);
    labels->claim = yolo_claim_new (labels->lock, owner, &reason);
    if (labels->claim == NULL) {
      g_set_error (error, reason->domain, reason->code, "cannot write to \"%s\": %s",
          labels->pattern, reason->message);
      return FALSE;
    }
    if (fstat (labels->lock, &status) == 0 && status.st_nlink > 0)
      return TRUE;
    g_clear_pointer (&labels->claim, yolo_claim_free);
    close (labels->lock);
  }
}

YoloLabels *
yolo_labels_open (const char *pattern, const char *owner, GError **error)
{
  /* With the largest number, which has 20 digits, patterns of different widths, such
   * as %06d and %d, give the same name: those that can name the same file have the
   * same hidden files. */
  g_autofree char *widest = yolo_record_path (pattern, G_MAXUINT64);
  g_autofree char *name = g_path_get_basename (widest);
  g_autofree char *first = yolo_record_path (pattern, 0);
  g_autofree char *folder = g_path_get_dirname (first);
  g_autofree char *lock_name = g_strdup_printf (".yoloexport-%08x.lock", g_str_hash (name));
  g_autofree char *leftover = NULL;
  YoloLabels *labels = g_new0 (YoloLabels, 1);

  labels->pattern = g_strdup (pattern);
  labels->hidden = g_strdup_printf (".yoloexport-%08x.tmp", g_str_hash (name));
  labels->lock_path = g_build_filename (folder, lock_name, NULL);
  labels->lock = -1;
  if (!claim_pattern (labels, owner, error)) {
    yolo_labels_close (labels);
    return NULL;
  }
  leftover = g_build_filename (folder, labels->hidden, NULL);
  g_unlink (leftover);
  return labels;
}

static gboolean
write_all (int fd, const char *text, gsize size)
{
  while (size > 0) {
    const gssize n = write (fd, text, size);

    if (n < 0 && errno != EINTR)
      return FALSE;
    if (n > 0) {
      text += n;
      size -= n;
    }
  }
  return TRUE;
}

gboolean
yolo_labels_write (YoloLabels *labels, guint64 number, const char *text, gsize size, GError **error)
{
  g_autofree char *path = yolo_record_path (labels->pattern, number);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *hidden = g_build_filename (folder, labels->hidden, NULL);
  const int fd = g_open (hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  gboolean good;
  int reason;

  if (fd < 0)
    return fail (path, errno, error);
  good = write_all (fd, text, size);
  reason = errno;
  /* a network file system reports here what it could not write */
  if (close (fd) < 0 && errno != EINTR && good) {
    good = FALSE;
    reason = errno;
  }
  if (good && g_rename (hidden, path) < 0) {
    good = FALSE;
    reason = errno;
  }
  if (good)
    return TRUE;
  g_unlink (hidden);
  return fail (path, reason, error);
}

void
yolo_labels_close (YoloLabels *labels)
{
  if (labels == NULL)
    return;
  if (labels->claim)
    g_unlink (labels->lock_path);
  yolo_claim_free (labels->claim);
  if (labels->lock >= 0)
    close (labels->lock);
  g_free (labels->lock_path);
  g_free (labels->hidden);
  g_free (labels->pattern);
  g_free (labels);
}
