/** Checks one device's program: everything it owes is there once, in an order that makes sense, and nothing else. */
import type { DeviceProgram, Instruction, Schedule } from '../schedule.js';
import type { CostModel } from '../../cost/cost-model.js';
import { gradientCrosses, hasBackward, trains } from '../../cost/task-costs.js';

/** Every rule the program breaks, as sentences. */
export function validateProgram(
  costs: CostModel,
  { placements, steps, fusedBackward }: Schedule,
  { device, placement: placementIndex, stage: stageIndex, instructions }: DeviceProgram,
): string[] {
  const problems: string[] = [];
  const placement = placements[placementIndex]!;
  const stage = placement.stages[stageIndex]!;
  const member = stage.members.findIndex((candidate) => candidate.device === device);
  const shares = costs.sharesOf(placement);
  const say = (text: string) => problems.push(`"${device}", stage ${stageIndex}: ${text}`);

  // The first and the last position of each kind of instruction on each micro-batch; numbers are quicker keys than texts.
  const taskPlaces = new Map(placement.tasks.map((name, index) => [name, index]));
  const placeKey = (type: Instruction['type'], taskPlace: number, step: number, microbatch: number) =>
    ((taskPlace * (steps + 1) + step) * (placement.microbatches + 1) + microbatch + 1) * types.length +
    types.indexOf(type);
  const positions = new Map<number, { first: number; last: number }>();
  const seen = new Set<string>();
  /** Where the last exchange is that a task's update in a step waits for. */
  const exchanges = new Map<number, number>();
  for (const [index, instruction] of instructions.entries()) {
    const { type, task, step } = instruction;
    const taskPlace = taskPlaces.get(task);
    const microbatch = 'microbatch' in instruction ? instruction.microbatch : -1;
    if (
      taskPlace === undefined ||
      !isCount(step, steps) ||
      !isCount(microbatch + 1, placement.microbatches + 1)
    ) {
      say(`${describeInstruction(instruction)} is of no task, step or micro-batch of its placement`);
      continue;
    }
    const place = placeKey(type, taskPlace, step, microbatch);
    if (type === 'collective' && instruction.awaitedBy === 'update') exchanges.set(place, index);
    const known = positions.get(place);
    // There may be several messages and exchanges of one micro-batch, but not with the same peer.
    if (known || type === 'collective' || 'peer' in instruction) {
      const key =
        type === 'collective'
          ? `${type}\n${instruction.id}`
          : `${place}\n${'peer' in instruction ? instruction.peer : ''}`;
      if (seen.has(key) || (known && !('peer' in instruction) && type !== 'collective'))
        say(`${describeInstruction(instruction)} comes twice`);
      seen.add(key);
    }
    if (known) known.last = index;
    else positions.set(place, { first: index, last: index });
  }

  for (const [taskIndex, name] of placement.tasks.entries()) {
    const task = costs.taskNamed(name);
    const rows = shares[taskIndex]![stageIndex]!;
    const owes = {
      backward: hasBackward(task, stage.end),
      weight: trains(task, stage),
      gradient: gradientCrosses(task, stage.start),
    };
    const sendsAfter = fusedBackward && owes.weight ? 'backwardWeight' : 'backwardInput';
    let updated = -1;
    for (let step = 0; step < steps; step++) {
      let first = Infinity;
      let last = -1;
      for (let microbatch = 0; microbatch < placement.microbatches; microbatch++) {
        const at = (type: Instruction['type']) => positions.get(placeKey(type, taskIndex, step, microbatch));
        const of = `of ${name} ${step}/${microbatch}`;
        const has = rows[microbatch]![member]! > 0;
        const expect = (type: Instruction['type'], owed: boolean) => {
          if ((at(type) !== undefined) !== owed) say(`${type} ${of} is ${owed ? 'missing' : 'not owed'}`);
        };
        const follows = (before: Instruction['type'], after: Instruction['type']) => {
          const [a, b] = [at(before), at(after)];
          if (a && b && a.last > b.first) say(`${after} ${of} comes before ${before}`);
        };
        expect('forward', has);
        expect('backwardInput', has && owes.backward);
        expect('backwardWeight', has && owes.weight);
        expect('sendGradient', has && owes.gradient);
        expect('receiveActivation', has && stageIndex > 0);
        expect('sendActivation', has && stageIndex + 1 < placement.stages.length);
        expect('receiveGradient', has && owes.backward && stageIndex + 1 < placement.stages.length);
        follows('receiveActivation', 'forward');
        follows('forward', 'sendActivation');
        follows('forward', 'backwardInput');
        follows('receiveGradient', 'backwardInput');
        follows('backwardInput', 'backwardWeight');
        follows(sendsAfter, 'sendGradient');
        first = Math.min(first, at('forward')?.first ?? Infinity);
        last = Math.max(last, at('backwardWeight')?.last ?? at('backwardInput')?.last ?? -1);
      }
      if (first < updated) say(`step ${step} of ${name} starts before the update of the step before`);
      const update = positions.get(placeKey('update', taskIndex, step, -1));
      const owed = owes.weight && rows.some((row) => row[member]! > 0);
      if ((update !== undefined) !== owed)
        say(`update of ${name} ${step} is ${owed ? 'missing' : 'not owed'}`);
      if (update && update.first < last) say(`update of ${name} ${step} comes before its last backward`);
      const exchanged = exchanges.get(placeKey('collective', taskIndex, step, -1)) ?? -1;
      if (update && update.first < exchanged) say(`update of ${name} ${step} comes before its exchange`);
      updated = update?.last ?? -1;
    }
  }
  return problems;
}

const types: readonly Instruction['type'][] = [
  'load',
  'forward',
  'backwardInput',
  'backwardWeight',
  'sendActivation',
  'receiveActivation',
  'sendGradient',
  'receiveGradient',
  'cacheWrite',
  'cacheRead',
  'update',
  'collective',
];

const isCount = (value: number, limit: number): boolean =>
  Number.isInteger(value) && value >= 0 && value < limit;

export function describeInstruction(instruction: Instruction): string {
  const { type, task, step } = instruction;
  if (type === 'collective') return `${type} ${instruction.id}`;
  if (!('microbatch' in instruction)) return `${type} of ${task} ${step}`;
  const peer = 'peer' in instruction ? ` with "${instruction.peer}"` : '';
  return `${type} of ${task} ${step}/${instruction.microbatch}${peer}`;
}
