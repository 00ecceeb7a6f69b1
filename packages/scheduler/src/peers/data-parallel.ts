/**
 * DeepSpeed ZeRO data parallelism with LoRA: equal shares of every micro-batch; gradients in half precision, half of the bytes of a
 * workload's float32 gradients.
 *
 *   stage 1, 2   every device holds the whole base; a step reduce-scatters the adapters' gradients and gathers the adapters (2 Ψ_lora)
 *   stage 3      the base is sharded too and gathered, as it is stored, for every forward and backward pass: 2 Ψ_base per micro-batch,
 *                once where no backward pass follows, and Ψ_lora of gradients
 *
 * Buckets of gradients are reduced while layers below compute: here all but the lowest layer's from the start of the step's last
 * backward pass. Gathers overlap computing as well. Both favour it: no bucket is ready so early, and no size of buckets does better.
 */
import type { Pass } from '../schedule/passes/pass.js';
import { layerStates, stateBytes } from '../cost/memory.js';
import { gradientBytes, hasBackward } from '../cost/task-costs.js';
import type { CollectiveInstruction, Instruction } from '../schedule/schedule.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { deviceGroups, pipelineOf } from './splits.js';
import type { Strategy } from './strategy.js';

/** Every device keeps this fraction of the parameters and of the optimizer state. */
interface Fractions {
  readonly parameters?: number;
  readonly optimizer: number;
}

const zero = (
  name: string,
  source: string,
  fractionsOf: (count: number, problem: IntervalProblem) => Fractions,
  rules: Pick<Strategy, 'passes' | 'splitsLayers'> = { passes: [overlapReduction(true)] },
): Strategy => ({
  name: `DeepSpeed ${name}`,
  source,
  interleavesTasks: false,
  ...rules,
  *candidates(problem) {
    const { costs, tasks } = problem;
    for (const { group, microbatches } of deviceGroups(problem)) {
      // Every rank has the same number of micro-batches, none of them empty.
      if (tasks.some((name) => costs.samplesOf(name) < group.length * microbatches)) continue;
      const fractions = fractionsOf(group.length, problem);
      const placement = pipelineOf(problem, [costs.layerCount], [group], microbatches);
      const stages = placement.stages.map(({ members, ...stage }) => ({
        ...stage,
        members: members.map((member) => ({ ...member, ...fractions })),
      }));
      yield { placement: { ...placement, stages }, policies: [oneForwardOneBackward] };
    }
  },
});

/** Reduces gradients in two buckets, the first during the step's last backward pass; then every member gathers what others updated. */
function overlapReduction(gathersUpdated: boolean): Pass {
  return (programs, { costs, placement }) =>
    programs.map((members, stage) =>
      members.map((program) => {
        const result: Instruction[] = [];
        for (const instruction of program) {
          if (instruction.type !== 'collective') {
            result.push(instruction);
            continue;
          }
          const { id, task, step, bytes } = instruction;
          const { lowestTrained } = costs.taskNamed(task);
          const range = { ...placement.stages[stage]!, start: lowestTrained, end: lowestTrained + 1 };
          const lowest = Math.min(bytes, gradientBytes(costs.taskNamed(task), range));
          const bucket = (name: string, part: number) => ({
            ...instruction,
            operation: 'reduceScatter' as const,
            id: `${id}/${name}`,
            bytes: part,
          });
          const backward = result.findLastIndex(
            (one) => one.type === 'backwardInput' && one.task === task && one.step === step,
          );
          if (bytes > lowest) result.splice(backward, 0, bucket('upper', bytes - lowest));
          if (lowest > 0) result.push(bucket('lowest', lowest));
          if (gathersUpdated) result.push({ ...instruction, operation: 'allGather', id: `${id}/updated` });
        }
        return result;
      }),
    );
}

/** ZeRO-3: every member gathers all parameters that a pass needs. */
const gatherParameters: Pass = (programs, { costs, placement }) => {
  const members = placement.stages.flatMap((stage) => stage.members.map(({ device }) => device));
  return programs.map((stage) =>
    stage.map((program) => {
      const passes = new Map<string, number>();
      return program.flatMap((instruction): Instruction[] => {
        const { type, task, step } = instruction;
        if (type !== 'forward' && type !== 'backwardInput') return [instruction];
        const taskCosts = costs.taskNamed(task);
        if (type === 'backwardInput' && !hasBackward(taskCosts, costs.layerCount)) return [instruction];
        const start = type === 'forward' ? 0 : taskCosts.lowestTrained;
        const count = passes.get(`${type} ${task}`) ?? 0;
        passes.set(`${type} ${task}`, count + 1);
        const gather: CollectiveInstruction = {
          type: 'collective',
          operation: 'allGather',
          id: `parameters/${type}/${task}/${count}`,
          members,
          task,
          step,
          bytes: stateBytes([taskCosts], { start, end: costs.layerCount }).parameterBytes,
          messages: costs.layerCount - start,
          awaitedBy: 'end',
        };
        return [gather, instruction];
      });
    }),
  );
};

/** Stage 2 shards the gradients too, which are small here and counted with the optimizer's state: it moves and takes the same. */
export const zero1 = zero(
  'ZeRO-1 and 2',
  'DeepSpeed docs/_posts/2020-03-17-reduce-scatter.md: optimizer states sharded, volume of data parallelism',
  (count) => ({ optimizer: 1 / count }),
);

export const zero3 = zero(
  'ZeRO-3',
  'DeepSpeed docs/_posts/2021-03-08-zero3-offload.md: parameters sharded, all-gather forward and backward',
  (count, { costs: { tasks, layerCount } }) => {
    // Two gathered layers are resident at a time: the one that computes and the one that is fetched.
    const only = tasks.slice(0, 1);
    const total = stateBytes(only, { start: 0, end: layerCount }).parameterBytes;
    const layers = layerStates(only, layerCount).map(({ parameterBytes }) => parameterBytes);
    const largest = Math.max(0, ...layers);
    return {
      optimizer: 1 / count,
      parameters: total > 0 ? Math.min(1, 1 / count + (2 * largest) / total) : 1,
    };
  },
  { passes: [overlapReduction(false), gatherParameters], splitsLayers: true },
);
