/** One process per directory: a lock file that names its owner. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { pid } from 'node:process';
import { setTimeout } from 'node:timers/promises';

import { ifThere, withPath } from '@contextlora/lora/files';

import { FinetuneError } from '../finetune-error.js';

/** Name of the lock file. */
export const lockFile = '.contextlora-lock';

/** Name of the file that guards the removal of a stale lock. */
export const lockGuard = `${lockFile}.guard`;

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process was started, if the system says so: a later process may have the same number. */
  readonly started: string | undefined;
}

/**
 * Locks a directory, which must exist; the lock of a process that has died is taken over. Returns a function that unlocks it.
 *
 * @throws FinetuneError (`FINETUNE_RUN_LOCKED`) naming the process that has the lock.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, lockFile);
  const own = JSON.stringify({ pid, host: hostname(), started: await startOf(pid) } satisfies Owner);
  for (;;) {
    try {
      await writeFile(path, own, { flag: 'wx' });
      return async () => {
        if ((await textOf(path)) === own) await rm(path, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') withPath(path)(error);
    }
    const text = await settledText(path);
    if (text === undefined) continue;
    const owner = ownerOf(text);
    if (owner && (await isRunning(owner))) throw locked(directory, owner);
    await removeStale(path, text);
  }
}

/** The text of the lock, after its owner has had time to write it. */
async function settledText(path: string): Promise<string | undefined> {
  const text = await textOf(path);
  if (text === undefined || ownerOf(text)) return text;
  await setTimeout(writingMilliseconds);
  return textOf(path);
}

const writingMilliseconds = 500;

const textOf = (path: string) => ifThere(readFile(path, 'utf8'));

function ownerOf(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner> | null;
    return Number.isSafeInteger(owner?.pid) ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process is still there; of another machine, which shares the directory, nobody can tell. */
async function isRunning({ pid: number, host, started }: Owner): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(number, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = await startOf(number);
  return started === undefined || now === undefined || now === started;
}

/** When a process was started, in clock ticks since boot; none of one that has ended and whose parent has not noticed yet. */
async function startOf(number: number): Promise<string | undefined> {
  // Linux: state and start are fields 3 and 22; the second field is a name in brackets, which may contain spaces.
  const stat = await readFile(`/proc/${number}/stat`, 'utf8').catch(() => undefined);
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === 'Z' ? 'ended' : fields[18];
}

/**
 * Removes a stale lock, unless it is another by now. Only the process that has the guard may: without it, one that found the lock stale
 * could remove the lock of a faster one.
 */
async function removeStale(path: string, text: string): Promise<void> {
  const guard = join(dirname(path), lockGuard);
  try {
    await writeFile(guard, '', { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') withPath(guard)(error);
    await removeLeftGuard(guard);
    return;
  }
  try {
    if ((await textOf(path)) === text) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/** Waits until a guard is given up, and removes it if its process was killed in the moment that it had it. */
async function removeLeftGuard(guard: string): Promise<void> {
  const made = await madeAt(guard);
  for (let poll = 0; poll < guardPolls; poll++) {
    await setTimeout(guardPollMilliseconds);
    if ((await madeAt(guard)) !== made) return;
  }
  await rm(guard, { force: true });
}

const madeAt = (path: string) =>
  stat(path).then(
    ({ ino, mtimeMs }) => `${ino} ${mtimeMs}`,
    () => undefined,
  );

/** Two seconds: far more than a guard is needed for. */
const guardPolls = 100;
const guardPollMilliseconds = 20;

const locked = (directory: string, { pid: number, host }: Owner) =>
  new FinetuneError(
    'FINETUNE_RUN_LOCKED',
    'lockDirectory',
    `process ${number}${host === hostname() ? '' : ` on ${host}`} is at work in ${directory}; wait until it has ended, or choose another directory. ` +
      `If no such process runs any more, delete ${join(directory, lockFile)}`,
  );
