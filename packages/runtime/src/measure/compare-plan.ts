/** Plan and reality side by side: errors of the prediction, one drawing and one trace. */
import { type Cluster, simulate, type Timeline } from '@contextlora/scheduler';
import {
  type Chart,
  type TraceEvent,
  traceEvents,
  type TraceFile,
  stepChart,
} from '@contextlora/scheduler/views';

import type { MeasuredStep } from '../pipeline/measured-step.js';
import { measuredTimeline } from './measured-timeline.js';

export interface PlanComparison {
  readonly planned: Timeline;
  readonly measured: Timeline;
  /** predicted / measured − 1, of the makespan. */
  readonly error: number;
  readonly devices: readonly {
    readonly device: string;
    readonly plannedBusySeconds: number;
    readonly measuredBusySeconds: number;
    /** predicted / measured − 1, of the time that the device computes. */
    readonly error: number;
    readonly plannedIdleFraction: number;
    readonly measuredIdleFraction: number;
  }[];
}

/** Compares a measured step with what the cost model says of the same schedule on the cluster. */
export function comparePlan(step: MeasuredStep, cluster: Cluster): PlanComparison {
  const planned = simulate(step.schedule, step.workloads, cluster);
  const measured = measuredTimeline(step);
  return {
    planned,
    measured,
    error: planned.makespanSeconds / measured.makespanSeconds - 1,
    devices: step.schedule.programs.map(({ device }) => {
      const [before, after] = [planned, measured].map(({ devices }) =>
        devices.find((use) => use.device === device)!,
      ) as [Timeline['devices'][number], Timeline['devices'][number]];
      return {
        device,
        plannedBusySeconds: before.busySeconds,
        measuredBusySeconds: after.busySeconds,
        error: before.busySeconds / after.busySeconds - 1,
        plannedIdleFraction: before.idleFraction,
        measuredIdleFraction: after.idleFraction,
      };
    }),
  };
}

/** A chart with two rows for each device: as planned, and as measured. */
export function comparisonChart({ planned, measured, error }: PlanComparison, step: MeasuredStep): Chart {
  const [plan, reality] = [stepChart(planned, step.schedule), stepChart(measured, step.schedule)];
  return {
    ...plan,
    title: `${step.schedule.policy}: a step as planned and as measured`,
    summary: [
      `planned ${milliseconds(planned)}`,
      `measured ${milliseconds(measured)}`,
      `error ${(100 * error).toFixed(1)} %`,
    ],
    endSeconds: Math.max(plan.endSeconds, reality.endSeconds),
    looks: { ...plan.looks, ...reality.looks },
    legend: plan.legend.map((line, index) => {
      const known = new Set(line.map(({ look }) => look));
      return [...line, ...(reality.legend[index] ?? []).filter(({ look }) => !known.has(look))];
    }),
    rows: plan.rows.flatMap((row, index) => [
      { ...row, name: `${row.name}, planned`, band: true },
      { ...reality.rows[index]!, name: `${row.name}, measured`, band: false },
    ]),
  };
}

const milliseconds = ({ makespanSeconds }: Timeline) => `${(1000 * makespanSeconds).toFixed(1)} ms`;

/** A trace with two processes for each device: as planned, and as measured. */
export function comparisonTrace(
  { planned, measured }: PlanComparison,
  { schedule }: MeasuredStep,
): TraceFile {
  const [plan, reality] = [traceEvents(planned, schedule), traceEvents(measured, schedule)];
  const ids = Math.max(...plan.traceEvents.flatMap(({ pid, tid }) => [pid, tid]));
  const shifted = (event: TraceEvent): TraceEvent => ({
    ...event,
    pid: event.pid + ids,
    tid: event.tid + ids,
    ...('id' in event ? { id: event.id + plan.traceEvents.length } : {}),
  });
  const named = (event: TraceEvent, how: string): TraceEvent =>
    event.ph === 'M' && event.name === 'process_name'
      ? { ...event, args: { ...event.args, name: `${how}: ${String(event.args['name'])}` } }
      : event;
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      ...plan.traceEvents.map((event) => named(event, 'planned')),
      ...reality.traceEvents.map((event) => named(shifted(event), 'measured')),
    ],
  };
}
