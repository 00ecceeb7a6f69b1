/** What a coordinator decides for a cluster: who works on what, and how they reach each other. */
import { RuntimeError } from '../runtime-error.js';

export interface ClusterPlan {
  /** Names the run. */
  readonly run: string;
  readonly coordinator: string;
  /** The workers; none where the run is over. */
  readonly devices: readonly string[];
  /** The epoch of the plan whose connections the devices go on with, where it only lost some. */
  readonly since?: number;
  /** How tensors travel: directly between devices, or through the server. */
  readonly carrier: 'grpc' | 'nats';
  /** What a worker needs to know to open its layers; the runtime only passes it on. */
  readonly work: unknown;
}

/** @throws RuntimeError `RUNTIME_INPUT_INVALID` if the value is no plan, with all that is wrong. */
export function checkClusterPlan(value: unknown): ClusterPlan {
  const { run, coordinator, devices, since, carrier } = (value ?? {}) as Partial<Record<string, unknown>>;
  const isText = (text: unknown): text is string => typeof text === 'string' && text !== '';
  const problems: string[] = [];
  if (!isText(run)) problems.push('"run" must be a name');
  if (!isText(coordinator)) problems.push('"coordinator" must be a device');
  if (!Array.isArray(devices) || !devices.every(isText)) problems.push('"devices" must be a list of devices');
  else if (new Set([...devices, coordinator]).size <= devices.length)
    problems.push('"devices" and "coordinator" must be different devices');
  if (since !== undefined && !(Number.isSafeInteger(since) && (since as number) > 0))
    problems.push('"since" must be an epoch');
  if (carrier !== 'grpc' && carrier !== 'nats') problems.push('"carrier" must be grpc or nats');
  if (problems.length > 0)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'checkClusterPlan',
      `this is no plan: ${problems.join('; ')}`,
    );
  return value as ClusterPlan;
}

/** The devices that one of a plan's devices exchanges messages with. */
export const peersOf = ({ coordinator, devices }: ClusterPlan, device: string): string[] =>
  [coordinator, ...devices].filter((name) => name !== device);
