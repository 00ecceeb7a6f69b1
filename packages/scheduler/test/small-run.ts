/** A plan of four tasks on three devices, written out: `weather` alone, two siblings in one pipeline, and `action` after both. */
import type { Cluster, Plan } from '@contextlora/scheduler';

type Interval = Plan['jobs'][number]['intervals'][number];

export const stage = (start: number, end: number, ...devices: readonly string[]) => ({
  start,
  end,
  members: devices.map((device) => ({ device, share: 1 / devices.length })),
});

export const interval = (
  tasks: readonly string[],
  startSeconds: number,
  endSeconds: number,
  stages: readonly ReturnType<typeof stage>[],
  cache: Interval['cache'] = {},
): Interval => ({
  tasks,
  steps: 5,
  cache,
  placement: { tasks, microbatches: 2, stages },
  policy: 'ContextGear',
  strategy: 'ContextGear',
  stepSeconds: (endSeconds - startSeconds) / 5,
  totalSeconds: endSeconds - startSeconds,
  joulesByDevice: {},
  bytesPerStep: 0,
  peakMemoryBytes: {},
  search: 'exact',
  lowerBoundSeconds: endSeconds - startSeconds,
  startSeconds,
  endSeconds,
});

const why = (tasks: readonly string[], devices: readonly string[]) => ({
  tasks,
  binding: { kind: 'device' as const, name: devices[0]!, reached: 1 },
  devices: devices.map((device) => ({ device, idleFraction: 0 })),
  rejected: [],
});

export const smallCluster: Cluster = {
  devices: ['nano', 'orin', 'tx2', 'spare'].map((id) => ({ id, flopsPerSecond: 1, memoryBytes: 1e9 })),
  links: [{ from: '*', to: '*', bytesPerSecond: 1e6, latencySeconds: 0, medium: 'wifi' }],
};

const both = ['road', 'speed'];

export const smallRun: Plan = {
  jobs: [
    {
      tasks: ['weather'],
      devices: ['orin'],
      startSeconds: 0,
      endSeconds: 20,
      fetches: [],
      answers: [
        {
          type: 'answer',
          task: 'weather',
          reason: 'validation',
          devices: ['orin'],
          samples: 8,
          startSeconds: 15,
          endSeconds: 20,
        },
      ],
      intervals: [interval(['weather'], 0, 15, [stage(0, 4, 'orin')])],
      collects: [],
    },
    {
      tasks: both,
      devices: ['nano', 'tx2'],
      startSeconds: 20,
      endSeconds: 50,
      fetches: [
        {
          type: 'fetch',
          what: 'base',
          tasks: [],
          from: 'orin',
          to: 'nano',
          bytes: 5e6,
          startSeconds: 20,
          endSeconds: 25,
        },
        {
          type: 'fetch',
          what: 'segment',
          tasks: ['weather'],
          from: 'orin',
          to: 'tx2',
          bytes: 1e6,
          startSeconds: 20,
          endSeconds: 22.5,
        },
      ],
      answers: [],
      intervals: [
        interval(both, 25, 40, [stage(0, 2, 'nano'), stage(2, 4, 'tx2')], { road: 'write' }),
        interval(both, 40, 50, [stage(0, 4, 'tx2')], { road: 'read' }),
      ],
      collects: [
        {
          type: 'collect',
          what: 'segment',
          tasks: ['road'],
          from: 'tx2',
          to: 'orin',
          bytes: 1e6,
          startSeconds: 50,
          endSeconds: 55,
        },
      ],
    },
    {
      tasks: ['action'],
      devices: ['orin'],
      startSeconds: 50,
      endSeconds: 100,
      fetches: [],
      answers: [
        {
          type: 'answer',
          task: 'weather',
          reason: 'prompts',
          devices: ['orin'],
          samples: 4,
          startSeconds: 50,
          endSeconds: 55,
        },
      ],
      intervals: [interval(['action'], 55, 100, [stage(0, 4, 'orin')])],
      collects: [],
    },
  ],
  totalSeconds: 100,
  totalBytes: 7e6,
  lowerBoundSeconds: 80,
  gap: 0.25,
  search: 'bounded',
  window: 2,
  memoryReserve: 0.1,
  explanation: {
    criticalPath: ['weather', 'road+speed', 'action'],
    jobs: [
      { tasks: ['weather'], rejected: [{ devices: ['tx2'], ratio: 1.2 }] },
      { tasks: both, after: ['weather'], rejected: [] },
      { tasks: ['action'], after: both, rejected: [] },
    ],
    intervals: [
      why(['weather'], ['orin']),
      {
        ...why(both, ['nano', 'tx2']),
        binding: { kind: 'medium', name: 'wifi', reached: 0.9 },
        devices: [
          { device: 'nano', idleFraction: 0.5, mainCause: 'finished' },
          { device: 'tx2', idleFraction: 0 },
        ],
        rejected: [
          { placement: { tasks: both, microbatches: 1, stages: [stage(0, 4, 'nano', 'tx2')] }, ratio: 1.5 },
        ],
      },
      why(both, ['tx2']),
      why(['action'], ['orin']),
    ],
    unused: [{ device: 'spare', reason: 'slower', ratio: 1.1 }],
  },
};
