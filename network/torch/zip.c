/* SPDX-License-Identifier: MIT */
#include "network/torch/zip.h"
#include "base/error.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* Sizes and signatures of the records, APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.14 to 4.3.16. */
#define LOCAL_SIZE 30
#define LOCAL_SIGNATURE 0x04034b50
#define CENTRAL_SIZE 46
#define CENTRAL_SIGNATURE 0x02014b50
#define END_SIZE 22
#define END_SIGNATURE 0x06054b50
#define LOCATOR_SIZE 20
#define LOCATOR_SIGNATURE 0x07064b50
#define END64_SIZE 56
#define END64_SIGNATURE 0x06064b50

#define MAX_COMMENT 65535       /* bytes that may follow the end record */
#define EXTRA_ZIP64 1
#define FLAG_ENCRYPTED 1
#define METHOD_STORED 0
#define METHOD_DEFLATED 8

typedef struct {
  char *name;
  guint flags, method;
  guint32 crc;        /* 0: not known */
  guint64 size;       /* bytes, as they lie in the archive */
  guint64 start;      /* of the local header */
  const guint8 *data;           /* [size] */
  gboolean checked;   /* the CRC was compared, and matches */
} Entry;

struct _YoloZip {
  const guint8 *bytes;
  gsize size;
  GArray *entries;     /* Entry */
  GHashTable *by_name;          /* name to index + 1 */
};

static guint
get16 (const guint8 *p)
{
  return p[0] | (guint) p[1] << 8;
}

static guint32
get32 (const guint8 *p)
{
  return get16 (p) | (guint32) get16 (p + 2) << 16;
}

static guint64
get64 (const guint8 *p)
{
  return get32 (p) | (guint64) get32 (p + 4) << 32;
}

/* Whether [start, start + n) lies within `size` bytes. */
static gboolean
within (guint64 start, guint64 n, guint64 size)
{
  return start <= size && n <= size - start;
}

/* CRC-32 of ISO 3309, eight bytes at a time ("slicing by 8"; Kounavis and Berry,
 * A Systematic Approach to Building High Performance Software-Based CRC Generators, 2005). */
static guint32
crc32_of (const guint8 *data, gsize size)
{
  static guint32 table[8][256];
  static gsize made = 0;
  guint32 crc = ~0u;

  if (g_once_init_enter (&made)) {
    for (guint i = 0; i < 256; i++) {
      guint32 value = i;
      for (guint bit = 0; bit < 8; bit++)
        value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
      table[0][i] = value;
    }
    for (guint i = 0; i < 256; i++) {
      for (guint k = 1; k < 8; k++)
        table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
    }
    g_once_init_leave (&made, 1);
  }
  for (; size >= 8; size -= 8, data += 8) {
    guint32 low = crc ^ get32 (data), high = get32 (data + 4);
    crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255]
        ^ table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255]
        ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
  }
  for (; size > 0; size--, data++)
    crc = crc >> 8 ^ table[0][(crc ^ *data) & 255];
  return ~crc;
}

static void
entry_clear (gpointer data)
{
  g_free (((Entry *) data)->name);
}

gboolean
yolo_zip_is (const void *data, gsize size)
{
  return size >= 4 && get32 (data) == LOCAL_SIGNATURE;
}

/* The end record, which a comment may follow; NULL: there is none. */
static const guint8 *
find_end (const YoloZip *zip)
{
  gsize furthest;

  if (zip->size < END_SIZE)
    return NULL;
  furthest = MIN (zip->size - END_SIZE, MAX_COMMENT);
  for (gsize back = 0; back <= furthest; back++) {
    const guint8 *end = zip->bytes + zip->size - END_SIZE - back;
    if (get32 (end) == END_SIGNATURE && get16 (end + 20) == back)
      return end;
  }
  return NULL;
}

typedef struct {
  guint64 n, start, size;       /* entries; bytes of the archive */
} Directory;

