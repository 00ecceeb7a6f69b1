/** Network namespaces joined by shaped links: `host` in the middle, and a namespace for every link. Needs root, `ip`, `socat` and TUN. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';

import type { ShapedDirection } from './shape-links.js';

export interface EmulatedLink {
  readonly name: string;
  /** From the host to the other end and back. */
  readonly megabitsPerSecond: readonly [number, number];
  readonly delaySeconds: number;
  readonly loss: number;
  /** Shared airtime of both directions and of all links that name this medium; without it, each direction has its full rate. */
  readonly medium?: string;
}

export interface EmulatedNetwork extends AsyncDisposable {
  readonly addressOf: (name: string) => string;
  /** Starts a program of this repository in a namespace. */
  readonly start: (namespace: string, args: readonly string[]) => ChildProcess;
}

const prefix = 'clbench-';
const node = ['--conditions', '@contextlora/source', '--import', 'tsx'];
const shaper = fileURLToPath(new URL('./shape-links.ts', import.meta.url));

/** Why links cannot be emulated here, or undefined if they can. */
export function whyNotEmulated(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root';
  for (const [program, args] of [
    ['ip', ['-V']],
    ['socat', ['-V']],
  ] as const)
    if (spawnSync(program, args).status !== 0) return `it needs ${program}`;
  if (!existsSync('/dev/net/tun')) return 'it needs /dev/net/tun';
  const tried = spawnSync('ip', ['netns', 'add', `${prefix}try`]);
  spawnSync('ip', ['netns', 'del', `${prefix}try`]);
  return tried.status === 0 ? undefined : 'this kernel makes no network namespaces';
}

export async function emulateLinks(links: readonly EmulatedLink[]): Promise<EmulatedNetwork> {
  const children: ChildProcess[] = [];
  const namespaces = ['host', ...links.map(({ name }) => name)].map((name) => prefix + name);
  const dispose = async () => {
    for (const child of children) child.kill('SIGTERM');
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    for (const name of namespaces) spawnSync('ip', ['netns', 'del', name]);
  };
  const ip = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
  };
  try {
    for (const name of namespaces) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    for (const [index, { name }] of links.entries())
      for (const [side, place] of [
        [0, `${prefix}host`],
        [1, prefix + name],
      ] as const) {
        const [base, tap] = [20_000 + 10 * index, `clb${index}${side}`];
        const socat = spawn('socat', [
          '-b2000',
          `TUN,tun-type=tap,tun-name=${tap},iff-up,iff-no-pi`,
          `UDP4-DATAGRAM:127.0.0.1:${base + side},bind=127.0.0.1:${base + 2 + side},rcvbuf=4194304,sndbuf=4194304`,
        ]);
        socat.stderr.pipe(process.stderr);
        prefer(socat);
        children.push(socat);
        // socat does not need the device's name after this; its file stays open when the device moves.
        await until(() => spawnSync('ip', ['-o', 'link', 'show', tap, 'up']).stdout.length > 0);
        ip('link', 'set', tap, 'netns', place);
        ip('-n', place, 'addr', 'add', `10.79.${index}.${side + 1}/24`, 'dev', tap);
        ip('-n', place, 'link', 'set', tap, 'up');
      }
    // This comes last: a frame that reaches a device that is still down would end its socat.
    const directions = links.flatMap((link, index) => directionsOf(link, 20_000 + 10 * index));
    const shaping = spawn(process.execPath, [...node, shaper, JSON.stringify(directions)]);
    prefer(shaping);
    children.push(shaping);
    shaping.stderr.pipe(process.stderr);
    await new Promise((ready) => shaping.stdout.once('data', ready));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    addressOf: (name) => `10.79.${links.findIndex((link) => link.name === name)}.2`,
    start(namespace, args) {
      const child = spawn('ip', ['netns', 'exec', prefix + namespace, process.execPath, ...node, ...args]);
      children.push(child);
      return child;
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Frames of a side arrive on `base + side` and leave to the socat of the other side. */
function directionsOf(
  { name, megabitsPerSecond, delaySeconds, loss, medium }: EmulatedLink,
  base: number,
): ShapedDirection[] {
  return [0, 1].map((side) => ({
    listenPort: base + side,
    leavePort: base + 1 - side,
    targetPort: base + 2 + 1 - side,
    medium: medium ?? `${name} ${side}`,
    megabitsPerSecond: megabitsPerSecond[side]!,
    delaySeconds,
    loss,
  }));
}

/** High priority, because a network does not wait for a busy processor. */
function prefer({ pid }: ChildProcess): void {
  if (pid !== undefined) setPriority(pid, -15);
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('a TAP device did not appear within 2 s');
}
