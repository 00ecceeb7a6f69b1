import { describe, expect, test } from '@jest/globals';
import {
  ancestorsOf,
  areSiblings,
  buildTaskGraph,
  descendantsOf,
  findCycle,
  levelsOf,
  orderTasks,
  siblingWaves,
  tasksOf,
  toDot,
  toMermaid,
  toText,
  type TaskSpec,
} from '@contextlora/task-graph';
import fc from 'fast-check';

const task = (id: string, ...dependsOn: string[]): TaskSpec => ({
  id,
  dependsOn,
  instruction: `${id} ?`,
  inputs: ['image'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: {},
});
const driving = () =>
  buildTaskGraph([
    task('vehicle'),
    task('weather'),
    task('road', 'weather'),
    task('strategy', 'vehicle', 'weather', 'road'),
  ]);

/** Random acyclic tasks: each may depend on earlier ones. */
const acyclic = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 14 })
  .map((drawn) =>
    drawn.map((parents, i) => task(`t${i}`, ...new Set(i === 0 ? [] : parents.map((n) => `t${n % i}`)))),
  );
/** Random dependencies without any order: often cyclic. */
const anyTasks = fc
  .array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 10 })
  .map((drawn) =>
    drawn.map((parents, i) => task(`t${i}`, ...new Set(parents.map((n) => `t${n % drawn.length}`)))),
  );

describe('the task dependency graph', () => {
  test('has an edge from each dependency to its dependant, and the task on its node', () => {
    const graph = driving();
    expect(graph.mapEdges((_edge, _attributes, from, to) => `${from}→${to}`).sort()).toEqual([
      'road→strategy',
      'vehicle→strategy',
      'weather→road',
      'weather→strategy',
    ]);
    expect(graph.getNodeAttribute('road', 'instruction')).toBe('road ?');
    expect(tasksOf(graph).map(({ id }) => id)).toEqual(['vehicle', 'weather', 'road', 'strategy']);
  });

  test('orders dependencies before dependants, and otherwise as declared', () => {
    expect(orderTasks(driving())).toEqual(['vehicle', 'weather', 'road', 'strategy']);
    expect(orderTasks(buildTaskGraph([task('b', 'a'), task('c'), task('a')]))).toEqual(['c', 'a', 'b']);
  });

  test('knows ancestors, descendants, levels and siblings', () => {
    const graph = driving();
    expect(ancestorsOf(graph, 'strategy')).toEqual(['vehicle', 'weather', 'road']);
    expect(descendantsOf(graph, 'weather')).toEqual(['road', 'strategy']);
    expect(levelsOf(graph)).toEqual({ vehicle: 0, weather: 0, road: 1, strategy: 2 });
    expect(areSiblings(graph, 'vehicle', 'road')).toBe(true);
    expect(areSiblings(graph, 'weather', 'road')).toBe(false);
    expect(areSiblings(graph, 'road', 'road')).toBe(false);
    expect(siblingWaves(graph)).toEqual([['vehicle', 'weather'], ['road'], ['strategy']]);
  });

  test('refuses duplicates, unknown dependencies and cycles, naming the tasks', () => {
    expect(() => buildTaskGraph([task('a'), task('a')])).toThrow('task "a" is defined twice');
    expect(() => buildTaskGraph([task('a', 'z')])).toThrow('"a" depends on "z", which is not defined');
    expect(() => buildTaskGraph([task('a', 'b'), task('b', 'a')])).toThrow('"a" → "b" → "a"');
    expect(() => buildTaskGraph([task('a'), task('toString', 'a')])).toThrow(
      expect.objectContaining({ code: 'TASK_GRAPH_TASKS_INVALID' }),
    );
    expect(() => ancestorsOf(driving(), 'rain')).toThrow('no task "rain"');
  });

  test('orders every acyclic graph, partitions it into waves of siblings, and agrees with itself', () => {
    fc.assert(
      fc.property(acyclic, (tasks) => {
        const graph = buildTaskGraph(tasks);
        const order = orderTasks(graph);
        expect([...order].sort()).toEqual(tasks.map(({ id }) => id).sort());
        for (const [i, next] of order.entries()) {
          const done = new Set(order.slice(0, i));
          const ready = tasks.filter(
            ({ id, dependsOn }) => !done.has(id) && dependsOn.every((p) => done.has(p)),
          );
          expect(next).toBe(ready[0]?.id);
        }
        for (const { id, dependsOn } of tasks) {
          for (const parent of dependsOn) expect(order.indexOf(parent)).toBeLessThan(order.indexOf(id));
          const ancestors = ancestorsOf(graph, id);
          for (const ancestor of ancestors) {
            expect(descendantsOf(graph, ancestor)).toContain(id);
            for (const further of ancestorsOf(graph, ancestor)) expect(ancestors).toContain(further);
          }
        }
        const waves = siblingWaves(graph);
        expect(waves.flat().sort()).toEqual([...order].sort());
        for (const wave of waves)
          for (const one of wave)
            for (const other of wave) if (one !== other) expect(areSiblings(graph, one, other)).toBe(true);
      }),
    );
  });

  test('finds a real cycle exactly when there is one', () => {
    fc.assert(
      fc.property(anyTasks, (tasks) => {
        const cycle = findCycle(tasks);
        if (cycle) {
          expect(cycle.at(0)).toBe(cycle.at(-1));
          for (const [i, id] of cycle.slice(0, -1).entries())
            expect(tasks.find((t) => t.id === id)?.dependsOn).toContain(cycle[i + 1]);
          expect(() => buildTaskGraph(tasks)).toThrow('cycle');
        } else expect(orderTasks(buildTaskGraph(tasks))).toHaveLength(tasks.length);
      }),
      { numRuns: 500 },
    );
  });

  test('survives a chain that is longer than the call stack', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => task(`t${i}`, ...(i > 0 ? [`t${i - 1}`] : [])));
    expect(findCycle([...chain].reverse())).toBeUndefined();
    expect(findCycle([...chain, task('x')].map((t, i) => (i === 0 ? task('t0', 't19999') : t)))).toHaveLength(
      20_001,
    );
  });

  test('draws itself for a terminal, for Graphviz and for Markdown', () => {
    expect(toText(driving())).toBe(
      [
        'level 0  vehicle',
        '         weather',
        'level 1  road      ← weather',
        'level 2  strategy  ← vehicle, weather, road',
      ].join('\n'),
    );
    expect(toDot(driving())).toContain('"weather" -> "road";');
    expect(toMermaid(driving())).toContain('  vehicle --> strategy');
  });
});
