import { describe, expect, test } from '@jest/globals';
import { ancestorsOf, buildTaskGraph, orderTasks, type TaskSpec } from '@contextlora/task-graph';
import {
  chainGraph,
  emptyGraph,
  inferenceRoles,
  planPhases,
  randomGraph,
  reversedGraph,
  rolesOf,
  rolesWithoutFreeze,
  rolesWithoutMask,
} from '@contextlora/trainer';
import fc from 'fast-check';

import { sceneGraph } from './scene-tasks.js';

describe('roles', () => {
  test('a task trains, its ancestors freeze and the others are masked', () => {
    expect(rolesOf(sceneGraph(), 'road')).toEqual({
      vehicle: 'mask',
      weather: 'freeze',
      road: 'train',
      strategy: 'mask',
    });
  });

  test('a grandparent is frozen too', () => {
    expect(rolesOf(sceneGraph(), 'strategy')).toEqual({
      vehicle: 'freeze',
      weather: 'freeze',
      road: 'freeze',
      strategy: 'train',
    });
  });

  test('without freezing the ancestors train, without masking the others are used', () => {
    expect(rolesWithoutFreeze(sceneGraph(), 'road')).toMatchObject({ weather: 'train', vehicle: 'mask' });
    expect(rolesWithoutMask(sceneGraph(), 'road')).toMatchObject({ weather: 'freeze', vehicle: 'freeze' });
  });

  test('inference uses what the step used and trains nothing', () => {
    expect(inferenceRoles(rolesOf(sceneGraph(), 'road'))).toEqual({
      vehicle: 'mask',
      weather: 'freeze',
      road: 'freeze',
      strategy: 'mask',
    });
  });
});

describe('phases', () => {
  test('follow the topological order, one task each', () => {
    expect(planPhases(sceneGraph()).map(({ tasks }) => tasks)).toEqual([
      ['vehicle'],
      ['weather'],
      ['road'],
      ['strategy'],
    ]);
  });

  test('put siblings together when they may run at once', () => {
    expect(planPhases(sceneGraph(), { concurrent: true }).map(({ tasks }) => tasks)).toEqual([
      ['vehicle', 'weather'],
      ['road'],
      ['strategy'],
    ]);
  });

  test('are planned within seconds for the largest task file', () => {
    const task = (id: string, dependsOn: string[]): TaskSpec => ({
      id,
      dependsOn,
      instruction: 'q',
      inputs: ['text'],
      answer: { type: 'text' },
      data: {},
    });
    const chain = Array.from({ length: 1000 }, (_, i) => task(`t${i}`, i > 0 ? [`t${i - 1}`] : []));
    const start = performance.now();
    expect(planPhases(buildTaskGraph(chain))).toHaveLength(1000);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('train every task once, after everything it freezes, on any graph', () => {
    const graphs = fc
      .array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 8 })
      .map((parents) =>
        buildTaskGraph(
          parents.map((drawn, i): TaskSpec => ({
            id: `t${i}`,
            dependsOn: [...new Set(i === 0 ? [] : drawn.map((n) => `t${n % i}`))],
            instruction: 'q',
            inputs: ['text'],
            answer: { type: 'text' },
            data: {},
          })),
        ),
      );
    fc.assert(
      fc.property(graphs, fc.boolean(), (graph, concurrent) => {
        const finished = new Set<string>();
        for (const { tasks, roles } of planPhases(graph, { concurrent })) {
          for (const task of tasks)
            for (const [id, role] of Object.entries(roles[task] ?? {})) {
              expect(role === 'train').toBe(id === task);
              expect(role === 'freeze').toBe(ancestorsOf(graph, task).includes(id));
              if (role === 'freeze') expect(finished.has(id)).toBe(true);
            }
          for (const task of tasks) finished.add(task);
        }
        expect([...finished].sort()).toEqual([...orderTasks(graph)].sort());
      }),
    );
  });
});

describe('graph variants', () => {
  test('the empty graph has the tasks and no edge', () => {
    expect(emptyGraph(sceneGraph()).size).toBe(0);
    expect(emptyGraph(sceneGraph()).order).toBe(4);
  });

  test('the chain links each task to the one before', () => {
    const chain = chainGraph(sceneGraph());
    expect(ancestorsOf(chain, 'strategy')).toEqual(['vehicle', 'weather', 'road']);
    expect(chain.size).toBe(3);
  });

  test('the reversed graph turns every edge round', () => {
    expect(ancestorsOf(reversedGraph(sceneGraph()), 'weather')).toEqual(
      expect.arrayContaining(['road', 'strategy']),
    );
  });

  test('the random graph has as many edges and depends on the seed alone', () => {
    const edges = (seed: number) =>
      randomGraph(sceneGraph(), seed).mapEdges((_, __, from, to) => `${from}-${to}`);
    expect(edges(1)).toHaveLength(sceneGraph().size);
    expect(edges(1)).toEqual(edges(1));
    expect(Array.from({ length: 8 }, (_, seed) => edges(seed).join())).not.toEqual(
      Array(8).fill(edges(0).join()),
    );
  });
});
