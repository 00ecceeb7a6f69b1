/** Training of a task graph as a plan that PyTorch with PEFT can follow too: the same segments, batches and rates; and that other side. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import {
  type Partition,
  type Role,
  type Roles,
  segmentModules,
  segmentOf,
  type Segments,
} from '@contextlora/lora';
import { readPeftFolder, writePeftFolder } from '@contextlora/lora/files';
import type { Example } from '@contextlora/model';
import { type LearningRate, type Phase, sampleBatch } from '@contextlora/trainer';

/** One task's share of a plan. Plain JSON. */
export interface PlannedTask {
  readonly id: string;
  /** The tasks whose segments are used and frozen. */
  readonly frozen: readonly string[];
  readonly examples: readonly Example[];
  /** The indices of the examples of each step. */
  readonly batches: readonly (readonly number[])[];
  /** Of each step. */
  readonly learningRates: readonly number[];
}

export interface PeftPlan {
  /** The directory of the base model, and that of its tokenizer. */
  readonly model: string;
  readonly tokenizer: string;
  /** The directory with one PEFT folder per task. */
  readonly adapters: string;
  /** The tokens of a picture; 0 for a model without vision. */
  readonly imageTokens: number;
  readonly optimizer: Readonly<Record<'beta1' | 'beta2' | 'epsilon' | 'weightDecay' | 'clipNorm', number>>;
  readonly threads: number;
  /** Of the base's weights and what is computed with them; segments stay in float32. */
  readonly dtype: 'float32' | 'bfloat16';
  /** Whether frozen segments are added to the base's weights at the start of a phase, instead of being computed beside them. */
  readonly merge: boolean;
  /** Whether the decoder goes through torch.compile. */
  readonly compile: boolean;
  readonly tasks: readonly PlannedTask[];
}

/** The defaults of `createLocalModel`. */
export const defaultOptimizer = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };

/** What each phase does, step by step. */
export function planTasks(
  phases: readonly Phase[],
  {
    examplesOf,
    stepsOf,
    batchSize,
    learningRate,
    seed,
  }: {
    examplesOf: (task: string) => readonly Example[];
    stepsOf: (task: string) => number;
    batchSize: number;
    learningRate: LearningRate;
    seed: number;
  },
): PlannedTask[] {
  return phases.flatMap(({ tasks, roles }) =>
    tasks.map((id) => {
      const [examples, steps] = [examplesOf(id), stepsOf(id)];
      const each = Array.from({ length: steps }, (_, step) => step);
      return {
        id,
        frozen: tasksWith(roles[id] ?? {}, 'freeze'),
        examples,
        batches: each.map((step) => sampleBatch(examples.length, batchSize, { seed, task: id, step })),
        learningRates: each.map((step) => learningRate(step, steps, id)),
      };
    }),
  );
}

const tasksWith = (roles: Roles, role: Role) => Object.keys(roles).filter((task) => roles[task] === role);

export interface Timing {
  readonly seconds: number;
  /** Of all threads of the process: what a busy machine disturbs less. */
  readonly cpuSeconds: number;
}

export interface StepsTiming extends Timing {
  readonly losses: readonly number[];
  readonly peakBytes: number;
}

/** A side that trains a plan phase by phase. */
export interface TrainingSide {
  readonly about: string;
  /** Begins a phase; the time is that of the image features. */
  phase(task: string): Promise<Timing>;
  steps(count: number): Promise<StepsTiming>;
  /** Ends the phase. */
  save(): Promise<void>;
  /** The segments in their current state. */
  segments(): Promise<Segments>;
  end(): void;
}

/** Writes the segments as adapters and starts PyTorch with PEFT on a plan; returns the reason if it is not available. */
export async function startPeft(
  python: string,
  plan: PeftPlan,
  { partition, segments }: { partition: Partition; segments: Segments },
): Promise<TrainingSide | string> {
  for (const task of partition.order) {
    const folder = join(plan.adapters, task);
    await mkdir(folder, { recursive: true });
    await writePeftFolder(folder, segmentModules(partition, task, segments[task] ?? {}));
  }
  const child = spawn(python, [join(import.meta.dirname, 'peft_training.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ask = conversation(child);
  const { ready, missing } = await ask(plan);
  if (typeof ready !== 'string') return String(missing);
  const checked = async (command: object) => {
    const answer = await ask(command);
    if (typeof answer['missing'] === 'string') throw new Error(answer['missing']);
    return answer;
  };
  return {
    about: ready,
    phase: async (task) => (await checked({ do: 'phase', task })) as unknown as Timing,
    steps: async (count) => (await checked({ do: 'steps', count })) as unknown as StepsTiming,
    async save() {
      await checked({ do: 'save' });
    },
    async segments() {
      const read = partition.order.map(
        async (task) => [task, segmentOf((await readPeftFolder(join(plan.adapters, task))).modules)] as const,
      );
      return Object.fromEntries(await Promise.all(read));
    },
    end() {
      child.stdin.end();
    },
  };
}

/** Sends a line of JSON and waits for one. */
function conversation(child: ChildProcess): (message: object) => Promise<Record<string, unknown>> {
  const { stdin, stdout } = child;
  if (!stdin || !stdout) throw new Error('internal: the peer has no pipes');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const failed = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => {
      resolve(message);
    });
  });
  stdin.on('error', () => undefined);
  return async (message) => {
    stdin.write(`${JSON.stringify(message)}\n`);
    const answer = await Promise.race([lines.next(), failed]);
    if (typeof answer === 'string') return { missing: answer };
    if (answer.done) return { missing: 'the peer ended early' };
    return JSON.parse(answer.value) as Record<string, unknown>;
  };
}