/* Where the central directory lies, by the end record or the Zip64 one in front of it. */
static gboolean
find_directory (const YoloZip *zip, Directory *directory, GError **error)
{
  const guint8 *end = find_end (zip), *locator, *end64;
  guint64 start;

  if (end == NULL)
    return yolo_network_fail (error, FORMAT,
        "the archive's end is missing: the file is cut short; copy or download it again");
  directory->n = get16 (end + 10);
  directory->size = get32 (end + 12);
  directory->start = get32 (end + 16);
  if (get16 (end + 4) != 0 || get16 (end + 6) != 0)
    return yolo_network_fail (error, UNSUPPORTED, "the archive is one of several parts");
  if (directory->n != 0xffff && directory->size != 0xffffffff && directory->start != 0xffffffff)
    return TRUE;
  if (end - zip->bytes < LOCATOR_SIZE)
    return TRUE;
  locator = end - LOCATOR_SIZE;
  if (get32 (locator) != LOCATOR_SIGNATURE)
    return TRUE; /* as large as that, in truth */
  start = get64 (locator + 8);
  end64 = within (start, END64_SIZE, zip->size) ? zip->bytes + start : NULL;
  if (end64 == NULL || get32 (end64) != END64_SIGNATURE)
    return yolo_network_fail (error, FORMAT, "the archive's Zip64 end record is not where it says");
  directory->n = get64 (end64 + 32);
  directory->size = get64 (end64 + 40);
  directory->start = get64 (end64 + 48);
  return TRUE;
}

/* Values that did not fit 32 bits lie in an extra field, in this order and only those. */
static gboolean
read_zip64 (Entry *entry, const guint8 *extra, guint n, guint64 *unpacked)
{
  guint64 *const values[] = { unpacked, &entry->size, &entry->start };

  while (n >= 4) {
    guint id = get16 (extra), length = get16 (extra + 2);

    extra += 4;
    n -= 4;
    if (length > n)
      return FALSE;
    for (guint k = 0; id == EXTRA_ZIP64 && k < G_N_ELEMENTS (values); k++) {
      if (*values[k] != 0xffffffff)
        continue;
      if (length < 8)
        return FALSE;
      *values[k] = get64 (extra);
      extra += 8;
      n -= 8;
      length -= 8;
    }
    extra += length;
    n -= length;
  }
  return TRUE;
}

/* Where the entry's contents lie: behind its local header, whose own lengths of name and
 * extra fields count. */
static gboolean
place_entry (const YoloZip *zip, Entry *entry, GError **error)
{
  gboolean inside = within (entry->start, LOCAL_SIZE, zip->size);
  const guint8 *local = inside ? zip->bytes + entry->start : NULL;
  guint64 header;

  if (local == NULL || get32 (local) != LOCAL_SIGNATURE)
    return yolo_network_fail (
        error, FORMAT, "the archive's entry '%.100s' is not where the directory says", entry->name);
  header = LOCAL_SIZE + (guint64) get16 (local + 26) + get16 (local + 28);
  if (!within (entry->start, header, zip->size)
      || !within (entry->start + header, entry->size, zip->size))
    return yolo_network_fail (error, FORMAT,
        "the archive's entry '%.100s' has %" G_GUINT64_FORMAT " bytes, more than the file",
        entry->name, entry->size);
  entry->data = local + header;
  return TRUE;
}

/* Reads one record of the directory, `left` bytes of which are there; gives its size, or 0. */
static gsize
read_record (YoloZip *zip, const guint8 *record, gsize left, GError **error)
{
  Entry entry = { 0 };
  guint name, extra, comment;
  guint64 unpacked;

  if (left < CENTRAL_SIZE || get32 (record) != CENTRAL_SIGNATURE)
    return yolo_network_fail (error, FORMAT, "the archive's directory is damaged");
  name = get16 (record + 28);
  extra = get16 (record + 30);
  comment = get16 (record + 32);
  if (left - CENTRAL_SIZE < (gsize) name + extra + comment)
    return yolo_network_fail (error, FORMAT, "the archive's directory is damaged");
  entry.flags = get16 (record + 8);
  entry.method = get16 (record + 10);
  entry.crc = get32 (record + 16);
  entry.size = get32 (record + 20);
  unpacked = get32 (record + 24);
  entry.start = get32 (record + 42);
  if (memchr (record + CENTRAL_SIZE, 0, name) != NULL
      || !read_zip64 (&entry, record + CENTRAL_SIZE + name, extra, &unpacked))
    return yolo_network_fail (error, FORMAT, "the archive's directory is damaged");
  entry.name = g_strndup ((const char *) record + CENTRAL_SIZE, name);
  g_array_append_val (zip->entries, entry);
  if (!place_entry (zip, &g_array_index (zip->entries, Entry, zip->entries->len - 1), error))
    return 0;
  if (entry.method == METHOD_STORED && unpacked != entry.size)
    return yolo_network_fail (error, FORMAT,
        "the archive's entry '%.100s' is not compressed, yet has two sizes", entry.name);
  if (g_hash_table_contains (zip->by_name, entry.name))
    return yolo_network_fail (error, FORMAT, "the archive has two entries '%.100s'", entry.name);
  g_hash_table_insert (zip->by_name, entry.name, GUINT_TO_POINTER (zip->entries->len));
  return CENTRAL_SIZE + (gsize) name + extra + comment;
}

