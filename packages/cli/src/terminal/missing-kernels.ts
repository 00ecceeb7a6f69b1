import { describeBackends, type Kernels } from '@contextlora/kernels';

/** Why the fast native kernels are not in use, and what would add them; empty if they are. */
export async function missingKernels(backend: Kernels['backend']): Promise<string[]> {
  if (backend === 'onnx') return [];
  const native = (await describeBackends()).find((report) => report.backend === 'onnx');
  return native && !native.available ? [`the faster onnx kernels are missing: ${native.detail}`] : [];
}
