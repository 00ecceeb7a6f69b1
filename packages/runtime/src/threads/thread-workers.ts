/** Worker threads as devices, each with a port to every other and to the thread that starts them. */
import { MessageChannel, type MessagePort, Worker, workerData } from 'node:worker_threads';

import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';
import { portTransport, type PortTransportOptions } from './port-transport.js';

export interface StartThreadsOptions extends PortTransportOptions {
  /** What every worker is given, as structured clone passes it on. */
  readonly data?: unknown;
  /** The name of this thread among the devices. @default 'coordinator' */
  readonly coordinator?: string;
  /** Arguments for Node in the workers; those of this process when absent. */
  readonly execArgv?: readonly string[];
  /** The most megabytes of JavaScript values in a worker; tensors are not among them. */
  readonly heapMegabytes?: number;
}

export interface ThreadWorkers extends AsyncDisposable {
  /** This thread's. */
  readonly transport: Transport;
  /** Ends a worker, whatever it does. */
  end(device: string): void;
  /** Why a worker ended by itself, where it said so. */
  reasonOf(device: string): Error | undefined;
}

/** What a worker finds in `workerData`. */
interface ThreadData {
  readonly device: string;
  readonly ports: ReadonlyMap<string, MessagePort>;
  readonly window: number | undefined;
  readonly data: unknown;
}

/** Starts a worker for each device; `entry` is a module that calls `thisThread`. */
export function startThreads(
  entry: URL | string,
  devices: readonly string[],
  { data, coordinator = 'coordinator', execArgv, heapMegabytes, window }: StartThreadsOptions = {},
): ThreadWorkers {
  const all = [coordinator, ...devices];
  if (new Set(all).size < all.length)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'startThreads',
      `a name appears twice: ${all.join(', ')}`,
    );
  const ports = new Map(all.map((device) => [device, new Map<string, MessagePort>()]));
  for (const [index, one] of all.entries())
    for (const other of all.slice(index + 1)) {
      const { port1, port2 } = new MessageChannel();
      ports.get(one)!.set(other, port1);
      ports.get(other)!.set(one, port2);
    }
  const reasons = new Map<string, Error>();
  const workers = new Map(
    devices.map((device) => {
      const own = ports.get(device)!;
      const worker = new Worker(entry, {
        name: device,
        workerData: { device, ports: own, window, data } satisfies ThreadData,
        transferList: [...own.values()],
        ...(execArgv ? { execArgv: [...execArgv] } : {}),
        ...(heapMegabytes === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } }),
      });
      // Its ports close with it, which tells everybody that it is lost.
      worker.on('error', (error: Error) => reasons.set(device, error));
      return [device, worker] as const;
    }),
  );
  const transport = portTransport(
    coordinator,
    ports.get(coordinator)!,
    window === undefined ? {} : { window },
  );
  return {
    transport,
    end(device) {
      void workers.get(device)?.terminate();
    },
    reasonOf: (device) => reasons.get(device),
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await Promise.all([...workers.values()].map((worker) => worker.terminate()));
    },
  };
}

/** In a worker of `startThreads`: its transport, and what it was given. */
export function thisThread(): { readonly transport: Transport; readonly data: unknown } {
  const { device, ports, window, data } = workerData as ThreadData;
  return { transport: portTransport(device, ports, window === undefined ? {} : { window }), data };
}
