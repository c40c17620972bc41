/* SPDX-License-Identifier: MIT */
/* Secrets: where they come from, and that they are shown nowhere. */

#ifndef YOLO_SERVER_SECRET_H
#define YOLO_SERVER_SECRET_H

#include <glib.h>

G_BEGIN_DECLS

/**
 * yolo_secret_expand:
 * @text: of a settings file
 * @expanded: (out): whether there was anything to put in
 *
 * Puts the environment's variables in for `${NAME}`; `$$` is one dollar. What they hold is
 * remembered as a secret.
 *
 * Returns: (transfer full): the text, or NULL with @error: a variable that is not set
 */
char *yolo_secret_expand (const char *text, gboolean *expanded, GError **error);

/* The first line of a file, remembered as a secret. (transfer full) NULL with @error: the file
 * cannot be read, is longer than 4096 bytes, or its first line is empty or no UTF-8. */
char *yolo_secret_read (const char *path, GError **error);

/* From now on yolo_secret_hide() hides @text, if it has four letters or more. Any thread. */
void yolo_secret_remember (const char *text);

/* @text as it may be shown: on one line, printable, with "***" in place of every secret that is
 * known. Any thread. (transfer full) */
char *yolo_secret_hide (const char *text);

/**
 * yolo_secret_split:
 * @uri: any text
 * @user: (out) (nullable): the user in it, decoded
 * @password: (out) (nullable): the password in it, decoded and remembered as a secret
 *
 * Takes user and password out of a URI. (transfer full): @uri without them
 */
char *yolo_secret_split (const char *uri, char **user, char **password);

/* Whether a text is `${NAME}` and nothing else. */
gboolean yolo_secret_is_variable (const char *text);

/* Whether a URI holds a password as it is, and no `${NAME}` in its place. */
gboolean yolo_secret_is_open (const char *uri);

/* @uri with "***" for the password in it, if it has one. (transfer full) */
char *yolo_secret_mask (const char *uri);

G_END_DECLS

#endif
