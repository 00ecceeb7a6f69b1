/** A worker thread with toy stages; told to, it fails, hangs or is slow at its n-th computation. */
import { thisThread } from '@contextlora/runtime/threads';

import { serveToy } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';

export interface ToyWorkerData {
  readonly model: ToyModel;
  readonly fault?: { readonly device: string; readonly at: number; readonly kind: 'crash' | 'hang' | 'slow' };
}

const { transport, data } = thisThread();
const { model, fault } = data as ToyWorkerData;
let count = 0;
await serveToy(transport, model, () => {
  count += 1;
  if (fault?.device !== transport.device || count < fault.at) return;
  if (fault.kind === 'crash') process.exit(1);
  if (fault.kind === 'hang') for (;;);
  const until = performance.now() + 20;
  while (performance.now() < until);
});
await transport[Symbol.asyncDispose]();
