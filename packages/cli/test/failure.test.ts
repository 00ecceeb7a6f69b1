import { Readable, Writable } from 'node:stream';

import { describeFailure, runCommandLine } from '@contextlora/cli';
import { ModelError } from '@contextlora/model';
import { describe, expect, test } from '@jest/globals';

const systemError = (code: string, syscall: string, path?: string) =>
  Object.assign(new Error(`${code}: it failed, ${syscall}`), {
    code,
    syscall,
    ...(path === undefined ? {} : { path }),
  });

describe('what a user reads', () => {
  test('a fault of the machine is one line: what failed, why, and the way out', () => {
    expect(describeFailure(systemError('ENOSPC', 'write', 'run/report.json'))).toEqual({
      message:
        'cannot write run/report.json: no space left on device (ENOSPC); make room, or name a place on another disk',
      exitCode: 2,
    });
    expect(describeFailure(systemError('EROFS', 'mkdir', 'run')).message).toBe(
      'cannot make the directory run: read-only file system (EROFS); name a place that can be written to',
    );
    expect(describeFailure(systemError('EIO', 'read')).message).toBe('cannot read: i/o error (EIO)');
    expect(describeFailure(systemError('Unknown system error -122', 'write', 'x')).message).toBe(
      'cannot write x: Unknown system error -122',
    );
    for (const code of ['EACCES', 'EEXIST', 'EMFILE', 'ENAMETOOLONG', 'ENFILE', 'ENOENT', 'ENOTDIR', 'EPERM'])
      expect(describeFailure(systemError(code, 'open', 'x'))).toEqual({
        message: expect.stringMatching(new RegExp(`^cannot open x: .*\\(${code}\\); .`)) as unknown,
        exitCode: 2,
      });
  });

  test('memory that cannot be had is a fault of the machine, however it is reported', () => {
    for (const error of [
      new RangeError('Array buffer allocation failed'),
      new Error(
        'Aborted(RangeError: WebAssembly.instantiate(): Out of memory: Cannot allocate Wasm memory)\nmore',
      ),
      Object.assign(new Error('Failed to allocate memory'), { code: 'ERR_MEMORY_ALLOCATION_FAILED' }),
    ])
      expect(describeFailure(error)).toEqual({
        message: expect.stringMatching(/^not enough memory: .*$/) as unknown,
        exitCode: 2,
      });
  });

  test('the fault behind a failure is said, wherever it is in the chain of causes, and once', () => {
    const cause = new Error('reading failed', { cause: systemError('EMFILE', 'open', 'w.bin') });
    expect(
      describeFailure(new ModelError('MODEL_FILE_DAMAGED', 'load', 'cannot read the file', { cause }))
        .message,
    ).toMatch(
      /^model\/load: cannot read the file \(cannot open w\.bin: too many open files \(EMFILE\); raise/,
    );
    const said = systemError('EACCES', 'open', 'w.bin');
    const error = new ModelError('MODEL_FILE_DAMAGED', 'load', `cannot read it: ${said.message}`, {
      cause: said,
    });
    expect(describeFailure(error).message).toBe(error.message);
  });

  test('any other error is a defect and keeps its stack trace', () => {
    for (const error of [new TypeError('x is not a function'), systemError('EPARSE', 'parse')]) {
      const failure = describeFailure(error);
      expect(failure.exitCode).toBe(1);
      expect(failure.message).toMatch(/failure\.test/);
    }
  });
});

describe('an output that cannot be written', () => {
  const runWith = async (code: string) => {
    let err = '';
    const world = {
      version: '0.0.0-test',
      clock: () => 0,
      cpuSeconds: () => 0,
      memory: () => ({ residentBytes: 0, peakBytes: 0 }),
      program: '',
      nodeArguments: [],
      input: Object.assign(Readable.from([]), { isTTY: false }),
      output: new Writable({
        write(_text, _encoding, done) {
          done(systemError(code, 'write'));
        },
      }),
      errorOutput: new Writable({
        write(text: Buffer, _encoding, done) {
          err += text.toString();
          done();
        },
      }),
      now: () => new Date(0),
      environment: {},
      hostname: 'test',
      listenForOrphaning: () => () => undefined,
      listenForStops: () => () => undefined,
      exitAtOnce: () => undefined,
      sendToParent: () => Promise.resolve(),
    };
    const exitCode = await runCommandLine(['doctor'], world);
    return { exitCode, err };
  };

  test('a full disk behind the output is said once, with exit code 2', async () => {
    const { exitCode, err } = await runWith('ENOSPC');
    expect(err).toBe(
      'cannot write: no space left on device (ENOSPC); make room, or name a place on another disk\n',
    );
    expect(exitCode).toBe(2);
  });

  test('a reader that has left is no failure', async () => {
    expect(await runWith('EPIPE')).toEqual({ exitCode: 0, err: '' });
  });
});