static int
compare_starts (gconstpointer a, gconstpointer b)
{
  const Entry *x = *(const Entry *const *) a, *y = *(const Entry *const *) b;
  return (x->start > y->start) - (x->start < y->start);
}

static gboolean
check_overlap (const YoloZip *zip, const Directory *directory, GError **error)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();

  for (guint i = 0; i < zip->entries->len; i++)
    g_ptr_array_add (sorted, &g_array_index (zip->entries, Entry, i));
  g_ptr_array_sort (sorted, compare_starts);
  for (guint i = 0; i < sorted->len; i++) {
    const Entry *entry = g_ptr_array_index (sorted, i);
    const Entry *next = i + 1 < sorted->len ? g_ptr_array_index (sorted, i + 1) : NULL;
    guint64 end = (guint64) (entry->data - zip->bytes) + entry->size;

    if (end > (next != NULL ? next->start : directory->start))
      return yolo_network_fail (
          error, FORMAT, "the archive's entry '%.100s' overlaps what lies behind it", entry->name);
  }
  return TRUE;
}

YoloZip *
yolo_zip_open (const void *data, gsize size, GError **error)
{
  g_autoptr (YoloZip) zip = g_new0 (YoloZip, 1);
  Directory directory;
  const guint8 *record;
  gsize left;

  zip->bytes = data;
  zip->size = size;
  zip->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  g_array_set_clear_func (zip->entries, entry_clear);
  zip->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  if (!find_directory (zip, &directory, error))
    return NULL;
  if (!within (directory.start, directory.size, size)
      || directory.n > directory.size / CENTRAL_SIZE) {
    yolo_network_set_error (error, FORMAT,
        "the archive's directory lies outside of the file: the file is cut short or damaged");
    return NULL;
  }
  record = zip->bytes + directory.start;
  left = (gsize) directory.size;
  for (guint64 i = 0; i < directory.n; i++) {
    gsize n = read_record (zip, record, left, error);
    if (n == 0)
      return NULL;
    record += n;
    left -= n;
  }
  return check_overlap (zip, &directory, error) ? g_steal_pointer (&zip) : NULL;
}

void
yolo_zip_free (YoloZip *zip)
{
  if (zip == NULL)
    return;
  g_hash_table_unref (zip->by_name);
  g_array_unref (zip->entries);
  g_free (zip);
}

guint
yolo_zip_size (const YoloZip *zip)
{
  return zip->entries->len;
}

const char *
yolo_zip_name (const YoloZip *zip, guint entry)
{
  return g_array_index (zip->entries, Entry, entry).name;
}

gboolean
yolo_zip_has (const YoloZip *zip, const char *name)
{
  return g_hash_table_contains (zip->by_name, name);
}

const guint8 *
yolo_zip_get (YoloZip *zip, const char *name, gsize *size, GError **error)
{
  guint index = GPOINTER_TO_UINT (g_hash_table_lookup (zip->by_name, name));
  Entry *entry;

  if (index == 0) {
    yolo_network_set_error (error, FORMAT, "the archive has no entry '%.100s'", name);
    return NULL;
  }
  entry = &g_array_index (zip->entries, Entry, index - 1);
  if (entry->flags & FLAG_ENCRYPTED) {
    yolo_network_set_error (
        error, UNSUPPORTED, "the archive's entry '%.100s' is encrypted", entry->name);
    return NULL;
  }
  if (entry->method != METHOD_STORED) {
    yolo_network_set_error (error, UNSUPPORTED,
        "the archive's entry '%.100s' is compressed%s, which PyTorch does not do: the file was "
        "packed again; unpack it and pack it with zip -0, or load and save it with PyTorch",
        entry->name, entry->method == METHOD_DEFLATED ? " (deflate)" : "");
    return NULL;
  }
  if (!entry->checked && entry->crc != 0
      && crc32_of (entry->data, (gsize) entry->size) != entry->crc) {
    yolo_network_set_error (error, FORMAT,
        "the archive's entry '%.100s' is damaged: its checksum does not match; copy or download "
        "the file again",
        entry->name);
    return NULL;
  }
  entry->checked = TRUE;
  *size = (gsize) entry->size;
  return entry->data;
}
