import { type ChangePlan, dataReach, planChange, type RunVersion } from '@contextlora/finetune';
import {
  ancestorsOf,
  buildTaskGraph,
  descendantsOf,
  orderTasks,
  type TaskSpec,
} from '@contextlora/task-graph';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const spec = (id: string, dependsOn: string[] = [], more: Partial<TaskSpec> = {}): TaskSpec => ({
  id,
  dependsOn,
  instruction: `${id} ?`,
  inputs: ['text'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: { train: `${id}.jsonl` },
  ...more,
});

/** weather → road; vehicle, weather, road → strategy. */
const scene = [
  spec('vehicle'),
  spec('weather'),
  spec('road', ['weather']),
  spec('strategy', ['vehicle', 'weather', 'road']),
];

const settings = { seed: 0, rank: 8, steps: 10, batchSize: 4, learningRate: 1e-3 };
const version = (
  tasks: readonly TaskSpec[],
  { rows = {}, ...more }: { rows?: Readonly<Record<string, string>>; settings?: RunVersion['settings'] } = {},
): RunVersion => ({
  file: { tasks },
  settings,
  inputs: Object.fromEntries(
    tasks.map(({ id }) => [`the training rows of task "${id}"`, rows[id] ?? `rows of ${id}`]),
  ),
  ...more,
});
const before = version(scene);
const edited = (id: string, more: Partial<TaskSpec>) =>
  scene.map((task) => (task.id === id ? { ...task, ...more } : task));
const brief = ({ kept, retrained, added, removed }: ChangePlan) => ({
  kept,
  retrained: retrained.map(({ task }) => task),
  added,
  removed,
});

describe('the plan of a change', () => {
  test('keeps everything when nothing changed but names of files', () => {
    const plan = planChange(before, version(edited('road', { data: { train: 'other.jsonl' } })));
    expect(plan).toEqual({
      kept: ['vehicle', 'weather', 'road', 'strategy'],
      retrained: [],
      added: [],
      removed: [],
    });
  });

  test('adds a task and trains no other', () => {
    expect(brief(planChange(before, version([spec('fog', ['weather']), ...scene])))).toEqual({
      kept: ['vehicle', 'weather', 'road', 'strategy'],
      retrained: [],
      added: ['fog'],
      removed: [],
    });
  });

  test('trains those again that build on an added task, and says so', () => {
    const tasks = [spec('fog'), ...edited('road', { dependsOn: ['weather', 'fog'] })];
    const plan = planChange(before, version(tasks));
    expect(plan).toMatchObject({ kept: ['vehicle', 'weather'], added: ['fog'] });
    expect(plan.retrained).toEqual([
      {
        task: 'road',
        reasons: ['depends on weather, fog instead of weather', 'it builds on fog'],
      },
      { task: 'strategy', reasons: ['it builds on road'] },
    ]);
  });

  test('trains the children of a removed task again, and their descendants', () => {
    const tasks = scene
      .filter(({ id }) => id !== 'weather')
      .map((task) => ({ ...task, dependsOn: task.dependsOn.filter((id) => id !== 'weather') }));
    expect(brief(planChange(before, version(tasks)))).toEqual({
      kept: ['vehicle'],
      retrained: ['road', 'strategy'],
      added: [],
      removed: ['weather'],
    });
  });

  test.each<[string, Partial<TaskSpec>, string]>([
    ['its instruction', { instruction: 'road surface ?' }, 'another instruction'],
    ['its inputs', { inputs: ['image', 'text'] }, 'other inputs'],
    ['a new label', { answer: { type: 'label', labels: ['yes', 'no', 'maybe'] } }, 'new labels maybe'],
    ['another label', { answer: { type: 'label', labels: ['yes', 'nope'] } }, 'new labels nope, no label no'],
    [
      'the order of its labels',
      { answer: { type: 'label', labels: ['no', 'yes'] } },
      'its labels in another order',
    ],
    ['its kind of answer', { answer: { type: 'text' } }, 'answers of type text instead of label'],
  ])('trains a task again for %s, with its descendants', (_, change, reason) => {
    const plan = planChange(before, version(edited('road', change)));
    expect(plan.kept).toEqual(['vehicle', 'weather']);
    expect(plan.retrained).toEqual([
      { task: 'road', reasons: [reason] },
      { task: 'strategy', reasons: ['it builds on road'] },
    ]);
  });

  test('sees other training rows, other settings of a task, and what was asked for', () => {
    const rows = planChange(before, version(scene, { rows: { vehicle: 'others' } }));
    expect(rows.retrained[0]).toEqual({ task: 'vehicle', reasons: ['other training rows'] });
    const steps = { vehicle: 10, weather: 10, road: 20, strategy: 10 };
    const longer = planChange(before, version(scene, { settings: { ...settings, steps } }));
    expect(longer.retrained[0]).toEqual({ task: 'road', reasons: ['steps 20 instead of 10'] });
    expect(longer.kept).toEqual(['vehicle', 'weather']);
    const asked = planChange(before, before, { asked: ['weather'] });
    expect(brief(asked)).toMatchObject({ kept: ['vehicle'], retrained: ['weather', 'road', 'strategy'] });
  });

  test('trains a task again whose ancestors come in another order, as sums of floats depend on it, and no other', () => {
    const [vehicle, weather, road, strategy] = scene as [TaskSpec, TaskSpec, TaskSpec, TaskSpec];
    const plan = planChange(before, version([weather, vehicle, road, strategy]));
    expect(plan.kept).toEqual(['weather', 'vehicle', 'road']);
    expect(plan.retrained).toEqual([{ task: 'strategy', reasons: ['its ancestors in another order'] }]);
  });

  test('keeps a task exactly if everything that decides its bytes is the same, for any two graphs', () => {
    const graphs = fc
      .tuple(fc.integer({ min: 1, max: 7 }), fc.infiniteStream(fc.nat(2)), fc.infiniteStream(fc.nat(3)))
      .map(([count, edges, kinds]) => {
        const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, count);
        return ids
          .filter(() => kinds.next().value !== 3 || count === 1)
          .map((id, i, all) =>
            spec(
              id,
              all.slice(0, i).filter(() => edges.next().value === 0),
              { instruction: `${kinds.next().value === 0 ? 'new' : 'old'} ${id} ?` },
            ),
          );
      })
      .filter((tasks) => tasks.length > 0);
    const rows = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('p', 'q'));
    fc.assert(
      fc.property(graphs, graphs, rows, rows, (old, now, oldRows, nowRows) => {
        const [first, second] = [version(old, { rows: oldRows }), version(now, { rows: nowRows })];
        const [oldIdentities, identities] = [first, second].map(identitiesOf) as [
          Record<string, string>,
          Record<string, string>,
        ];
        const plan = planChange(first, second);
        const expected = Object.keys(identities).filter((id) => oldIdentities[id] === identities[id]);
        expect([...plan.kept].sort()).toEqual(expected.sort());
        const order = orderTasks(buildTaskGraph(now));
        expect([...plan.kept, ...plan.retrained.map(({ task }) => task), ...plan.added].sort()).toEqual(
          [...order].sort(),
        );
        for (const { reasons } of plan.retrained) expect(reasons.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});

/** Independent of the plan: what decides the bytes of a task, with what decides those of its ancestors in the order of the file. */
function identitiesOf({ file, inputs }: RunVersion): Record<string, string> {
  const graph = buildTaskGraph(file.tasks);
  const identities: Record<string, string> = {};
  for (const id of orderTasks(graph)) {
    const { instruction, dependsOn } = graph.getNodeAttributes(id);
    const closure = new Set(ancestorsOf(graph, id));
    const ancestors = graph.filterNodes((one) => closure.has(one)).map((one) => identities[one]);
    identities[id] = JSON.stringify([
      id,
      instruction,
      [...dependsOn].sort(),
      inputs[`the training rows of task "${id}"`],
      ancestors,
      // A task's place among its ancestors is always after them here.
    ]);
  }
  return identities;
}

describe('the reach of data', () => {
  test('is the task and its descendants', () => {
    const graph = buildTaskGraph(scene);
    expect(dataReach(graph)).toEqual({
      vehicle: ['vehicle', 'strategy'],
      weather: ['weather', 'road', 'strategy'],
      road: ['road', 'strategy'],
      strategy: ['strategy'],
    });
    for (const [task, reached] of Object.entries(dataReach(graph)))
      expect(reached.slice(1)).toEqual(descendantsOf(graph, task));
  });
});
