/** What a pipeline's events say: printed as they come, and at the end how its plan compares with what was measured. */
import { writeWhole } from '@contextlora/lora/files';
import {
  comparePlan,
  comparisonChart,
  comparisonTrace,
  type MeasuredStep,
  type PipelineEvent,
  type PlacedPipeline,
  refitCluster,
} from '@contextlora/runtime';
import type { Cluster } from '@contextlora/scheduler';
import { drawGanttSvg } from '@contextlora/scheduler/views';

import type { CommandContext } from '../command-context.js';

/** Files that are asked for. */
export interface StepFiles {
  readonly trace?: string;
  readonly traceSvg?: string;
}

export interface PipelineReport {
  readonly onEvent: (event: PipelineEvent) => void;
  /** The cluster with the rates that the last steps showed; itself where too few were measured. */
  refitted(cluster: Cluster): Cluster;
  /** Says how the plan compares with what was measured, and writes the files that were asked for. */
  write(files: StepFiles): Promise<void>;
}

/** Steps that are kept, the last ones. */
const keptSteps = 40;
/** Fewer say little of a rate: the first of them warm up. */
const fewestSteps = 4;

export function openPipelineReport({ progress }: Pick<CommandContext, 'progress'>): PipelineReport {
  const steps: MeasuredStep[] = [];
  let placed: PlacedPipeline | undefined;
  return {
    onEvent(event) {
      if (event.type === 'step') {
        steps.push(event.measured);
        if (steps.length > keptSteps) steps.shift();
      } else if (event.type === 'placed') {
        placed = event.pipeline;
        steps.length = 0;
        progress.print(`  ${describe(placed)}`);
      } else if (event.type === 'lost') progress.print(`  ${event.device} is lost: ${event.reason}`);
      else
        progress.print(
          `  the others go on after ${event.seconds.toFixed(2)} s (${event.stepsRepeated} steps repeated)`,
        );
    },
    refitted: (cluster) => (steps.length < fewestSteps ? cluster : refitCluster(cluster, steps)),
    async write({ trace, traceSvg }) {
      const last = steps.at(-1);
      if (!placed || !last) return;
      const half = steps.slice(0, Math.ceil(steps.length / 2));
      const planned = comparePlan(last, placed.cluster);
      const fitted = comparePlan(last, refitCluster(placed.cluster, half));
      progress.print(
        `  A step on the workers: planned ${seconds(planned.planned)}, measured ${seconds(planned.measured)} (${percent(planned.error)}); ` +
          `with the rates of ${half.length} measured steps ${seconds(fitted.planned)} (${percent(fitted.error)})`,
      );
      if (trace !== undefined) await writeWhole(trace, `${JSON.stringify(comparisonTrace(planned, last))}\n`);
      if (traceSvg !== undefined) await writeWhole(traceSvg, drawGanttSvg(comparisonChart(planned, last)));
    },
  };
}

const describe = ({ placement, policy }: PlacedPipeline): string =>
  `${placement.tasks.join(' + ')}: ${placement.stages
    .map(
      ({ start, end, members }) =>
        `${members.map(({ device }) => device).join(' + ')} layers ${start}–${end - 1}`,
    )
    .join(', ')}; ${policy.name}`;

const seconds = ({ makespanSeconds }: { readonly makespanSeconds: number }) =>
  `${(1000 * makespanSeconds).toFixed(1)} ms`;

const percent = (error: number) => `${error < 0 ? '−' : '+'}${Math.abs(100 * error).toFixed(1)} %`;
