/** What training changes, by linear: states of stages can be put together and cut anew. */
import type { Partition, Segment, SegmentMatrices, Segments } from '@contextlora/lora';

import { listProblems, ModelError } from '../model-error.js';
import type { OptimizerMethod } from '../training/optimizer.js';
import type { Moment } from '../training/trained-parameters.js';

type Moments = Readonly<Partial<Record<Moment, Segments>>>;

export const momentNames: readonly Moment[] = ['first', 'second'];

/** The optimizer state of a task in training. */
export interface OptimizerState {
  readonly method: OptimizerMethod;
  /** The tasks whose segments it trains. */
  readonly trains: readonly string[];
  /** The optimizer steps taken. */
  readonly step: number;
  /** Those that the optimizer keeps, each in the form of the segments that train. */
  readonly moments: Moments;
}

export interface TrainingState {
  readonly segments: Segments;
  /** Of the tasks in training. */
  readonly optimizers: Readonly<Record<string, OptimizerState>>;
}

const mapMatrices = (segments: Segments, change: (matrices: SegmentMatrices) => SegmentMatrices): Segments =>
  Object.fromEntries(
    Object.entries(segments).map(([task, segment]): [string, Segment] => [
      task,
      Object.fromEntries(Object.entries(segment).map(([linear, matrices]) => [linear, change(matrices)])),
    ]),
  );

/** A copy, of the given linears only if there are any. */
export function copySegments(segments: Segments, linears?: ReadonlySet<string>): Segments {
  const chosen = linears
    ? Object.fromEntries(
        Object.entries(segments).map(([task, segment]): [string, Segment] => [
          task,
          Object.fromEntries(Object.entries(segment).filter(([linear]) => linears.has(linear))),
        ]),
      )
    : segments;
  return mapMatrices(chosen, ({ rank, a, b }) => ({ rank, a: a.slice(), b: b.slice() }));
}

export const copyState = ({ segments, optimizers }: TrainingState): TrainingState => ({
  segments: copySegments(segments),
  optimizers: Object.fromEntries(
    Object.entries(optimizers).map(([task, { moments, ...rest }]) => [
      task,
      { ...rest, moments: mapMoments(moments, (segments) => copySegments(segments)) },
    ]),
  ),
});

/** Another value in place of each moment. */
export const mapMoments = <From, To>(
  moments: Readonly<Partial<Record<Moment, From>>>,
  change: (moment: From, name: Moment) => To,
): Readonly<Partial<Record<Moment, To>>> =>
  Object.fromEntries(
    momentNames.flatMap((name) => {
      const moment = moments[name];
      return moment === undefined ? [] : [[name, change(moment, name)] as const];
    }),
  );

/**
 * The states of the stages of one model as one; linears are in the order of the partition.
 *
 * @throws ModelError (`MODEL_MISMATCH`) when the stages have taken different numbers of steps, or lack a linear or have it twice.
 */
export function mergeStates(states: readonly TrainingState[], partition: Partition): TrainingState {
  const problems: string[] = [];
  const tasksOf = (some: readonly Readonly<Record<string, unknown>>[]) => [
    ...new Set(some.flatMap((one) => Object.keys(one))),
  ];
  const merged = (parts: readonly Segments[]): Segments =>
    Object.fromEntries(
      tasksOf(parts).map((task): [string, Segment] => [
        task,
        Object.fromEntries(
          Object.entries(partition.layers).flatMap(([linear, { spans }]) => {
            if (!Object.hasOwn(spans, task)) return [];
            const found = parts.flatMap((part) => part[task]?.[linear] ?? []);
            if (found.length !== 1) problems.push(`${task}/${linear} is in ${found.length} stages`);
            return found.slice(0, 1).map((matrices) => [linear, matrices] as const);
          }),
        ),
      ]),
    );
  const optimizers = tasksOf(states.map((state) => state.optimizers)).map(
    (task): [string, OptimizerState] => {
      const parts = states.flatMap((state) => state.optimizers[task] ?? []);
      const steps = new Set(parts.map(({ step }) => step));
      if (steps.size > 1 || parts.length < states.length)
        problems.push(`stages have taken ${parts.map(({ step }) => step).join(', ')} steps of ${task}`);
      return [
        task,
        {
          ...parts[0]!,
          moments: mapMoments(parts[0]!.moments, (_, name) =>
            merged(parts.map(({ moments }) => moments[name] ?? {})),
          ),
        },
      ];
    },
  );
  const whole = {
    segments: merged(states.map(({ segments }) => segments)),
    optimizers: Object.fromEntries(optimizers),
  };
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      'mergeStates',
      listProblems('the states are not those of the stages of one model after one step:', problems),
    );
  return whole;
}

/**
 * Copies the numbers of a state into the arrays of another, which may hold less; all of them or, where one is missing or of another
 * length, none.
 *
 * @throws ModelError (`MODEL_MISMATCH`) with everything that does not fit.
 */
export function takeState(target: TrainingState, source: TrainingState, where: string): void {
  const problems: string[] = [];
  const writes: (() => void)[] = [];
  const take = (what: string, to: Segments, from: Segments | undefined) => {
    for (const [task, segment] of Object.entries(to))
      for (const [linear, { a, b }] of Object.entries(segment)) {
        const given = from?.[task]?.[linear];
        if (given?.a.length !== a.length || given.b.length !== b.length)
          problems.push(`${what} of ${task}/${linear} ${given ? 'has another size' : 'is missing'}`);
        else
          writes.push(() => {
            a.set(given.a);
            b.set(given.b);
          });
      }
  };
  take('the segment', target.segments, source.segments);
  for (const [task, { method, moments }] of Object.entries(target.optimizers)) {
    const given = source.optimizers[task];
    if (given?.method !== method)
      problems.push(
        given
          ? `the optimizer of ${task} is ${given.method}, not ${method}`
          : `the optimizer of ${task} is missing`,
      );
    else
      mapMoments(moments, (moment, name) => {
        take(`the ${name} moment`, moment, given.moments[name]);
      });
  }
  if (problems.length > 0)
    throw new ModelError(
      'MODEL_MISMATCH',
      where,
      listProblems('the state does not fit these layers:', problems),
    );
  for (const write of writes) write();
}
