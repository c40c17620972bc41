/* SPDX-License-Identifier: MIT */
/* Loops that the compiler vectorises, compiled for several x86 levels of
 * which the loader picks one. Elsewhere they are compiled once. */

#ifndef YOLO_BASE_SIMD_H
#define YOLO_BASE_SIMD_H

/* Needs ifunc (glibc); gcc 12 is the first to know the levels by name. ThreadSanitizer is
 * not there yet when the loader asks which level to take. */
#if defined (__x86_64__) && defined (__gnu_linux__) && !defined (__clang__) && __GNUC__ >= 12 \
    && !defined (__SANITIZE_THREAD__)
#define YOLO_SIMD __attribute__ ((target_clones ("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define YOLO_SIMD
#endif

#endif
