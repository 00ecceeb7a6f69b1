import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { runCommand as run } from './run-command.js';

/** The names below "Commands:" in a help text. */
const commandsIn = (help: string) =>
  [...(help.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z][\w-]*)/gm)].flatMap(([, name]) =>
    name === undefined || name === 'help' ? [] : [name],
  );

/** Every command line that has a help of its own, without the groups. */
async function leaves(path: readonly string[] = []): Promise<string[][]> {
  const below = commandsIn((await run([...path, '--help'])).out);
  if (below.length === 0) return [[...path]];
  return (await Promise.all(below.map((name) => leaves([...path, name])))).flat();
}

test('the help of every command teaches by example, and every example is a command line of it', async () => {
  const all = await leaves();
  expect(all.length).toBeGreaterThan(20);
  for (const path of all) {
    const { out, code } = await run([...path, '--help']);
    expect(code).toBe(0);
    expect([path, out]).toEqual([path, expect.stringContaining('\nExamples:\n')]);
    expect(out.split('\nExamples:\n')[1]).toContain(path.join(' '));
  }
});

describe('completion', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'contextlora-completion-'));
    await writeFile(join(directory, 'bash'), (await run(['completion', 'bash'])).out);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  /** What bash offers for the last word. */
  const offered = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        `source ${join(directory, 'bash')}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _contextlora; printf '%s\\n' "\${COMPREPLY[@]}"`,
        'bash',
        'contextlora',
        ...words,
      ],
      { encoding: 'utf8' },
    )
      .split('\n')
      .filter((word) => word !== '');

  test('in bash offers commands, those below them, options, and the values that an option takes', () => {
    expect(offered('tr')).toEqual(['train']);
    expect(offered('cluster', '')).toEqual(expect.arrayContaining(['init', 'up', 'status']));
    expect(offered('serve', 'run', '--k')).toEqual(['--keys']);
    expect(offered('ask', 'run', '--answers', '')).toEqual(['hard', 'marginal']);
    expect(offered('graph', 'tasks.yaml', '--format', 'm')).toEqual(['mermaid']);
  });

  test('in bash leaves files to the shell', () => {
    expect(offered('ask', '')).toEqual([]);
    expect(offered('ask', 'run', '--image', '')).toEqual([]);
    expect(offered('ask', 'run', '--image', '--')).toEqual([]);
  });

  test('names every command and option for fish too, quoted, and bash finds its script sound', async () => {
    const { out } = await run(['completion', 'fish']);
    for (const path of await leaves()) expect(out).toContain(`-f -a ${path.at(-1) ?? ''} -d '`);
    expect(out).toContain("-l answers -r -f -a 'hard marginal'");
    expect(out).not.toMatch(/[^\\]'s /);
    execFileSync('bash', ['-n', join(directory, 'bash')]);
    expect((await run(['completion', 'zsh'])).out).toMatch(/^autoload -U \+X bashcompinit/);
    const unknown = await run(['completion', 'tcsh']);
    expect(unknown).toMatchObject({
      code: 2,
      err: expect.stringMatching(/Allowed choices are bash, zsh, fish/),
    });
  });
});

test('doctor prints the same as JSON', async () => {
  const { out, code } = await run(['doctor', '--json']);
  expect(code).toBe(0);
  const report = JSON.parse(out) as { backends: { backend: string; available: boolean }[]; node: string };
  expect(report.node).toBe(process.version);
  const table = (await run(['doctor'])).out;
  for (const { backend, available } of report.backends)
    expect(table).toMatch(new RegExp(`^${available ? 'yes' : 'no '}  ${backend} `, 'm'));
});
