/* SPDX-License-Identifier: MIT */
/* The properties of an element as a table: one row says what a property is
 * called, what it can be, when it can be set and where its value is kept. */

#ifndef YOLO_PROPERTY_H
#define YOLO_PROPERTY_H

#include <gst/gst.h>

G_BEGIN_DECLS

/* The type that a value has in the structure that keeps it. */
typedef enum {
  YOLO_PROPERTY_STRING,         /* gchar *, owned */
  YOLO_PROPERTY_SHARED_STRING,  /* GRefString *, owned, always valid UTF-8 */
  YOLO_PROPERTY_BOOLEAN,
  YOLO_PROPERTY_ENUM,           /* an enumeration without negative values */
  YOLO_PROPERTY_UINT,
  YOLO_PROPERTY_INT64,
  YOLO_PROPERTY_UINT64,
  YOLO_PROPERTY_DOUBLE,
} YoloPropertyKind;

typedef struct {
  const gchar *name, *nick, *blurb;
  GParamFlags mutability;       /* GST_PARAM_MUTABLE_READY or GST_PARAM_MUTABLE_PLAYING */

  /* from here on by one of the macros below */
  YoloPropertyKind kind;
  gsize offset;                 /* bytes from the start of the structure to the value */
  const gchar *text;            /* the initial string, which NULL stands for too */
  GType (*enumeration) (void);
  struct {
    gint64 min, max, initial;
  } integer;                    /* of booleans and enumerations the initial value alone */
  struct {
    gdouble min, max, initial;
  } real;
} YoloProperty;

/* The offset of a member, which does not compile if the member has another type. */
#define YOLO_PROPERTY_AT(Struct, member, Type) \
  .offset = offsetof (Struct, member) + 0 * _Generic (((Struct *) 0)->member, Type : 1)

#define YOLO_STRING(Struct, member, initial_) \
  .kind = YOLO_PROPERTY_STRING, YOLO_PROPERTY_AT (Struct, member, gchar *), .text = initial_
#define YOLO_SHARED_STRING(Struct, member) \
  .kind = YOLO_PROPERTY_SHARED_STRING, YOLO_PROPERTY_AT (Struct, member, GRefString *)
#define YOLO_BOOLEAN(Struct, member, initial_) \
  .kind = YOLO_PROPERTY_BOOLEAN, YOLO_PROPERTY_AT (Struct, member, gboolean), \
  .integer = { .initial = initial_ }
#define YOLO_ENUM(Struct, member, type, initial_) \
  .kind = YOLO_PROPERTY_ENUM, YOLO_PROPERTY_AT (Struct, member, guint), .enumeration = type, \
  .integer = { .initial = initial_ }
#define YOLO_UINT(Struct, member, min_, max_, initial_) \
  .kind = YOLO_PROPERTY_UINT, YOLO_PROPERTY_AT (Struct, member, guint), \
  .integer = { min_, max_, initial_ }
#define YOLO_INT64(Struct, member, min_, max_, initial_) \
  .kind = YOLO_PROPERTY_INT64, YOLO_PROPERTY_AT (Struct, member, gint64), \
  .integer = { min_, max_, initial_ }
#define YOLO_UINT64(Struct, member, min_, max_, initial_) \
  .kind = YOLO_PROPERTY_UINT64, YOLO_PROPERTY_AT (Struct, member, guint64), \
  .integer = { min_, max_, initial_ }
#define YOLO_DOUBLE(Struct, member, min_, max_, initial_) \
  .kind = YOLO_PROPERTY_DOUBLE, YOLO_PROPERTY_AT (Struct, member, gdouble), \
  .real = { min_, max_, initial_ }

/* The tables are [n], by the id of the property. Rows without a name, such as
 * that of id 0, are left out. */

/* Called by class_init. */
void yolo_properties_install (GObjectClass *klass, const YoloProperty *properties, guint n);

/**
 * yolo_properties_init:
 * @settings: the structure that the table's offsets are of, zeroed
 *
 * Gives each property its initial value.
 */
void yolo_properties_init (const YoloProperty *properties, guint n, gpointer settings);

/* Frees the strings, for finalize. */
void yolo_properties_clear (const YoloProperty *properties, guint n, gpointer settings);

/* Copies a value to where it is kept, and from there. The caller holds the lock
 * that guards @settings. */
void yolo_property_set (const YoloProperty *property, gpointer settings, const GValue *value);
void yolo_property_get (const YoloProperty *property, gconstpointer settings, GValue *value);

/**
 * yolo_property_is_fixed:
 * @running: whether the element is between its start and its stop
 * @value: the value that is to be set
 *
 * Whether the property is one of those that are read at the start only
 * (GST_PARAM_MUTABLE_READY) and the element is running. If @value differs from
 * what the property is, a warning on the bus says that it stays as it is, and
 * how to change it. Called by set_property, without the object lock.
 */
gboolean yolo_property_is_fixed (GstElement *element, gboolean running, GParamSpec *pspec,
    const GValue *value);

G_END_DECLS

#endif
