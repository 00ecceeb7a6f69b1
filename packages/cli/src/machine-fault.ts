/** Faults of the machine that a command runs on, such as a full disk, in words for its user. */
import { getSystemErrorMap, types } from 'node:util';

/** What to do about the system errors that have a remedy. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'change its permissions, or name another place',
  EEXIST: 'a part of the path is a file; name another place',
  EMFILE: 'raise the limit of open files (ulimit -n 1024)',
  ENAMETOOLONG: 'choose a shorter name',
  ENFILE: 'close other programs, or raise the limit of open files of the machine',
  ENOENT: 'check the path, or name another place',
  ENOSPC: 'make room, or name a place on another disk',
  ENOTDIR: 'a part of the path is a file; name another place',
  EPERM: 'change its permissions, or name another place',
  EROFS: 'name a place that can be written to',
};

/** System calls whose names are not English. */
const actions: Readonly<Record<string, string>> = {
  fsync: 'write',
  mkdir: 'make the directory',
  scandir: 'list',
  spawn: 'start',
  stat: 'read',
  unlink: 'remove',
};

const systemErrors = new Map(getSystemErrorMap().values());

/** The fault behind an error, in one line, or undefined if the error is no fault of the machine. */
export function describeMachineFault(error: unknown): string | undefined {
  // Node's own errors may be of another realm than this file.
  if (!isError(error)) return undefined;
  if (isOutOfMemory(error))
    return `not enough memory: ${firstLine(error)}; close other programs, raise the limit (ulimit -v), or use a smaller model or batch`;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  const meaning = code === undefined ? undefined : meaningOf(code);
  // A system error names the call that failed; libraries reuse the codes for errors of their own.
  if (code === undefined || meaning === undefined || syscall === undefined)
    return describeMachineFault(error.cause);
  const what = ['cannot', actions[syscall] ?? syscall, ...(path === undefined ? [] : [path])].join(' ');
  const remedy = remedies[code];
  return `${what}: ${meaning}${remedy === undefined ? '' : `; ${remedy}`}`;
}

const isError = (error: unknown): error is Error => types.isNativeError(error);

/** Node has no name for some errors, such as a full quota. */
function meaningOf(code: string): string | undefined {
  const known = systemErrors.get(code);
  if (known !== undefined) return `${known} (${code})`;
  return code.startsWith('Unknown system error') ? code : undefined;
}

/** Node, V8 and emscripten report memory that they cannot get in ways of their own. */
const isOutOfMemory = (error: Error) =>
  (error as NodeJS.ErrnoException).code === 'ERR_MEMORY_ALLOCATION_FAILED' ||
  (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY' ||
  /out of memory|allocation failed|could not allocate memory/i.test(error.message);

const firstLine = ({ message }: Error) => message.split('\n', 1)[0] ?? '';
