/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
set_error (GError **error, GFileError code, const char *text)
{
  g_set_error_literal (error, G_FILE_ERROR, (gint) code, text);
}

static void
set_error_errno (GError **error)
{
  int number = errno;

  set_error (error, g_file_error_from_errno (number), g_strerror (number));
}

static void
set_too_large (GError **error, gsize max)
{
  g_autofree char *size = g_format_size_full (max, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *text = g_strdup_printf ("is larger than %s", size);

  set_error (error, G_FILE_ERROR_NOSPC, text);
}

/* Reads to the end, or until `room` is full. G_MAXSIZE: failed, with errno. */
static gsize
read_all (int fd, char *to, gsize room)
{
  gsize n = 0;

  while (n < room) {
    gssize got = read (fd, to + n, room - n);

    if (got == 0)
      break;
    if (got > 0)
      n += (gsize) got;
    else if (errno != EINTR)
      return G_MAXSIZE;
  }
  return n;
}

static gboolean
same_state (const struct stat *a, const struct stat *b)
{
  return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec
      && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static char *
read_open (int fd, gsize max, gsize *size, GError **error)
{
  struct stat before, after;
  g_autofree char *bytes = NULL;
  gsize n;

  if (fstat (fd, &before) != 0) {
    set_error_errno (error);
    return NULL;
  }
  if (!S_ISREG (before.st_mode)) {
    if (S_ISDIR (before.st_mode))
      set_error (error, G_FILE_ERROR_ISDIR, "is a directory");
    else
      set_error (error, G_FILE_ERROR_NODEV, "is no regular file");
    return NULL;
  }
  if ((guint64) before.st_size > max) {
    set_too_large (error, max);
    return NULL;
  }
  /* One byte more, so that a file that grew is noticed, and one for the 0. */
  bytes = g_try_malloc ((gsize) before.st_size + 2);
  if (bytes == NULL) {
    set_error (error, G_FILE_ERROR_NOMEM, "is more than there is memory for");
    return NULL;
  }
  n = read_all (fd, bytes, (gsize) before.st_size + 1);
  if (n == G_MAXSIZE || fstat (fd, &after) != 0) {
    set_error_errno (error);
    return NULL;
  }
  if (n != (gsize) before.st_size || !same_state (&before, &after)) {
    set_error (
        error, G_FILE_ERROR_AGAIN, "changed while it was read; try again when it is complete");
    return NULL;
  }
  bytes[n] = '\0';
  *size = n;
  return g_steal_pointer (&bytes);
}

/* A pipe is not waited for, and no terminal becomes the process's own. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

char *
yolo_file_read (const char *path, gsize max, gsize *size, GError **error)
{
  int fd = open (path, OPEN_FLAGS);
  char *bytes;

  if (fd < 0) {
    set_error_errno (error);
    return NULL;
  }
  bytes = read_open (fd, max, size, error);
  close (fd);
  return bytes;
}

/* Opens one part of a path, which is no symbolic link, and closes where it lies. */
static int
open_part (int folder, const char *part, gboolean last, GError **error)
{
  int fd = openat (folder, part, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
  struct stat info;

  if (fd < 0) {
    int number = errno;
    if (fstatat (folder, part, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK (info.st_mode)) {
      set_error (
          error, G_FILE_ERROR_LOOP, "is or lies behind a symbolic link, which is not followed");
    } else {
      errno = number;
      set_error_errno (error);
    }
  }
  close (folder);
  return fd;
}

char *
yolo_file_read_below (const char *folder, const char *name, gsize max, gsize *size, GError **error)
{
  g_auto (GStrv) parts = NULL;
  char *bytes;
  int fd;

  if (strnlen (name, PATH_MAX) == PATH_MAX) {
    set_error (error, G_FILE_ERROR_NAMETOOLONG, "has too long a name");
    return NULL;
  }
  parts = g_strsplit (name, "/", -1);
  if (*name == '/' || g_strv_contains ((const char *const *) parts, "..")) {
    set_error (error, G_FILE_ERROR_PERM,
        "is a path that may lead out of the folder, which is not followed");
    return NULL;
  }
  fd = open (folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) {
    set_error_errno (error);
    return NULL;
  }
  for (guint i = 0; fd >= 0 && parts[i] != NULL; i++)
    fd = open_part (fd, *parts[i] != '\0' ? parts[i] : ".", parts[i + 1] == NULL, error);
  if (fd < 0)
    return NULL;
  bytes = read_open (fd, max, size, error);
  close (fd);
  return bytes;
}
