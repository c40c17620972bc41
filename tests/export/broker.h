/* SPDX-License-Identifier: MIT */
/* What every sink is held to, with a broker of its kind that can be stopped and started. */

#ifndef TEST_EXPORT_BROKER_H
#define TEST_EXPORT_BROKER_H

#include "export/sink.h"

/* A broker, and somebody who reads what it got. */
typedef struct {
  const char *name;
  /* Makes what is needed, without starting it. Returns: (transfer full): why the test cannot run
   * here, or NULL */
  char *(*set_up) (void);
  void (*start) (void);         /* returns when it takes connections */
  void (*stop) (void);          /* as hard as what it has confirmed outlives */
  const char *(*location) (void);
  /* Waits until @n different messages or more have arrived since set_up(), and returns (transfer
   * full) the texts of all, in the order of arrival; NULL: they do not come */
  GPtrArray *(*received) (guint n);
  void (*tear_down) (void);
} Broker;

/* Options of a sink to the broker, with what a user would have. */
YoloSinkOptions broker_options (const Broker *broker);

/* Runs the tests that all brokers share, and @more, which adds others. */
int broker_run (int argc, char **argv, const Broker *broker, void (*more) (void));

/* Skips the test, or sets the broker up. FALSE: it is skipped. */
gboolean broker_set_up (const Broker *broker);

/* Sends "key number" for the next numbers, from *from on. */
void broker_send (YoloSink *sink, const char *key, guint from, guint n, gsize size);

/* A number that no program listens on now. */
guint free_port (void);

/* Starts a program that is to listen on a port of loopback, and waits until it does. */
GPid start_program (char **argv, guint port);

/* Ends a program by a signal, and waits for its end. */
void stop_program (GPid *pid, int signal);

/* Where a program is, which Debian may keep out of a user's path; (transfer full), or NULL. */
char *find_program (const char *name);

/* Removes a folder that has files alone. */
void remove_folder (const char *path);

#endif
