/* SPDX-License-Identifier: MIT */
/* Each record is one write(2): what was seen is in the file when the frame leaves,
 * so that somebody who reads along gets it at once and nothing is lost if the
 * process dies. This costs some microseconds a frame. */

#include "gst-plugin/yolooutput.h"

#include "gst-plugin/yoloclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <gst/gst.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct _YoloOutput {
  char *name;
  int fd;
  YoloClaim *claim;             /* NULL: a device or stdout, which are everybody's */
  gboolean is_file;             /* can be overwritten and cut */
  const YoloFraming *framing;
  off_t end;                    /* where the last record ends in a file, bytes */
  gboolean begun;               /* the header is written */
  gboolean finished;            /* the trailer is written, or a write has failed */
  guint64 n_records;            /* since the header */
  GstClockTime timeout;         /* how long to wait for a reader that takes nothing */
  GString *bytes;               /* to write; kept to save an allocation a frame */
  GstPoll *poll;                /* waits for a reader; NULL: a file */
};

/* @number: an errno */
static gboolean
fail (YoloOutput *output, int number, GError **error)
{
  const char *reason = number == ENXIO ? "no process reads it"
      : number == EBADF ? "it is closed"
      : number == ETIMEDOUT ? "its reader takes nothing" : g_strerror (number);

  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (number), "cannot write to \"%s\": %s",
      output->name, reason);
  return FALSE;
}

/* write(2) without SIGPIPE, by which a library must not end the process: the signal is
 * blocked in this thread while it writes, and taken back if the write raised it. */
static gssize
write_quietly (int fd, const char *data, gsize size)
{
  static const struct timespec now = { 0, 0 };
  sigset_t sigpipe, pending, before;
  gssize n;
  int number;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  sigpending (&pending);
  pthread_sigmask (SIG_BLOCK, &sigpipe, &before);
  n = write (fd, data, size);
  number = errno;
  if (n < 0 && number == EPIPE && !sigismember (&pending, SIGPIPE))
    sigtimedwait (&sigpipe, NULL, &now);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  errno = number;
  return n;
}

static gboolean
fail_to_wait (YoloOutput *output, GError **error)
{
  if (output->timeout == 0)
    return fail (output, ETIMEDOUT, error);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
      "cannot write to \"%s\": its reader has taken nothing for %.3g seconds; set write-timeout "
      "to 0 to wait for it without end",
      output->name, (gdouble) output->timeout / GST_SECOND);
  return FALSE;
}

/* Waits before each write until the pipe is ready, which yolo_output_set_flushing() can
 * end: then the pipe takes 4096 bytes without blocking. Source: pipe(7), PIPE_BUF. */
static gboolean
write_stream (YoloOutput *output, const char *data, gsize size, GError **error)
{
  while (size > 0) {
    const gint ready = gst_poll_wait (output->poll, output->timeout);
    const gssize n = ready > 0 ? write_quietly (output->fd, data, MIN (size, 4096)) : ready;

    if (ready == 0)
      return fail_to_wait (output, error);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (n < 0)
      return fail (output, errno == EBUSY ? EINTR : errno, error);
    data += n;
    size -= n;
  }
  return TRUE;
}

static gboolean
write_at (YoloOutput *output, const char *data, gsize size, off_t offset, GError **error)
{
  while (size > 0) {
    const gssize n = pwrite (output->fd, data, size, offset);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (output, errno, error);
    data += n;
    size -= n;
    offset += n;
  }
  return TRUE;
}

/* FALSE with @error if the file has no name any more: what is written to it is lost. */
static gboolean
check_not_removed (YoloOutput *output, GError **error)
{
  struct stat status;

  if (fstat (output->fd, &status) < 0)
    return fail (output, errno, error);
  if (status.st_nlink > 0)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "cannot write to \"%s\": it was removed",
      output->name);
  return FALSE;
}

/* Writes output->bytes over the trailer that stands behind the last record, and the
 * trailer behind the new bytes. */
static gboolean
write_file (YoloOutput *output, GError **error)
{
  const char *trailer = output->framing->trailer;
  const gsize size = output->bytes->len;

  g_string_append (output->bytes, trailer);
  if (!write_at (output, output->bytes->str, output->bytes->len, output->end, error)) {
    /* no half records */
    if (ftruncate (output->fd, output->end) == 0 && output->end > 0)
      write_at (output, trailer, strlen (trailer), output->end, NULL);
    return FALSE;
  }
  output->end += size;
  return check_not_removed (output, error);
}

static gboolean
write_bytes (YoloOutput *output, GError **error)
{
  if (output->is_file ? write_file (output, error)
      : write_stream (output, output->bytes->str, output->bytes->len, error))
    return TRUE;
  output->finished = TRUE;
  return FALSE;
}

