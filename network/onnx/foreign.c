/* SPDX-License-Identifier: MIT */
#include "network/onnx/foreign.h"

#include <string.h>

#define EXPORT "export the model with Ultralytics, YOLO('best.pt').export(format='onnx')"

/* Sources: the Git LFS specification, "The Pointer"; TensorFlow Lite's schema.fbs
 * and ONNX Runtime's ort.fbs (file_identifier); the HDF5 file format, II.A; RFC
 * 1952; safetensors' README, "Format"; Ultralytics' nn/autobackend.py: the length
 * of a JSON text and that text are in front of its engines. */
static const struct {
  gsize at;                     /* bytes into the file */
  const char *bytes;
  const char *kind;
} kinds[] = {
  { 0, "version https://git-lfs",
      "a Git LFS pointer, not the model that it stands for; fetch that with git lfs pull" },
  { 4, "TFL3", "a TensorFlow Lite model; " EXPORT },
  { 4, "ORTM", "a model in ONNX Runtime's own format; give the .onnx file that it was made of" },
  { 0, "ftrt", "a TensorRT engine; give the .onnx file that it was made of" },
  { 8, "{\"", "a safetensors file, weights without a network; " EXPORT },
  { 4, "{\"", "a TensorRT engine of Ultralytics; give the .onnx file that it was made of" },
  { 0, "\211HDF", "an HDF5 file, as Keras writes; " EXPORT },
  { 0, "\037\213", "compressed by gzip; unpack it" },
};

/* Texts that may have space and a byte order mark in front of them. */
static const struct {
  const char *begin, *kind;
} texts[] = {
  {"<!doctype html", "a web page; download the file that the page offers"},
  {"<html", "a web page; download the file that the page offers"},
  {"<?xml", "XML, as OpenVINO's models are; " EXPORT},
  {"<net", "OpenVINO's XML; " EXPORT},
  {"{", "JSON, no model"},
};

const char *
yolo_foreign_kind (const void *data, gsize size)
{
  const char *bytes = data, *end = bytes + size;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    gsize n = strlen (kinds[i].bytes);
    if (size >= kinds[i].at + n && memcmp (bytes + kinds[i].at, kinds[i].bytes, n) == 0)
      return kinds[i].kind;
  }
  if (size >= 3 && memcmp (bytes, "\357\273\277", 3) == 0)
    bytes += 3;
  while (bytes < end && g_ascii_isspace (*bytes))
    bytes++;
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    gsize n = strlen (texts[i].begin);
    if ((gsize) (end - bytes) >= n && g_ascii_strncasecmp (bytes, texts[i].begin, n) == 0)
      return texts[i].kind;
  }
  return NULL;
}
