import { describe, expect, test } from '@jest/globals';
import {
  publishedAssumptions,
  publishedCluster,
  publishedProfile,
  publishedProfiles,
} from '@contextlora/jetson';
import { checkInput, plan } from '@contextlora/scheduler';

const wifi = { megabitsPerSecond: 100, sharedMedium: true };

describe('published figures', () => {
  test('every figure has a value above 0 and a source', () => {
    const figures: unknown[] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if ('source' in value) figures.push(value);
      else Object.values(value).forEach(walk);
    };
    walk(publishedProfiles);
    expect(figures.length).toBeGreaterThan(200);
    for (const figure of figures) {
      expect(figure).toEqual({
        value: expect.any(Number),
        source: expect.stringMatching(/\w{5}/),
        verified: expect.any(Boolean),
      });
      expect((figure as { value: number }).value).toBeGreaterThan(0);
    }
  });

  test('every board has one default mode with a budget, no mode beyond its cores and clock, and less usable memory than installed', () => {
    for (const { id, gpu, modes, memoryBytes, usableMemoryBytes } of publishedProfiles) {
      const defaults = modes.filter(({ isDefault }) => isDefault);
      expect([id, defaults.length, defaults.every(({ watts }) => watts !== undefined)]).toEqual([
        id,
        1,
        true,
      ]);
      for (const mode of modes) {
        expect(mode.gpuCores.value).toBeLessThanOrEqual(gpu.cores.value);
        expect(mode.gpuMegahertz.value).toBeLessThanOrEqual(gpu.megahertz.value);
      }
      if (usableMemoryBytes) expect(usableMemoryBytes.value).toBeLessThan(memoryBytes.value);
    }
    expect(new Set(publishedProfiles.map(({ id }) => id)).size).toBe(publishedProfiles.length);
  });

  test('dense FP16 on the tensor cores of Ampere is 8 × 2 × cores × clock', () => {
    // 42.6 TFLOPS: half of the GPU's 85 dense INT8 TOPS.
    expect(publishedProfile('agx-orin-64').gpu.fp16FlopsPerSecond.value / 1e12).toBeCloseTo(42.6, 1);
    expect(publishedProfile('orin-nano-8').gpu.fp16FlopsPerSecond.value / 1e12).toBeCloseTo(10.24, 5);
  });

  test('a figure is marked as verified only if it was read at its source', () => {
    const { gpu, modes, memoryBytes } = publishedProfile('agx-orin-64');
    expect(memoryBytes).toEqual({
      value: 64 * 2 ** 30,
      source: 'NVIDIA data sheet DS-10662-001 v1.8 (AGX Orin), as quoted',
      verified: false,
    });
    // The file of another module.
    expect(modes[0]?.watts).toMatchObject({
      source: expect.stringMatching(/^nvpmodel_p3701_0000\.conf in /),
      verified: false,
    });
    // A budget that is not part of the mode's name is not in the file.
    expect(modes[3]?.watts?.source).toContain('as commonly quoted');
    expect(gpu.fp16FlopsPerSecond.source).toBe(`8 × 2 × cores × clock; clock: ${gpu.megahertz.source}`);
    const { gpu: superGpu } = publishedProfile('orin-nx-16-super');
    expect(superGpu.megahertz).toMatchObject({
      source: expect.stringMatching(/^nvpmodel_p3767_0000_super\.conf in .*concord$/),
      verified: true,
    });
  });

  test('mode 25W of an Orin NX 16 has twice the cores of 15W at two thirds of the clock', () => {
    const { modes } = publishedProfile('orin-nx-16');
    expect(
      modes.map(({ name, gpuCores, gpuMegahertz }) => [name, gpuCores.value, gpuMegahertz.value]),
    ).toEqual([
      ['15W', 512, 612],
      ['10W', 512, 612],
      ['25W', 1024, 408],
      ['MAXN', 1024, 918],
    ]);
  });
});

