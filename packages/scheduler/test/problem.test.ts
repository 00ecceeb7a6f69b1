import { describe, expect, test } from '@jest/globals';
import {
  applyWhatIf,
  type Cluster,
  type DeviceProfile,
  mergeClusters,
  SchedulerError,
  withMeasured,
} from '@contextlora/scheduler';

const nano: DeviceProfile = {
  id: 'nano',
  flopsPerSecond: 1.4e11,
  memoryBytes: 2e9,
  watts: 10,
  idleWatts: 3,
};
const orin: DeviceProfile = {
  id: 'orin',
  flopsPerSecond: { forward: 3e12, input: 3e12, weight: 2e12 },
  memoryBytes: 4e9,
  watts: 15,
};
const wifi = { from: '*', to: '*', bytesPerSecond: 12.5e6, latencySeconds: 0.003, medium: 'wifi' };
const cable = { from: 'nano', to: 'orin', bytesPerSecond: 1e8, latencySeconds: 0.001 };
const cluster: Cluster = { devices: [nano, orin], links: [wifi, cable] };

describe('a what-if', () => {
  test('drops devices with their links, and changes rates, memory and speed', () => {
    const changed = applyWhatIf(cluster, 'drop nano, wifi=50Mbit, orin.memory=2GiB, orin.speed=0.5');
    expect(changed).toEqual({
      devices: [
        {
          ...orin,
          memoryBytes: 2 ** 31,
          flopsPerSecond: { forward: 1.5e12, input: 1.5e12, weight: 1e12 },
        },
      ],
      links: [{ ...wifi, bytesPerSecond: 6.25e6 }],
    });
    // A link goes with the device at either of its ends.
    expect(applyWhatIf(cluster, 'drop orin').links).toEqual([wifi]);
    expect(applyWhatIf(cluster, 'links=8kbit').links.map(({ bytesPerSecond }) => bytesPerSecond)).toEqual([
      1000, 1000,
    ]);
  });

  test.each([
    '',
    'drop',
    'wifi=0Mbit',
    'nano.speed=0',
    'nano.memory=2',
    'faster please',
    'drop nano, drop orin',
  ])('refuses "%s"', (changes) => {
    expect(() => applyWhatIf(cluster, changes)).toThrow(/^scheduler\/applyWhatIf: /);
    expect(() => applyWhatIf(cluster, changes)).toThrow(SchedulerError);
  });

  test('lists every change that makes no sense, with what could be changed', () => {
    expect(() => applyWhatIf(cluster, 'drop tx2, lan=5Mbit')).toThrow(
      /no device "tx2"; there are nano, orin[^]*no medium "lan"; there are wifi and links/,
    );
  });
});

describe('clusters that machines measured', () => {
  test('become one, without links to devices that no file describes', () => {
    const stray = { from: 'nano', to: 'tx2', bytesPerSecond: 1e6, latencySeconds: 0.01 };
    expect(
      mergeClusters([
        { path: 'a.json', cluster: { devices: [nano], links: [cable, stray], measured: [] } },
        { path: 'b.json', cluster: { devices: [nano, orin], links: [{ ...cable, bytesPerSecond: 1 }] } },
      ]),
    ).toEqual({ cluster: { devices: [nano, orin], links: [cable] }, unknownPeers: ['tx2'] });
  });

  test('keep who holds the base and who keeps segments, and what a check must still refuse', () => {
    const file = (path: string, more: object) => ({ path, cluster: { ...cluster, ...more } });
    const merged = mergeClusters([
      file('a.json', { resident: ['nano'], measured: [] }),
      file('b.json', { resident: ['orin', 'nano'], keeper: 'orin', residents: [] }),
    ]).cluster;
    expect(merged).toEqual({ ...cluster, resident: ['nano', 'orin'], keeper: 'orin', residents: [] });
    expect(() =>
      mergeClusters([file('a.json', { keeper: 'nano' }), file('b.json', { keeper: 'orin' })]),
    ).toThrow(/the keeper is "orin" in b\.json and "nano"/);
    expect(applyWhatIf({ ...cluster, resident: ['nano', 'orin'], keeper: 'nano' }, 'drop nano')).toEqual({
      devices: [orin],
      links: [wifi],
      resident: ['orin'],
    });
  });

  test('that disagree about a device are refused, with both paths', () => {
    expect(() =>
      mergeClusters([
        { path: 'a.json', cluster: { devices: [nano], links: [] } },
        { path: 'b.json', cluster: { devices: [{ ...nano, memoryBytes: 1e9 }], links: [] } },
      ]),
    ).toThrow(/device "nano" is in a\.json and, with other figures, in b\.json/);
  });

  test('keep what was not measured again', () => {
    const record = (id: string, at: string) => ({ of: 'device' as const, id, at });
    const before = { ...cluster, measured: [record('nano', '2024'), record('orin', '2024')] };
    const faster = { ...nano, flopsPerSecond: 2e11 };
    expect(withMeasured(before, { id: 'nano', device: faster, records: [record('nano', '2025')] })).toEqual({
      devices: [orin, faster],
      links: [wifi, cable],
      measured: [record('orin', '2024'), record('nano', '2025')],
    });
  });
});
