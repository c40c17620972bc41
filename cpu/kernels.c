#include "cpu/kernels.h"

#define DECLARE(isa) extern const YoloOps yolo_ops_##isa;
DECLARE (baseline)
#ifdef YOLO_X86_VARIANTS
DECLARE (v3)
DECLARE (v4)
#endif

const YoloKernels *
yolo_cpu_kernels (guint i)
{
  static YoloKernels sets[3];
  static guint n;
  static gsize once;

  if (g_once_init_enter (&once)) {
#ifdef YOLO_X86_VARIANTS
    __builtin_cpu_init ();
    gboolean v3 = __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma")
        && __builtin_cpu_supports ("bmi2");
    gboolean v4 = v3 && __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw")
        && __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl");
    gboolean bf16 = v4 && __builtin_cpu_supports ("avx512bf16");
    if (v4)
      sets[n++] = (YoloKernels) { "x86-64-v4", bf16, &yolo_ops_v4 };
    if (v3)
      sets[n++] = (YoloKernels) { "x86-64-v3", bf16, &yolo_ops_v3 };
#endif
    sets[n] = (YoloKernels) { "baseline", n > 0 && sets[0].bf16, &yolo_ops_baseline };
    n++;
    g_once_init_leave (&once, 1);
  }
  return i < n ? &sets[i] : NULL;
}