describe('a published cluster', () => {
  test('has the rates of the default mode, the other modes, and none of unknown power', () => {
    const { devices, links } = publishedCluster(['orin-nano-8-super', 'nano'], wifi);
    const peak = 8 * 2 * 1024 * 1020e6;
    expect(devices[0]).toEqual({
      id: 'orin-nano-8-super',
      flopsPerSecond: expect.closeTo(0.3 * peak * (918 / 1020), 0),
      memoryBytes: (7620 * 2 ** 20) / 2,
      overheadSeconds: 0.001,
      watts: 25,
      idleWatts: 7.5,
      modes: [
        { name: '15W', flopsPerSecond: expect.closeTo(0.3 * peak * 0.6, 0), watts: 15, idleWatts: 4.5 },
      ],
    });
    expect(devices[1]?.flopsPerSecond).toBeCloseTo(0.3 * 0.472e12, 0);
    // Nobody reported how much the operating system sees.
    expect(publishedCluster(['thor-t4000'], wifi).devices[0]?.memoryBytes).toBe(
      Math.round(64 * 2 ** 30 * 0.9 * 0.5),
    );
    expect(links).toEqual([
      { from: '*', to: '*', bytesPerSecond: 12.5e6, latencySeconds: 0.003, medium: 'wifi' },
    ]);
  });

  test('on a switch has no shared medium, and its assumptions can be replaced', () => {
    const { devices, links } = publishedCluster(['tx2'], {
      megabitsPerSecond: 1000,
      sharedMedium: false,
      assumptions: { utilisation: 1, latencySeconds: 0.0002 },
    });
    expect(links[0]).toEqual({ from: '*', to: '*', bytesPerSecond: 125e6, latencySeconds: 0.0002 });
    // The default mode has 1120 of 1300 MHz.
    expect(devices[0]?.flopsPerSecond).toBeCloseTo((1.33e12 * 1120) / 1300, 0);
    expect(publishedAssumptions.utilisation).toBe(0.3);
  });

  test('numbers repeated boards', () => {
    const { devices } = publishedCluster(['nano', 'nano', 'tx2', 'nano'], wifi);
    expect(devices.map(({ id }) => id)).toEqual(['nano', 'nano-no2', 'tx2', 'nano-no3']);
  });

  test('of all boards is accepted by the scheduler, which plans for it', () => {
    const layer = (index: number) => ({
      name: `layer ${index}`,
      forwardFlops: 20e9,
      inputFlops: index > 3 ? 20e9 : 0,
      weightFlops: index >= 3 ? 1e9 : 0,
      parameterBytes: 60e6,
      gradientBytes: index >= 3 ? 4e5 : 0,
      optimizerBytes: index >= 3 ? 12e5 : 0,
      activationBytes: index >= 3 ? 12e6 : 0,
      outputBytes: 3e5,
    });
    const workloads = [
      { name: 'task', samples: 8, steps: 10, layers: Array.from({ length: 6 }, (_, index) => layer(index)) },
    ];
    const all = publishedCluster(
      publishedProfiles.map(({ id }) => id),
      wifi,
    );
    expect(() => {
      checkInput(workloads, all);
    }).not.toThrow();
    const planned = plan(workloads, publishedCluster(['nano', 'orin-nx-16', 'xavier-nx-8'], wifi));
    expect(planned.totalSeconds).toBeGreaterThan(0);
    expect(planned.jobs.length).toBe(1);
  });

  test('of unknown boards is refused with the list of boards and all problems at once', () => {
    expect(() =>
      publishedCluster(['nano', 'orin-nano8', 'zzz'], { megabitsPerSecond: -1, sharedMedium: true }),
    ).toThrow(
      expect.objectContaining({
        code: 'JETSON_BOARD_UNKNOWN',
        message: expect.stringMatching(
          /^jetson\/publishedCluster: ids\[1\]: there is no board "orin-nano8"; ids\[2\]: there is no board "zzz"; megabitsPerSecond: must be a number above 0, got -1; boards are nano, tx2, .*thor-t5000$/,
        ),
        problems: [
          'ids[1]: there is no board "orin-nano8"',
          'ids[2]: there is no board "zzz"',
          'megabitsPerSecond: must be a number above 0, got -1',
        ],
      }),
    );
    expect(() => publishedCluster([], wifi)).toThrow(
      expect.objectContaining({
        code: 'JETSON_ARGUMENT_INVALID',
        message: expect.stringMatching(/ids: none given; boards are nano, /),
      }),
    );
    expect(() => publishedProfile('toString')).toThrow(
      expect.objectContaining({
        code: 'JETSON_BOARD_UNKNOWN',
        message: expect.stringMatching(
          /^jetson\/publishedProfile: there is no board "toString"; boards are nano, /,
        ),
      }),
    );
  });
});
