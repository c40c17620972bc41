/* SPDX-License-Identifier: MIT */
/* Files are read whole or refused, whatever they are and whoever writes to them. */

#include "base/file.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder;

static char *
in_folder (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static void
check_read (const char *content, gsize length, gsize max)
{
  g_autofree char *path = in_folder ("file");
  g_autoptr (GError) error = NULL;
  g_autofree char *bytes = NULL;
  gsize size = 77;

  g_assert_true (g_file_set_contents (path, content, (gssize) length, NULL));
  bytes = yolo_file_read (path, max, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (bytes, size, content, length);
  g_assert_cmpint (bytes[size], ==, '\0');
  g_unlink (path);
}

static void
check_refused (const char *path, gsize max, GFileError code, const char *says)
{
  g_autoptr (GError) error = NULL;
  gsize size;

  g_assert_null (yolo_file_read (path, max, &size, &error));
  g_assert_error (error, G_FILE_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, says));
}

static void
test_read (void)
{
  g_autofree char *large = g_malloc0 (3000000);

  memset (large, 'x', 3000000);
  check_read ("", 0, 100);
  check_read ("", 0, 0);
  check_read ("abc", 3, 3);
  check_read ("a\0c\n", 4, 100);
  check_read (large, 3000000, 3000000);
}

static void
test_refused (void)
{
  g_autofree char *path = in_folder ("file"), *pipe = in_folder ("pipe"),
                  *secret = in_folder ("secret");

  g_assert_true (g_file_set_contents (path, "abcd", 4, NULL));
  check_refused (path, 3, G_FILE_ERROR_NOSPC, "larger than 3");
  g_assert_cmpint (truncate (path, (off_t) 1 << 40), ==, 0);
  check_refused (path, (gsize) 1 << 31, G_FILE_ERROR_NOSPC, "larger than 2.0");
  g_unlink (path);
  check_refused (path, 100, G_FILE_ERROR_NOENT, "No such file");
  check_refused (folder, 100, G_FILE_ERROR_ISDIR, "is a directory");
  check_refused ("/dev/zero", 100, G_FILE_ERROR_NODEV, "no regular file");
  /* nobody writes to it: it would wait for ever */
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  check_refused (pipe, 100, G_FILE_ERROR_NODEV, "no regular file");
  g_unlink (pipe);
  if (geteuid () != 0) {        /* root reads everything */
    g_assert_true (g_file_set_contents (secret, "abcd", 4, NULL));
    g_assert_cmpint (g_chmod (secret, 0), ==, 0);
    check_refused (secret, 100, G_FILE_ERROR_ACCES, "denied");
    g_unlink (secret);
  }
}

typedef struct {
  const char *path;
  gint stop;                    /* atomic */
} Writer;

/* Cuts the file short and fills it again, as a copy over it does. */
static gpointer
rewrite (gpointer data)
{
  Writer *writer = data;
  g_autofree char *part = g_malloc (1 << 20);

  memset (part, 'y', 1 << 20);
  while (!g_atomic_int_get (&writer->stop)) {
    FILE *file = fopen (writer->path, "w");
    g_assert_nonnull (file);
    for (guint i = 0; i < 4; i++)
      g_assert_cmpuint (fwrite (part, 1, 1 << 20, file), ==, 1 << 20);
    fclose (file);
  }
  return NULL;
}

static void
test_changes (void)
{
  g_autofree char *path = in_folder ("changing");
  Writer writer = { path, 0 };
  GThread *thread;
  guint refused = 0;

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  thread = g_thread_new ("writer", rewrite, &writer);
  for (guint i = 0; i < 300; i++) {
    g_autoptr (GError) error = NULL;
    gsize size = 0;
    g_autofree char *bytes = yolo_file_read (path, 64 << 20, &size, &error);

    g_assert_true ((bytes == NULL) == (error != NULL));
    if (error != NULL)
      g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN);
    refused += error != NULL;
    for (gsize k = 0; k < size; k += 4096)
      g_assert_cmpint (bytes[k], ==, 'y');
  }
  g_atomic_int_set (&writer.stop, 1);
  g_thread_join (thread);
  g_test_message ("%u of 300 refused", refused);
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("yolo-file-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/file/read", test_read);
  g_test_add_func ("/file/refused", test_refused);
  g_test_add_func ("/file/changes", test_changes);
  status = g_test_run ();
  g_rmdir (folder);
  g_free (folder);
  return status;
}
