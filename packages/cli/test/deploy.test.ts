import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { parseAllDocuments } from 'yaml';

import { runCommand } from './run-command.js';

const folder = join(import.meta.dirname, '../assets/deploy');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const documentsOf = (name: string): readonly unknown[] =>
  [parseAllDocuments(read(name))].flat().map((document): unknown => document.toJS());
const manifests = documentsOf('k3s.yaml');
const [job] = documentsOf('k3s-train.yaml');
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasAnalyze) console.warn('systemd-analyze is not installed: the test that needs it is skipped.');

/** The options of a command, as its help lists them. */
const optionsOf = async (command: string) =>
  [...(await runCommand([command, '--help'])).out.matchAll(/^ {2}(--[a-z]+)/gm)].map(([, option]) => option);
const workerOptions = () => optionsOf('worker');

describe('The manifest for K3s', () => {
  test('has the form that Kubernetes asks for', () => {
    const [namespace, daemonSet] = manifests;
    expect(manifests).toHaveLength(2);
    new Namespace(namespace as never).validate();
    new DaemonSet(daemonSet as never).validate();
    new Job(job as never).validate();
    const wrong = structuredClone(daemonSet) as { spec: { template: { spec: { containers: unknown } } } };
    wrong.spec.template.spec.containers = 'one';
    expect(() => {
      new DaemonSet(wrong as never).validate();
    }).toThrow(/containers/);
  });

  test.each([
    ['worker', manifests[1]],
    ['train', job],
  ])(
    'of %s selects what it labels, mounts what it defines, and calls the command as it is',
    async (name, manifest) => {
      const { spec } = manifest as {
        spec: {
          selector?: { matchLabels: unknown };
          template: {
            metadata: { labels: unknown };
            spec: {
              containers: { args: string[]; volumeMounts: { name: string }[]; env: { name: string }[] }[];
              volumes: { name: string }[];
            };
          };
        };
      };
      const { metadata, spec: pod } = spec.template;
      if (spec.selector) expect(metadata.labels).toEqual(spec.selector.matchLabels);
      const [container] = pod.containers;
      const names = (list: readonly { name: string }[]) => list.map((one) => one.name).sort();
      expect(names(container!.volumeMounts)).toEqual(names(pod.volumes));
      const [command, ...args] = container!.args;
      expect(command).toBe(name);
      expect(await optionsOf(name)).toEqual(
        expect.arrayContaining(args.filter((argument) => argument.startsWith('--'))),
      );
      for (const [, variable] of args.join(' ').matchAll(/\$\((\w+)\)/g))
        expect(names(container!.env)).toContain(variable);
    },
  );
});

describe('The systemd unit', () => {
  test('calls the command as it is, and restarts it after failures only', async () => {
    const unit = read('contextlora-worker.service');
    const [, line] = /^ExecStart=\S+ worker (.*)$/m.exec(unit)!;
    expect(await workerOptions()).toEqual(expect.arrayContaining(line!.match(/--[a-z]+/g)!));
    expect(unit).toContain('Restart=on-failure');
    expect(unit).toContain('SuccessExitStatus=143');
  });

  (hasAnalyze ? test : test.skip)('passes systemd-analyze verify', () => {
    const directory = mkdtempSync(join(tmpdir(), 'contextlora-unit-'));
    const verify = (text: string) => {
      const path = join(directory, 'contextlora-worker.service');
      writeFileSync(path, text);
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
        encoding: 'utf8',
      });
      return { status, problems: stderr.split('\n').filter((line) => line.includes('contextlora-worker')) };
    };
    // The program need not be installed here.
    const unit = read('contextlora-worker.service').replace('/usr/local/bin/contextlora', process.execPath);
    expect(verify(unit).problems).toEqual([]);
    expect(verify(unit.replace('RestartSec=5', 'RestartSecs=5')).problems.join()).toMatch(/RestartSecs/);
    rmSync(directory, { recursive: true, force: true });
  });
});
