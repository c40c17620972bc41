/* SPDX-License-Identifier: MIT */
#include "cpu/kernels.h"

#include <string.h>

#if defined (YOLO_X86_VARIANTS)
# include <cpuid.h>
# if defined (__linux__)
#  include <sys/syscall.h>
#  include <unistd.h>
#  define ARCH_REQ_XCOMP_PERM 0x1023    /* of the kernel's asm/prctl.h, which may be older */
#  define XFEATURE_XTILEDATA 18
# endif
#elif defined (YOLO_ARM_VARIANTS)
# include <asm/hwcap.h>
# include <sys/auxv.h>
#endif

#define DECLARE(isa) \
  extern const YoloOps yolo_ops_##isa; \
  extern const YoloConvKernel yolo_direct_##isa, yolo_winograd_##isa, yolo_depthwise_##isa, \
      yolo_direct_int8_##isa, yolo_winograd_int8_##isa;
DECLARE (baseline)
#ifdef YOLO_X86_VARIANTS
DECLARE (v3)
DECLARE (v4)
extern const YoloConvKernel yolo_direct_v4_bf16, yolo_winograd_v4_bf16, yolo_depthwise_v4_bf16;
extern const YoloConvKernel yolo_direct_v4_amx, yolo_direct_int8_v4_amx;
extern const YoloConvKernel yolo_direct_int8_v4_vnni, yolo_direct_int8_v3_vnni;
#endif
#ifdef YOLO_ARM_VARIANTS
extern const YoloConvKernel yolo_direct_int8_i8mm, yolo_direct_int8_dotprod;
#endif

#ifdef YOLO_X86_VARIANTS
/* Whether the CPU has AMX for bf16 and for bytes, and the system lets this process use it, which it
 * must be asked for. Sources: Intel's Software Developer's Manual, CPUID leaf 7: EDX bits 22, 24
 * and 25; Linux' Documentation/arch/x86/xstate.rst. */
static gboolean
has_amx (void)
{
# if defined (__linux__)
  const unsigned wanted = 1u << 22 | 1u << 24 | 1u << 25;
  unsigned a, b, c, d;

  return __get_cpuid_count (7, 0, &a, &b, &c, &d) && (d & wanted) == wanted
      && syscall (SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
# else
  return FALSE;
# endif
}

/* Source: the same manual, leaf 7, subleaf 1: EAX bit 4. */
static gboolean
has_avx_vnni (void)
{
  unsigned a, b, c, d;
  return __get_cpuid_count (7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

/* Leaves out the instruction sets that are better than the one that YOLO_CPU_ISA names, so
 * that tests and measurements run as on a CPU that lacks them. Returns how many are left. */
static guint
keep_from (YoloKernels *sets, guint n)
{
  const char *name = g_getenv ("YOLO_CPU_ISA");
  guint first = 0;

  if (name == NULL)
    return n;
  while (first < n && !g_str_equal (sets[first].name, name))
    first++;
  if (first == n) {
    g_autoptr (GString) names = g_string_new (NULL);
    for (guint i = 0; i < n; i++)
      g_string_append_printf (names, "%s'%s'", i > 0 ? ", " : "", sets[i].name);
    g_warning ("YOLO_CPU_ISA '%s' is no instruction set that this CPU runs: use one of %s", name,
        names->str);
    return n;
  }
  memmove (sets, sets + first, (n - first) * sizeof *sets);
  for (guint i = 0; i < n - first && first > 0; i++) {
    gboolean v4 = g_str_has_prefix (sets[i].name, "x86-64-v4");
    sets[i].bf16 &= v4;
  }
  return n - first;
}

const YoloKernels *
yolo_cpu_kernels (guint i)
{
  static YoloKernels sets[6];
  static guint n;
  static gsize once;

  if (g_once_init_enter (&once)) {
    YoloKernels baseline = { "baseline", FALSE, FALSE, &yolo_ops_baseline,
      &yolo_direct_baseline, &yolo_winograd_baseline, &yolo_depthwise_baseline, NULL, NULL,
      &yolo_direct_int8_baseline, &yolo_winograd_int8_baseline };

#ifdef YOLO_X86_VARIANTS
    __builtin_cpu_init ();
    gboolean v3 = __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma")
        && __builtin_cpu_supports ("bmi2");
    gboolean v4 = v3 && __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw")
        && __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl");
    gboolean bf16 = v4 && __builtin_cpu_supports ("avx512bf16"),
             vnni = v4 && __builtin_cpu_supports ("avx512vnni");
    YoloKernels with_v4 = { "x86-64-v4", bf16, FALSE, &yolo_ops_v4, &yolo_direct_v4,
      bf16 ? &yolo_winograd_v4_bf16 : &yolo_winograd_v4, &yolo_depthwise_v4,
      bf16 ? &yolo_direct_v4_bf16 : NULL, bf16 ? &yolo_depthwise_v4_bf16 : NULL,
      &yolo_direct_int8_v4, &yolo_winograd_int8_v4 };
    YoloKernels with_v3 = { "x86-64-v3", bf16, FALSE, &yolo_ops_v3, &yolo_direct_v3,
      &yolo_winograd_v3, &yolo_depthwise_v3, NULL, NULL, &yolo_direct_int8_v3,
      &yolo_winograd_int8_v3 };

    if (bf16 && vnni && has_amx ()) {
      sets[n] = with_v4;
      sets[n].name = "x86-64-v4, AMX";
      sets[n].amx = TRUE;
      sets[n].direct_bf16 = &yolo_direct_v4_amx;
      sets[n].direct_int8 = &yolo_direct_int8_v4_amx;
      sets[n++].winograd_int8 = NULL;
    }
    if (vnni) {
      sets[n] = with_v4;
      sets[n].name = "x86-64-v4, VNNI";
      sets[n].direct_int8 = &yolo_direct_int8_v4_vnni;
      sets[n++].winograd_int8 = NULL;
    }
    if (v4)
      sets[n++] = with_v4;
    if (v3 && has_avx_vnni ()) {
      sets[n] = with_v3;
      sets[n].name = "x86-64-v3, VNNI";
      sets[n].direct_int8 = &yolo_direct_int8_v3_vnni;
      sets[n++].winograd_int8 = NULL;
    }
    if (v3)
      sets[n++] = with_v3;
#endif
#ifdef YOLO_ARM_VARIANTS
    if (getauxval (AT_HWCAP2) & HWCAP2_I8MM) {
      sets[n] = baseline;
      sets[n].name = "Armv8, i8mm";
      sets[n].direct_int8 = &yolo_direct_int8_i8mm;
      sets[n++].winograd_int8 = NULL;
    }
    if (getauxval (AT_HWCAP) & HWCAP_ASIMDDP) {
      sets[n] = baseline;
      sets[n].name = "Armv8, dotprod";
      sets[n].direct_int8 = &yolo_direct_int8_dotprod;
      sets[n++].winograd_int8 = NULL;
    }
#endif
    sets[n++] = baseline;
    n = keep_from (sets, n);
    g_once_init_leave (&once, 1);
  }
  return i < n ? &sets[i] : NULL;
}