gboolean
yolo_output_write (YoloOutput *output, const char *record, gsize size, GError **error)
{
  g_string_assign (output->bytes, output->begun ? "" : output->framing->header);
  if (output->n_records > 0)
    g_string_append (output->bytes, output->framing->separator);
  g_string_append_len (output->bytes, record, size);
  output->begun = TRUE;
  output->finished = FALSE;
  output->n_records++;
  return write_bytes (output, error);
}

gboolean
yolo_output_finish (YoloOutput *output, GError **error)
{
  if (output->finished)
    return TRUE;
  g_string_assign (output->bytes, output->begun ? "" : output->framing->header);
  output->begun = output->is_file;
  output->finished = TRUE;
  if (!output->is_file) {
    g_string_append (output->bytes, output->framing->trailer);
    output->n_records = 0;
  }
  return write_bytes (output, error);
}

/* In a process that is started with stdout closed, the next file that is opened gets
 * the number of stdout, a socket of GStreamer's for example. So this is looked at when
 * the plugin is loaded; and a number 1 that is closed on exec was opened since the
 * start, for an inherited one cannot be. */
static gboolean stdout_is_closed;

__attribute__ ((constructor))
static void
look_at_stdout (void)
{
  const int flags = fcntl (STDOUT_FILENO, F_GETFD);

  stdout_is_closed = flags < 0 || (flags & FD_CLOEXEC);
}

static int
open_stdout (void)
{
  if (stdout_is_closed) {
    errno = EBADF;
    return -1;
  }
  return fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static void
output_free (YoloOutput *output)
{
  if (output->poll)
    gst_poll_free (output->poll);
  yolo_claim_free (output->claim);
  if (output->fd >= 0)
    close (output->fd);
  g_string_free (output->bytes, TRUE);
  g_free (output->name);
  g_free (output);
}

/* Opens without cutting anything off yet, since somebody else may be writing the file;
 * and without blocking, so that a FIFO without a reader is refused and not waited for. */
static int
open_location (const char *location)
{
  return g_open (location, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
}

static gboolean
claim (YoloOutput *output, const char *owner, GError **error)
{
  g_autoptr (GError) reason = NULL;

  output->claim = yolo_claim_new (output->fd, owner, &reason);
  if (output->claim == NULL)
    g_set_error (error, reason->domain, reason->code, "cannot write to \"%s\": %s", output->name,
        reason->message);
  return output->claim != NULL;
}

static void
init_poll (YoloOutput *output)
{
  GstPollFD fd = GST_POLL_FD_INIT;

  output->poll = gst_poll_new (TRUE);
  fd.fd = output->fd;
  gst_poll_add_fd (output->poll, &fd);
  gst_poll_fd_ctl_write (output->poll, &fd, TRUE);
}

/* Claims what was opened, where it can have one writer only, and empties a file. */
static gboolean
begin (YoloOutput *output, gboolean is_stdout, const char *owner, GError **error)
{
  struct stat status;

  if (output->fd < 0 || fstat (output->fd, &status) < 0)
    return fail (output, errno, error);
  /* others may write to the file that stdout is, too: nothing is overwritten there */
  output->is_file = !is_stdout && S_ISREG (status.st_mode);
  if ((output->is_file || (!is_stdout && S_ISFIFO (status.st_mode)))
      && !claim (output, owner, error))
    return FALSE;
  if (!output->is_file) {
    init_poll (output);
    return TRUE;
  }
  if (ftruncate (output->fd, 0) < 0)
    return fail (output, errno, error);
  return yolo_output_finish (output, error);
}

YoloOutput *
yolo_output_open (const char *location, const char *owner, const YoloFraming *framing,
    GstClockTime timeout, GError **error)
{
  const gboolean is_stdout = location == NULL || strcmp (location, "-") == 0;
  YoloOutput *output = g_new0 (YoloOutput, 1);

  output->name = g_strdup (is_stdout ? "standard output" : location);
  output->framing = framing;
  output->bytes = g_string_new (NULL);
  output->timeout = timeout;
  output->fd = is_stdout ? open_stdout () : open_location (location);
  if (!begin (output, is_stdout, owner, error)) {
    output_free (output);
    return NULL;
  }
  return output;
}

const char *
yolo_output_name (YoloOutput *output)
{
  return output->name;
}

void
yolo_output_set_flushing (YoloOutput *output, gboolean flushing)
{
  if (output->poll)
    gst_poll_set_flushing (output->poll, flushing);
}

gboolean
yolo_output_close (YoloOutput *output, GError **error)
{
  gboolean good;

  /* a reader that is not there now will not be waited for */
  output->timeout = 0;
  yolo_output_set_flushing (output, FALSE);
  good = yolo_output_finish (output, error);

  yolo_claim_free (g_steal_pointer (&output->claim));
  /* a network file system reports here what it could not write */
  if (close (output->fd) < 0 && errno != EINTR && good)
    good = fail (output, errno, error);
  output->fd = -1;
  output_free (output);
  return good;
}
