/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloclaim.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>

struct _YoloClaim {
  int fd;
  dev_t device;                 /* with the inode the same for all names of a file */
  ino_t inode;
  char *owner;
};

/* The claims of the process. They are few, and `lock`, which guards them, is taken only
 * when a file is opened or closed. */
static GMutex lock;
static GList *claims;

static const YoloClaim *
find_claim (const struct stat *status)
{
  const GList *l;

  for (l = claims; l; l = l->next) {
    const YoloClaim *claim = l->data;

    if (claim->device == status->st_dev && claim->inode == status->st_ino)
      return claim;
  }
  return NULL;
}

YoloClaim *
yolo_claim_new (int fd, const char *owner, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lock);
  const YoloClaim *other;
  struct stat status;
  YoloClaim *claim;

  if (fstat (fd, &status) < 0) {
    g_set_error_literal (error, G_FILE_ERROR, g_file_error_from_errno (errno), g_strerror (errno));
    return NULL;
  }
  other = find_claim (&status);
  if (other) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s writes it already", other->owner);
    return NULL;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "another process writes it already");
    return NULL;
  }
  claim = g_new (YoloClaim, 1);
  *claim = (YoloClaim) { fd, status.st_dev, status.st_ino, g_strdup (owner) };
  claims = g_list_prepend (claims, claim);
  return claim;
}

void
yolo_claim_free (YoloClaim *claim)
{
  g_autoptr (GMutexLocker) locker = NULL;

  if (claim == NULL)
    return;
  locker = g_mutex_locker_new (&lock);
  claims = g_list_remove (claims, claim);
  flock (claim->fd, LOCK_UN);
  g_free (claim->owner);
  g_free (claim);
}
